/** The behaviour suite with pods behind TAPs. Needs root. */
import { fileURLToPath } from 'node:url';
import { suite } from 'uvu';
import { loadNative } from '../../native/index.js';
import { file, root } from '../support/requires.js';
import { backendSuite } from './suite.js';
import { openTapRig } from './tap-rig.js';

const addon = fileURLToPath(new URL('../../../native/pteropus.node', import.meta.url));
const missing = [root(), file(addon)].find((need) => need !== null);
if (missing === undefined) {
  const native = loadNative();
  backendSuite('tap', () => openTapRig(native));
} else {
  const test = suite('tap');
  process.stdout.write(`skipped: tap: ${missing}\n`);
  test.skip('the behaviour suite with pods behind TAPs');
  test.run();
}
