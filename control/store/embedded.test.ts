import { appendFileSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { EmbeddedStore } from './embedded.js';
import { StoreClosedError, StoreDamagedError } from './errors.js';
import { Recorder, storeSuite } from './store.suite.js';

const directory = mkdtempSync(join(tmpdir(), 'pteropus-store-'));
let count = 0;
const fresh = (): string => join(directory, `${count++}.log`);

storeSuite('embedded', async () => {
  const store = new EmbeddedStore();
  return { store, close: () => store.close() };
});

storeSuite('embedded in a file', async () => {
  const store = await EmbeddedStore.open(fresh());
  return { store, close: () => store.close() };
});

test('a file keeps everything: entries, revisions, creation, identity', async () => {
  const path = fresh();
  const before = await EmbeddedStore.open(path);
  await Promise.all(Array.from({ length: 50 }, (_, i) => before.put(`/k/${i % 10}`, `v${i}`)));
  await before.delete('/k/3');
  const snapshot = await before.list('');
  await before.close();
  const after = await EmbeddedStore.open(path);
  assert.equal(await after.list(''), snapshot);
  assert.is(after.identity, before.identity);
  assert.is(await after.put('/new', ''), snapshot.revision + 1);
  assert.is(statSync(path).mode & 0o777, 0o600);
  await after.close();
});

test('what was acknowledged is in the file, without closing', async () => {
  const path = fresh();
  const store = await EmbeddedStore.open(path);
  await store.put('/a', '1');
  const copy = fresh();
  writeFileSync(copy, readFileSync(path));
  const crashed = await EmbeddedStore.open(copy);
  assert.is((await crashed.get('/a'))?.value, '1');
  await crashed.close();
  await store.close();
});

test('a torn last write is cut off and told', async () => {
  const path = fresh();
  const store = await EmbeddedStore.open(path);
  await store.put('/a', '1');
  await store.put('/b', '1');
  await store.close();
  const whole = readFileSync(path);
  for (const cut of [1, 5, 40]) {
    const copy = fresh();
    writeFileSync(copy, whole.subarray(0, whole.length - cut));
    const warnings: string[] = [];
    const again = await EmbeddedStore.open(copy, (text) => warnings.push(text));
    assert.is((await again.get('/a'))?.value, '1');
    assert.is(await again.get('/b'), null);
    assert.is(warnings.length, 1);
    await again.put('/c', '1');
    await again.close();
    const third = await EmbeddedStore.open(copy);
    assert.is((await third.get('/c'))?.value, '1');
    await third.close();
  }
});

test('damage before the end is refused, with file and line', async () => {
  const path = fresh();
  const store = await EmbeddedStore.open(path);
  await store.put('/a', 'first');
  await store.put('/b', 'second');
  await store.close();
  writeFileSync(path, readFileSync(path, 'utf8').replace('first', 'FIRST'));
  await EmbeddedStore.open(path).then(
    () => assert.unreachable(),
    (error: Error) => {
      assert.instance(error, StoreDamagedError);
      assert.match(error.message, `${path}`);
    },
  );
  const other = fresh();
  appendFileSync(other, 'no store at all\nreally\n');
  await EmbeddedStore.open(other).then(
    () => assert.unreachable(),
    (error: Error) => assert.instance(error, StoreDamagedError),
  );
});

test('the file is compacted, and stays right', async () => {
  const path = fresh();
  const store = await EmbeddedStore.open(path);
  const write = (i: number): Promise<number> => store.put(`/k/${i % 7}`, `value ${i}`);
  for (let i = 0; i < 40; i++) await Promise.all(Array.from({ length: 100 }, (_, j) => write(i * 100 + j)));
  assert.ok(statSync(path).size < 150_000, `${statSync(path).size} bytes`);
  const snapshot = await store.list('');
  assert.is(snapshot.revision, 4000);
  await store.close();
  const again = await EmbeddedStore.open(path);
  assert.equal(await again.list(''), snapshot);
  await again.close();
});

test('keys of leases do not outlive the process that held them', async () => {
  const path = fresh();
  const store = await EmbeddedStore.open(path);
  const { id } = await store.lease(30);
  await store.transact([], [{ type: 'put', key: '/l', value: '1', lease: id }]);
  await store.put('/k', '1');
  await store.close();
  const again = await EmbeddedStore.open(path);
  assert.is(await again.get('/l'), null);
  assert.is((await again.get('/k'))?.value, '1');
  await again.close();
});

test('a watch older than the history is lost, not silently short', async () => {
  const store = new EmbeddedStore();
  for (let i = 0; i < 100_001; i++) await store.put('/k', `${i}`);
  const recorder = new Recorder();
  store.watch('/', 1, recorder.handler);
  await recorder.until(() => recorder.lost !== null);
  assert.is(recorder.seen.length, 0);
  await store.close();
});

test('closed: every call says so', async () => {
  const store = new EmbeddedStore();
  await store.close();
  for (const call of [store.get('/'), store.list('/'), store.put('/', ''), store.lease(1)]) {
    await call.then(
      () => assert.unreachable(),
      (error: Error) => assert.instance(error, StoreClosedError),
    );
  }
});

test.after(() => rmSync(directory, { recursive: true, force: true }));
test.run();
