/** The list of messages in use is that of the messages in use. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { RECORDED_VERSIONS, schemaOf } from './testing/recording.js';
import { USED_MESSAGES } from './used.js';

const BACKEND = join(import.meta.dirname, '../../../../../../control/backends/vpp');

/** Source files of the backend, without tests and without the API itself. */
function sources(): readonly string[] {
  return readdirSync(BACKEND, { recursive: true })
    .map(String)
    .filter((path) => path.endsWith('.ts') && !path.endsWith('.test.ts') && !path.startsWith('api/'))
    .map((path) => readFileSync(join(BACKEND, path), 'utf8'));
}

test('in order, each once', () => {
  assert.equal(USED_MESSAGES, [...new Set(USED_MESSAGES)].sort());
});

test('every message the backend sends is in the list', () => {
  const used = new Set(USED_MESSAGES);
  for (const source of sources()) {
    for (const [, message = ''] of source.matchAll(/\.(?:request|dump|onEvent)\(\s*'(\w+)'/g)) {
      assert.ok(used.has(message), `${message}: add it to used.ts, and run pteropus vpp types`);
    }
  }
});

test('every message in the list is one that a version known has', () => {
  const schemas = RECORDED_VERSIONS.map(schemaOf);
  for (const message of USED_MESSAGES) {
    assert.ok(
      schemas.some(({ messages }) => messages.has(message)),
      message,
    );
  }
});

test('the backend names each of them', () => {
  const all = sources().join('\n');
  const ours = ['control_ping', 'show_version', 'cli_inband', 'sockclnt_create', 'sockclnt_delete'];
  for (const message of USED_MESSAGES) {
    if (!ours.includes(message)) assert.ok(all.includes(`'${message}'`), `${message} is used by nobody`);
  }
});

test.run();
