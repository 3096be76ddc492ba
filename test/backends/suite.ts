/**
 * What every backend must do, whatever it is made of. Runs over frames, so that nothing but the data plane is between the
 * stations.
 */
import { suite } from 'uvu';
import type { OpenRig } from './rig.js';
import { hostileTests } from './suite-hostile.js';
import { ipv6Tests } from './suite-ipv6.js';
import { ipv6HostileTests } from './suite-ipv6-hostile.js';
import { reachabilityTests } from './suite-reachability.js';
import { servicesTests } from './suite-services.js';
import { transactionTests } from './suite-transactions.js';

const PARTS = {
  ...{ reachabilityTests, servicesTests, transactionTests, hostileTests },
  ...{ ipv6Tests, ipv6HostileTests },
};

/** Runs the behaviour suite; each test opens rigs of its own and closes them. */
export function backendSuite(name: string, open: OpenRig): void {
  for (const [part, tests] of Object.entries(PARTS)) {
    const test = suite(`${name} ${part.replace('Tests', '')}`);
    tests(test, open);
    test.run();
  }
}
