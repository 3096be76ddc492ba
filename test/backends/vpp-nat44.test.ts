/** What of the behaviour suite the other kind of translation has part in, on real VPPs. */
import { suite } from 'uvu';
import { onVpps } from './on-vpps.js';
import { reachabilityTests } from './suite-reachability.js';
import { servicesTests } from './suite-services.js';
import { transactionTests } from './suite-transactions.js';
import { limitTests } from './vpp-limits.js';
import { openVppRig, vppRigs } from './vpp-rig.js';

onVpps('the behaviour suite on VPP with NAT44-ED', (install, name, native) => {
  const backend = { services: 'nat44' } as const;
  const test = suite(`${name} services by nat44`);
  for (const tests of [reachabilityTests, servicesTests, transactionTests]) {
    tests(test, vppRigs(native, { install, backend }));
  }
  limitTests(test, () => openVppRig(native, { install, backend }));
  test.run();
});
