/** The executable's parsers against hostile input, under sanitizers: native/cni/fuzz.cc. */
import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { file, testIf } from '../support/requires.js';

const FUZZ = fileURLToPath(new URL('../../../native/pteropus-cni-fuzz', import.meta.url));
const ROUNDS = process.env['CNI_FUZZ_ROUNDS'] ?? '20000';

for (const seed of ['1', '2', '3']) {
  testIf(test, file(FUZZ))(`mutated configurations, frames, header blocks and messages, seed ${seed}`, () => {
    const { status, stdout, stderr } = spawnSync(FUZZ, [seed, ROUNDS], { encoding: 'utf8' });
    assert.is(status, 0, `${stdout}${stderr}`);
    assert.match(stdout, /^http2: [1-9]\d* accepted, [1-9]\d* refused$/m);
  });
}

test.run();
