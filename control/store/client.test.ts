import { mkdtempSync, rmSync, statSync } from 'node:fs';
import { connect, createServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { openStoreClient } from './client.js';
import { EmbeddedStore } from './embedded.js';
import { StoreUnavailableError } from './errors.js';
import { serveStore } from './server.js';
import { Recorder, storeSuite } from './store.suite.js';

const directory = mkdtempSync(join(tmpdir(), 'pteropus-store-'));
let count = 0;
const fresh = (): string => join(directory, `${count++}.sock`);

storeSuite('client', async () => {
  const path = fresh();
  const store = new EmbeddedStore();
  const server = await serveStore(store, path);
  const client = await openStoreClient(path);
  const close = async (): Promise<void> => {
    await client.close();
    await server.close();
    await store.close();
  };
  return { store: client, close };
});

test('the socket is for its owner only', async () => {
  const path = fresh();
  const server = await serveStore(new EmbeddedStore(), path);
  assert.is(statSync(path).mode & 0o777, 0o600);
  await server.close();
  assert.throws(() => statSync(path), /ENOENT/);
});

test('no server: StoreUnavailableError after the timeout, retryable', async () => {
  await openStoreClient(fresh(), { timeoutMs: 30 }).then(
    () => assert.unreachable(),
    (error: unknown) => assert.ok(error instanceof StoreUnavailableError && error.retryable),
  );
});

test('a client that comes first waits for the server', async () => {
  const path = fresh();
  const opening = openStoreClient(path);
  const store = new EmbeddedStore();
  const server = await serveStore(store, path);
  const client = await opening;
  assert.is(await client.put('/a', '1'), 1);
  await client.close();
  await server.close();
});

test('a server that comes back with the same store: requests and watches go on without a gap', async () => {
  const path = fresh();
  const store = new EmbeddedStore();
  let server = await serveStore(store, path);
  const client = await openStoreClient(path);
  const recorder = new Recorder();
  client.watch('/', 0, recorder.handler);
  await client.put('/a', '1');
  await recorder.until(() => recorder.seen.length === 1);
  await server.close();
  await store.put('/a', '2');
  const waiting = client.get('/a');
  server = await serveStore(store, path);
  assert.is((await waiting)?.value, '2');
  await client.put('/a', '3');
  await recorder.until(() => recorder.seen.length === 3);
  assert.equal(recorder.text, ['+/a=1', '+/a=2', '+/a=3']);
  await client.close();
  await server.close();
});

test('another store behind the same socket: watches are lost', async () => {
  const path = fresh();
  let server = await serveStore(new EmbeddedStore(), path);
  const client = await openStoreClient(path);
  const recorder = new Recorder();
  client.watch('/', 0, recorder.handler);
  await client.put('/a', '1');
  await server.close();
  server = await serveStore(new EmbeddedStore(), path);
  await recorder.until(() => recorder.lost !== null);
  assert.match(String(recorder.lost?.message), 'another');
  assert.is(await client.get('/a'), null);
  await client.close();
  await server.close();
});

test('a lease lives as long as its client, and a little longer', async () => {
  const path = fresh();
  const store = new EmbeddedStore();
  const server = await serveStore(store, path);
  const client = await openStoreClient(path);
  const { id } = await client.lease(0.03);
  await client.transact([], [{ type: 'put', key: '/l', value: '1', lease: id }]);
  const recorder = new Recorder();
  const watch = store.watch('/l', 1, recorder.handler);
  await client.close();
  await recorder.until(() => recorder.seen.length === 1);
  assert.equal(recorder.text, ['-/l']);
  watch.close();
  await server.close();
});

/** Passes bytes on to `target`; `cut` breaks what is connected. */
async function cuttable(path: string, target: string): Promise<{ cut(): void; close(): Promise<void> }> {
  const sockets = new Set<Socket>();
  const cut = (): void => {
    for (const socket of sockets) socket.destroy();
    sockets.clear();
  };
  const server = createServer((near) => {
    const far = connect(target);
    for (const socket of [near, far]) sockets.add(socket.on('error', cut));
    near.pipe(far).pipe(near);
  });
  await new Promise<void>((resolve) => server.listen(path, resolve));
  const close = (): Promise<void> => {
    cut();
    return new Promise((resolve) => server.close(() => resolve()));
  };
  return { cut, close };
}

test('a client that reconnects in time keeps its lease and its watch', async () => {
  const [path, middle] = [fresh(), fresh()];
  const store = new EmbeddedStore();
  const server = await serveStore(store, path);
  const wire = await cuttable(middle, path);
  const client = await openStoreClient(middle);
  const { id, revoke } = await client.lease(0.2);
  await client.transact([], [{ type: 'put', key: '/l', value: '1', lease: id }]);
  const recorder = new Recorder();
  client.watch('/', 0, recorder.handler);
  await recorder.until(() => recorder.seen.length === 1);
  for (let i = 0; i < 3; i++) {
    wire.cut();
    await new Promise((resolve) => setTimeout(resolve, 100));
    await client.get('/l');
  }
  await store.put('/a', '1');
  await recorder.until(() => recorder.seen.length === 2);
  assert.equal(recorder.text, ['+/l=1', '+/a=1'], 'three cuts of 0.1 s, and the lease of 0.2 s is there');
  await revoke();
  assert.is(await store.get('/l'), null);
  await client.close();
  await wire.close();
  await server.close();
});

test('garbage on the socket ends that connection only', async () => {
  const path = fresh();
  const server = await serveStore(new EmbeddedStore(), path);
  const client = await openStoreClient(path);
  const rude = connect(path);
  rude.on('error', () => undefined);
  rude.write('GET / HTTP/1.1\r\n\r\n');
  await new Promise<void>((resolve) => rude.on('close', () => resolve()).resume());
  assert.is(await client.put('/a', '1'), 1);
  await client.close();
  await server.close();
});

test.after(() => rmSync(directory, { recursive: true, force: true }));
test.run();
