/** The behaviour suite on real VPPs, over veth and af_packet; its services also by the other kind of translation. Needs root and VPP. */
import { existsSync } from 'node:fs';
import { cpus } from 'node:os';
import { basename } from 'node:path';
import { fileURLToPath } from 'node:url';
import { suite } from 'uvu';
import { loadNative } from '../../native/index.js';
import { file, program, root } from '../support/requires.js';
import { installedVpps, vpp } from '../support/vpp.js';
import { backendSuite } from './suite.js';
import { reachabilityTests } from './suite-reachability.js';
import { servicesTests } from './suite-services.js';
import { transactionTests } from './suite-transactions.js';
import { limitTests } from './vpp-limits.js';
import { openVppRig, vppRigs } from './vpp-rig.js';

/** Packets are moved by another thread than the one that is told of changes. */
const ONE_WORKER = 'cpu { main-core 0 corelist-workers 1 }';

const addon = fileURLToPath(new URL('../../../native/pteropus.node', import.meta.url));
const missing = [root(), file(addon), program('nsenter'), program('setpriv')].find((need) => need !== null);
const installs = missing === undefined ? installedVpps() : [];
if (missing === undefined && installs.length > 0) {
  const native = loadNative();
  for (const install of installs) {
    const name = `vpp ${basename(install.prefix)}`;
    backendSuite(name, vppRigs(native, { install }));
    const limits = suite(`${name} limits`);
    limitTests(limits, () => openVppRig(native, { install }));
    limits.run();
    const nat44 = suite(`${name} services by nat44`);
    const backend = { services: 'nat44' } as const;
    for (const tests of [reachabilityTests, servicesTests, transactionTests]) {
      tests(nat44, vppRigs(native, { install, backend }));
    }
    limitTests(nat44, () => openVppRig(native, { install, backend }));
    nat44.run();
    const workers = suite(`${name} with a worker thread`);
    if (cpus().length > 1) {
      reachabilityTests(workers, vppRigs(native, { install, startup: ONE_WORKER }));
    } else {
      process.stdout.write(`skipped: ${name} with a worker thread: needs two cores\n`);
      workers.skip('with a worker thread');
    }
    workers.run();
  }
  if (!existsSync('/dev/vhost-net')) {
    process.stdout.write('vpp: pods on veth and af_packet; TAP was not exercised: needs /dev/vhost-net\n');
  }
} else {
  const test = suite('vpp');
  process.stdout.write(`skipped: vpp: ${missing ?? vpp()}\n`);
  test.skip('the behaviour suite on VPP');
  test.run();
}
