import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { file, testIf } from '../../test/support/requires.js';
import { isAlive, readRecord, recordOf, removeRecord, writeRecord } from './record.js';

const dir = mkdtempSync(join(tmpdir(), 'pteropus-record-'));
test.after(() => rmSync(dir, { recursive: true }));

/** A folder like /proc with one process. */
function proc(pid: number, stat: string): string {
  const folder = join(dir, `proc${Math.random()}`);
  mkdirSync(join(folder, String(pid)), { recursive: true });
  mkdirSync(join(folder, 'sys/kernel/random'), { recursive: true });
  writeFileSync(join(folder, String(pid), 'stat'), stat);
  writeFileSync(join(folder, 'sys/kernel/random/boot_id'), 'b1\n');
  return folder;
}

const stat = (state: string, started: number, name = 'vpp_main'): string =>
  `7 (${name}) ${state} ${'0 '.repeat(18)}${started} 0 0\n`;

test('a process is known by the moment it started', () => {
  const record = recordOf(7, 'c', proc(7, stat('S', 4711)));
  assert.equal(record, { pid: 7, started: '4711', boot: 'b1', configuration: 'c' });
  assert.ok(record !== null);
  assert.ok(isAlive(record, proc(7, stat('R', 4711))));
  assert.ok(isAlive(record, proc(7, stat('R', 4711, 'a) S 1 (b'))), 'whatever its name');
  assert.not(isAlive(record, proc(7, stat('R', 4712))), 'another one with its id');
  assert.not(isAlive(record, proc(7, stat('Z', 4711))), 'it has ended');
  assert.not(isAlive(record, proc(8, stat('R', 4711))), 'gone');
  assert.not(isAlive({ ...record, boot: 'b0' }, proc(7, stat('R', 4711))), 'before the machine was started');
});

test('what is written is read; what is damaged is none', () => {
  const path = join(dir, 'sub/vswitch.json');
  assert.is(readRecord(path), null);
  const record = { pid: 7, started: '1', boot: 'b', configuration: 'c' };
  writeRecord(path, record);
  assert.equal(readRecord(path), record);
  for (const text of [
    '',
    'null',
    '[]',
    '{"pid":"7"}',
    '{"pid":0,"started":"1","boot":"b","configuration":"c"}',
  ]) {
    writeFileSync(path, text);
    assert.is(readRecord(path), null, text);
  }
  removeRecord(path);
  removeRecord(path);
});

testIf(test, file('/proc/self/stat'))('of a real process', async () => {
  const child = spawn('sleep', ['60']);
  const record = recordOf(child.pid ?? 0, 'c');
  assert.ok(record !== null && isAlive(record));
  const gone = once(child, 'exit');
  child.kill('SIGKILL');
  await gone;
  assert.not(isAlive(record));
});

test.run();
