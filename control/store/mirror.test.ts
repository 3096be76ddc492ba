import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { Mirror } from './mirror.js';
import type { Entry, Snapshot, StoreEvent } from './store.js';

const directory = mkdtempSync(join(tmpdir(), 'pteropus-mirror-'));
let count = 0;
const fresh = (): string => join(directory, `${count++}`, 'mirror');
const silent = (): void => undefined;
const entry = (key: string, value: string, revision: number): Entry => ({
  key,
  value,
  revision,
  created: revision,
});
const put = (key: string, value: string, revision: number): StoreEvent => {
  return { type: 'put', entry: entry(key, value, revision) };
};
const SNAPSHOT: Snapshot = { entries: [entry('/a', '1', 3), entry('/b', 'ü\n', 2)], revision: 4 };

async function written(): Promise<string> {
  const path = fresh();
  const { mirror, content, damage } = await Mirror.open(path, silent);
  assert.equal([content, damage], [null, null]);
  mirror.replace(SNAPSHOT);
  await mirror.flush();
  mirror.apply([put('/a', '2', 5), { type: 'delete', key: '/b', revision: 5 }], 5);
  await mirror.flush();
  mirror.apply([put('/c', '3', 6)], 6);
  await mirror.close();
  return path;
}

test('what was read and what changed since comes back, for its owner only', async () => {
  const path = await written();
  const { content, damage } = await Mirror.open(path, silent);
  assert.is(damage, null);
  assert.equal(content, { entries: [entry('/a', '2', 5), entry('/c', '3', 6)], revision: 6 });
  assert.is(statSync(path).mode & 0o777, 0o600);
});

test('cut off anywhere, it is the state of a commit or it says why not', async () => {
  const path = await written();
  const whole = readFileSync(path);
  const revisions = new Set<number>();
  for (let length = whole.length - 1; length >= 0; length--) {
    const copy = fresh().replace('/mirror', '');
    writeFileSync(copy, whole.subarray(0, length));
    const { content, damage } = await Mirror.open(copy, silent);
    assert.is((content === null) !== (damage === null), true);
    if (content !== null) revisions.add(content.revision);
  }
  assert.equal([...revisions], [5, 4]);
});

test('damage before the end: set aside, and said', async () => {
  const path = await written();
  writeFileSync(path, readFileSync(path, 'utf8').replace('"1"', '"7"'));
  const { mirror, content, damage } = await Mirror.open(path, silent);
  assert.is(content, null);
  assert.match(String(damage), /line 2 is damaged; kept as .*mirror\.damaged/);
  assert.ok(statSync(`${path}.damaged`).size > 0);
  mirror.replace(SNAPSHOT);
  await mirror.close();
  assert.equal((await Mirror.open(path, silent)).content, SNAPSHOT);
});

test('changes alone are of no use: without a listing nothing is kept', async () => {
  const path = fresh();
  const { mirror } = await Mirror.open(path, silent);
  mirror.apply([put('/a', '1', 1)], 1);
  await mirror.close();
  assert.is((await Mirror.open(path, silent)).content, null);
});

test('the file does not grow without end, and stays right', async () => {
  const path = fresh();
  const { mirror } = await Mirror.open(path, silent);
  mirror.replace({ entries: [], revision: 1 });
  const value = 'x'.repeat(100_000);
  for (let i = 2; i < 300; i++) {
    mirror.apply([put(`/k/${i % 5}`, `${value}${i}`, i)], i);
    if (i % 20 === 0) await mirror.flush();
  }
  await mirror.close();
  assert.ok(statSync(path).size < 12_000_000, `${statSync(path).size} bytes`);
  const { content } = await Mirror.open(path, silent);
  assert.is(content?.revision, 299);
  assert.equal(
    content?.entries.map(({ key, revision }) => `${key} ${revision}`),
    ['/k/0 295', '/k/1 296', '/k/2 297', '/k/3 298', '/k/4 299'],
  );
});

test('a disk that cannot be written is said once; the next listing tries again', async () => {
  const path = fresh();
  const lines: string[] = [];
  writeFileSync(path.replace('/mirror', ''), 'no folder');
  const { mirror } = await Mirror.open(path, (line) => lines.push(line));
  for (const revision of [1, 2]) {
    mirror.replace({ entries: [], revision });
    await mirror.flush();
  }
  assert.is(lines.length, 1);
  rmSync(path.replace('/mirror', ''));
  mirror.replace(SNAPSHOT);
  await mirror.close();
  assert.equal((await Mirror.open(path, silent)).content, SNAPSHOT);
});

test.after(() => rmSync(directory, { recursive: true, force: true }));
test.run();
