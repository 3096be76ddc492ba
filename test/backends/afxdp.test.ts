/** The behaviour suite over AF_XDP: a data plane with its worker on veth pairs in a namespace of its own. Needs root. */
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
  backendSuite('afxdp', () => openXdpRig(native));
} else {
  const test = suite('afxdp');
  process.stdout.write(`skipped: afxdp: ${missing}\n`);
  test.skip('the behaviour suite over AF_XDP');
  test.run();
}
