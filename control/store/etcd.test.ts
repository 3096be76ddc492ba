/** The store against a real etcd. */
import { createServer, type Server, type Socket } from 'node:net';
import { Etcd3 } from 'etcd3';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { makeCertificates } from '../../test/support/certificates.js';
import { etcd, freePort, startEtcd, type TestEtcd } from '../../test/support/etcd.js';
import { program, testIf } from '../../test/support/requires.js';
import { InvalidInputError } from '../common/errors.js';
import {
  LeaseNotFoundError,
  StoreClosedError,
  StoreUnavailableError,
  TransactionTooLargeError,
} from './errors.js';
import { EtcdStore } from './etcd.js';
import { Recorder, storeSuite } from './store.suite.js';

const check = testIf(test, etcd());
const checkTls = testIf(test, etcd(), program('openssl'));
const servers = new Set<TestEtcd>();
let shared: TestEtcd | null = null;
let count = 0;

/** One etcd for all tests that leave it as it is; each has keys of its own. */
async function here(): Promise<TestEtcd> {
  shared ??= await fresh();
  return shared;
}

async function fresh(options?: Parameters<typeof startEtcd>[0]): Promise<TestEtcd> {
  const server = await startEtcd(options);
  servers.add(server);
  return server;
}

if (etcd() === null) {
  storeSuite('etcd', async () => {
    const store = new EtcdStore({ ...(await here()).config, prefix: `/test-${count++}` });
    await store.list('');
    return { store, close: () => store.close() };
  });
}

async function refused(
  call: Promise<unknown>,
  type: abstract new (...args: never[]) => Error,
): Promise<Error> {
  try {
    await call;
  } catch (error) {
    assert.instance(error, type);
    return error as Error;
  }
  return assert.unreachable() as never;
}

check('a listing of several pages is of one revision', async () => {
  const store = new EtcdStore({ ...(await here()).config, prefix: `/test-${count++}` }, { pageSize: 7 });
  await store.list('');
  const keys = Array.from({ length: 30 }, (_, i) => `/k/${String(i).padStart(2, '0')}`);
  for (const key of keys) await store.put(key, key);
  const { entries, revision } = await store.list('/k/');
  assert.equal(
    entries.map(({ key }) => key),
    keys,
  );
  assert.is(revision, entries.at(-1)?.revision);
  assert.equal((await store.list('/none/')).entries, []);
  await store.close();
});

check('keys of one root are nobody else’s', async () => {
  const { config } = await here();
  const [one, two] = [
    new EtcdStore({ ...config, prefix: '/r1' }),
    new EtcdStore({ ...config, prefix: '/r2' }),
  ];
  const recorder = new Recorder();
  const watch = two.watch('/', (await two.list('')).revision, recorder.handler);
  await one.put('/a', '1');
  await two.put('/b', '2');
  await recorder.until(() => recorder.seen.length > 0);
  assert.equal(recorder.text, ['+/b=2']);
  assert.equal(
    (await one.list('')).entries.map(({ key }) => key),
    ['/a'],
  );
  watch.close();
  await one.close();
  await two.close();
});

check('more than etcd takes at once is refused before it is sent', async () => {
  const store = new EtcdStore((await here()).config);
  const put = (i: number, value: string) => ({ type: 'put', key: `/big/${i}`, value }) as const;
  await refused(
    store.transact(
      [],
      Array.from({ length: 129 }, (_, i) => put(i, '')),
    ),
    TransactionTooLargeError,
  );
  await refused(store.transact([], [put(0, 'x'.repeat(2_000_000))]), TransactionTooLargeError);
  await refused(store.transact([], [put(0, ''), { type: 'delete', key: '/big/0' }]), InvalidInputError);
  assert.is(await store.get('/big/0'), null);
  await store.close();
});

check('an etcd that restarts: requests wait for it, a watch goes on without a gap', async () => {
  const server = await fresh();
  const store = new EtcdStore(server.config);
  const recorder = new Recorder();
  store.watch('/', (await store.list('')).revision, recorder.handler);
  await store.put('/a', '1');
  for (const signal of ['SIGTERM', 'SIGKILL'] as const) {
    await server.stop(signal);
    const reading = store.get('/a');
    await server.start();
    assert.ok((await reading) !== null);
    await store.put('/a', signal);
    await recorder.until(() => recorder.text.at(-1) === `+/a=${signal}`);
  }
  await store.put('/b', '2');
  await recorder.until(() => recorder.text.includes('+/b=2'));
  assert.equal(recorder.text, ['+/a=1', '+/a=SIGTERM', '+/a=SIGKILL', '+/b=2']);
  assert.is(recorder.lost, null);
  await store.close();
  await server.close();
});

check(
  'etcd away: StoreUnavailableError after the timeout, retryable; closed: StoreClosedError at once',
  async () => {
    const server = await fresh();
    const store = new EtcdStore(server.config, { timeoutMs: 200 });
    await store.put('/a', '1');
    await server.stop();
    const calls = [store.get('/a'), store.put('/a', '2'), store.list('/'), store.lease(5)];
    for (const error of await Promise.all(calls.map((call) => refused(call, StoreUnavailableError)))) {
      assert.ok((error as StoreUnavailableError).retryable);
    }
    const waiting = new EtcdStore(server.config);
    const call = refused(waiting.get('/a'), StoreClosedError);
    await waiting.close();
    await call;
    await refused(waiting.get('/a'), StoreClosedError);
    await store.close();
    await server.close();
  },
);

check('a compacted history: the watch is lost, not silently short', async () => {
  const { config } = await here();
  const store = new EtcdStore({ ...config, prefix: `/test-${count++}` });
  const from = await store.put('/a', '0');
  for (let i = 0; i < 5; i++) await store.put('/a', `${i}`);
  const raw = new Etcd3({ hosts: [...config.endpoints] });
  await raw.kv.compact({ revision: await store.put('/a', 'last') });
  raw.close();
  const recorder = new Recorder();
  store.watch('/', from, recorder.handler);
  await recorder.until(() => recorder.lost !== null);
  assert.is(recorder.seen.length, 0);
  assert.match(String(recorder.lost?.message), 'no longer');
  await store.close();
});

check('an emptied etcd is another store, even when its revision has overtaken the old one', async () => {
  const server = await fresh();
  const store = new EtcdStore(server.config);
  await store.put('/a', '1');
  const recorder = new Recorder();
  store.watch('/', (await store.list('')).revision, recorder.handler);
  await server.stop();
  server.empty();
  await server.start();
  // Written before the watch is back: without an identity nothing would be noticed.
  const other = new EtcdStore(server.config);
  for (let i = 0; i < 20; i++) await other.put('/b', `${i}`);
  await recorder.until(() => recorder.lost !== null);
  assert.match(String(recorder.lost?.message), /another/);
  assert.is(await store.get('/a'), null);
  await store.close();
  await other.close();
  await server.close();
});

check('a lease is lost when etcd was out of reach for longer than it lasts', async () => {
  const server = await fresh();
  const store = new EtcdStore(server.config);
  const lease = await store.lease(1);
  await store.transact([], [{ type: 'put', key: '/l', value: '1', lease: lease.id }]);
  let lost = false;
  void lease.lost.then(() => {
    lost = true;
  });
  await new Promise((resolve) => setTimeout(resolve, 1500));
  assert.not(lost, 'kept alive');
  assert.ok((await store.get('/l')) !== null);
  await server.stop();
  await lease.lost;
  await server.start();
  await lease.revoke();
  assert.is(await store.get('/l'), null);
  await store.close();
  await server.close();
});

check('a lease survives a short restart of etcd; one that etcd took back is lost', async () => {
  const server = await fresh();
  const store = new EtcdStore(server.config);
  const lease = await store.lease(5);
  await store.transact([], [{ type: 'put', key: '/l', value: '1', lease: lease.id }]);
  await server.stop();
  await server.start();
  assert.ok((await store.get('/l')) !== null);
  const raw = new Etcd3({ hosts: [...server.config.endpoints] });
  await raw.leaseClient.leaseRevoke({ ID: lease.id });
  raw.close();
  await lease.lost;
  const put = { type: 'put', key: '/l', value: '2', lease: lease.id } as const;
  await refused(store.transact([], [put]), LeaseNotFoundError);
  await store.close();
  await server.close();
});

check('of several endpoints the one that answers is taken; one that hangs costs one deadline', async () => {
  const server = await fresh();
  const taken: Socket[] = [];
  const silent: Server = createServer((socket) => taken.push(socket.on('error', () => undefined)));
  await new Promise<void>((resolve) => silent.listen(0, '127.0.0.1', resolve));
  const address = silent.address();
  const port = typeof address === 'object' && address !== null ? address.port : 0;
  const endpoints = [`http://127.0.0.1:${await freePort()}`, ...server.config.endpoints];
  const stores = Array.from({ length: 4 }, () => new EtcdStore({ endpoints }));
  await Promise.all(stores.map((store, i) => store.put(`/e/${i}`, '1')));
  assert.is((await stores[0]?.list('/e/'))?.entries.length, 4);
  const slow = new EtcdStore({ endpoints: [`http://127.0.0.1:${port}`] }, { timeoutMs: 300 });
  await refused(slow.get('/a'), StoreUnavailableError);
  for (const store of [...stores, slow]) await store.close();
  silent.close();
  // A connection that was never answered is held until its server goes.
  for (const socket of taken) socket.destroy();
  await server.close();
});

checkTls('TLS: a client certificate opens, none or a stranger’s does not', async () => {
  const server = await fresh({ tls: true });
  const { config } = server;
  const store = new EtcdStore(config);
  const recorder = new Recorder();
  store.watch('/', (await store.list('')).revision, recorder.handler);
  await store.put('/a', 'secret');
  await recorder.until(() => recorder.seen.length > 0);
  const { id, revoke } = await store.lease(5);
  await store.transact([], [{ type: 'put', key: '/l', value: '', lease: id }]);
  await revoke();
  const folder = `${config.caFile ?? ''}-others`;
  const { stranger, ca } = makeCertificates(folder);
  const wrong: EtcdStore[] = [
    new EtcdStore({ endpoints: config.endpoints, caFile: config.caFile ?? '' }, { timeoutMs: 300 }),
    new EtcdStore({ ...config, certFile: stranger.cert, keyFile: stranger.key }, { timeoutMs: 300 }),
    new EtcdStore({ ...config, caFile: ca }, { timeoutMs: 300 }),
  ];
  for (const other of wrong) {
    await refused(other.get('/a'), StoreUnavailableError);
    await other.close();
  }
  const missing = new EtcdStore({ ...config, keyFile: '/nowhere.key' });
  const error = await refused(missing.get('/a'), InvalidInputError);
  assert.match(error.message, '/nowhere.key');
  await missing.close();
  await store.close();
  await server.close();
});

test.after(async () => {
  for (const server of servers) await server.close();
});
test.run();
