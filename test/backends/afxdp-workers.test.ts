/** The behaviour suite over AF_XDP with two workers, on links with two queues; each frame comes by one of them by chance. Needs root. */
import { fileURLToPath } from 'node:url';
import { suite } from 'uvu';
import { loadNative } from '../../native/index.js';
import { file, root } from '../support/requires.js';
import { backendSuite } from './suite.js';
import { openXdpRig } from './xdp-rig.js';

const addon = fileURLToPath(new URL('../../../native/pteropus.node', import.meta.url));
const missing = [root(), file(addon)].find((need) => need !== null);
if (missing === undefined) {
  const native = loadNative();
  backendSuite('afxdp, 2 workers:', () => openXdpRig(native, undefined, 2));
} else {
  const test = suite('afxdp, 2 workers');
  process.stdout.write(`skipped: afxdp, 2 workers: ${missing}\n`);
  test.skip('the behaviour suite over AF_XDP with two workers');
  test.run();
}
