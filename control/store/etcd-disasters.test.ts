/** The store on a real etcd that is full, or was put back to an earlier state. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { etcd, startEtcd, type TestEtcd } from '../../test/support/etcd.js';
import { testIf } from '../../test/support/requires.js';
import { errorText, PteropusError } from '../common/errors.js';
import { EtcdStore } from './etcd.js';
import { Recorder } from './store.suite.js';

const check = testIf(test, etcd());

async function on(
  args: readonly string[],
  body: (server: TestEtcd, open: () => EtcdStore) => Promise<void>,
): Promise<void> {
  const server = await startEtcd({ args });
  const stores: EtcdStore[] = [];
  try {
    await body(server, () => {
      const store = new EtcdStore(server.config);
      stores.push(store);
      return store;
    });
  } finally {
    for (const store of stores) await store.close();
    await server.close();
  }
}

check('an etcd that is full refuses writes by name; listings and watches, new ones too, go on', () =>
  on(['--quota-backend-bytes', String(2 << 20)], async (_server, open) => {
    const store = open();
    const recorder = new Recorder();
    await store.put('/a', '1');
    store.watch('/', (await store.list('')).revision, recorder.handler);
    let full: unknown;
    while (full === undefined) {
      await store.put('/large', 'x'.repeat(400_000)).catch((error: unknown) => {
        full = error;
      });
    }
    assert.match(errorText(full), /database space exceeded/);
    assert.ok(full instanceof PteropusError && full.retryable);
    const late = open();
    const { entries, revision } = await late.list('');
    assert.equal(
      entries.map(({ key }) => key),
      ['/a', '/large'],
    );
    const following = new Recorder();
    late.watch('/', revision - 1, following.handler);
    await following.until(() => following.text.length === 1);
    assert.is(following.lost, null);
    assert.is(recorder.lost, null);
  }),
);

/** `meanwhile` runs while the watch is not there yet: its way is cut until then. */
async function putBack(
  server: TestEtcd,
  open: () => EtcdStore,
  before: (store: EtcdStore) => Promise<void>,
  after: (store: EtcdStore) => Promise<void>,
  listed: boolean,
  /** Events of `before`. */
  expected = 1,
): Promise<Recorder> {
  const store = open();
  await store.put('/k/a', '1');
  // From here on it is this store, and no other.
  await store.list('');
  await server.stop('SIGTERM');
  server.keep();
  await server.start();
  const recorder = new Recorder();
  if (listed) await before(store);
  const { revision } = await store.list('/k/');
  const follow = () => store.watch('/k/', revision, recorder.handler);
  if (listed) {
    // What was read is put back before the watch is there.
    await server.stop('SIGTERM');
    server.putBack();
    await server.start();
    await after(open());
    follow();
    return recorder;
  }
  follow();
  await before(store);
  await recorder.until(() => recorder.text.length === expected);
  await server.stop('SIGTERM');
  server.putBack();
  const writing = open();
  const written = after(writing);
  await server.start();
  await written;
  return recorder;
}

for (const [what, lose, again] of [
  ['a change', (store: EtcdStore) => store.put('/k/lost', '2')],
  ['a removal', (store: EtcdStore) => store.delete('/k/a')],
  // As ksr does: what is removed is removed again.
  [
    'a change and a removal that is done again',
    async (store: EtcdStore) => {
      await store.put('/k/lost', '2');
      await store.delete('/k/a');
    },
    (store: EtcdStore) => store.delete('/k/a'),
  ],
] as const) {
  for (const listed of [true, false]) {
    const name = `an etcd put back to before ${what} that ${listed ? 'a listing' : 'a watch'} knew, and written to since`;
    check(`${name}: the watch is lost`, () =>
      on([], async (server, open) => {
        const recorder = await putBack(
          server,
          open,
          async (store) => {
            await lose(store);
            // The last that is known of a listing is a change.
            if (listed) await store.put('/k/b', '3');
          },
          async (store) => {
            await again?.(store);
            for (let i = 0; i < 20; i++) await store.put(i === 10 ? '/k/new' : '/other', `${i}`);
          },
          listed,
          again === undefined ? 1 : 2,
        );
        await recorder.until(() => recorder.lost !== null);
        assert.match(String(recorder.lost?.message), /earlier state/);
      }),
    );
  }
}

check('an etcd put back to after the latest change of a prefix: the watch misses nothing', () =>
  on([], async (server, open) => {
    const recorder = await putBack(
      server,
      open,
      async (store) => {
        for (let i = 0; i < 10; i++) await store.put('/other', `${i}`);
      },
      async (store) => {
        for (let i = 0; i < 20; i++) await store.put(i === 1 ? '/k/new' : '/other', `${i}`);
      },
      true,
    );
    await recorder.until(() => recorder.seen.length > 0);
    assert.equal(recorder.text, ['+/k/new=1']);
    assert.is(recorder.lost, null);
  }),
);

test.run();
