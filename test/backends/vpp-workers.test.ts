/** Reachability on real VPPs whose packets are moved by another thread than the one that is told of changes. */
import { cpus } from 'node:os';
import { suite } from 'uvu';
import { onVpps } from './on-vpps.js';
import { reachabilityTests } from './suite-reachability.js';
import { vppRigs } from './vpp-rig.js';

const ONE_WORKER = 'cpu { main-core 0 corelist-workers 1 }';

onVpps('reachability on VPP with a worker thread', (install, name, native) => {
  const test = suite(`${name} with a worker thread`);
  if (cpus().length > 1) {
    reachabilityTests(test, vppRigs(native, { install, startup: ONE_WORKER }));
  } else {
    process.stdout.write(`skipped: ${name} with a worker thread: needs two cores\n`);
    test.skip('with a worker thread');
  }
  test.run();
});
