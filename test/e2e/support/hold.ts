/**
 * A program: starts a small cluster and holds it until it is killed. Its standard output says how far it is, so that a test
 * can kill it at any point. Arguments: the cluster's name, names of nodes on VPP.
 */
import { join } from 'node:path';
import { toJson } from '../../../control/objects/json.js';
import { createAfxdpDriver } from '../../../control/sim/afxdp/driver.js';
import { STATE_ROOT } from '../../../control/sim/afxdp/names.js';
import { barePod, driverSpec, podKey } from './spec.js';

const [, , cluster = '', ...vpp] = process.argv;
const say = (line: string): void => {
  process.stdout.write(`${line}\n`);
};

const driver = createAfxdpDriver(
  driverSpec(cluster, { runDir: join(STATE_ROOT, cluster), progress: say, vpp }),
);
say('starting');
await driver.start();
say('started');
await Promise.all(
  ['a', 'b', 'c'].map(async (name, i) => {
    const pod = barePod(name, i % 2 === 0 ? 'node-1' : 'node-2');
    await driver.store.put(podKey(pod), toJson(pod));
    await driver.addPod(pod);
  }),
);
say('pods');
setInterval(() => undefined, 60_000);
