/** The behaviour suite over the memory feed with several workers, each frame given to one of them by chance. Needs the addon. */
import { fileURLToPath } from 'node:url';
import { suite } from 'uvu';
import { file } from '../support/requires.js';
import { openMemoryRig } from './memory-rig.js';
import { backendSuite } from './suite.js';

const addon = fileURLToPath(new URL('../../../native/pteropus.node', import.meta.url));
const missing = file(addon);
if (missing === null) {
  for (const workers of [2, 3]) backendSuite(`memory, ${workers} workers:`, () => openMemoryRig(workers));
} else {
  const test = suite('memory, several workers');
  process.stdout.write(`skipped: memory, several workers: ${missing}\n`);
  test.skip('the behaviour suite with several workers');
  test.run();
}
