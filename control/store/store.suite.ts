/** What every store does, whichever way it keeps its data. Each implementation's test calls this. */
import { suite, type Test } from 'uvu';
import * as assert from 'uvu/assert';
import { LeaseNotFoundError } from './errors.js';
import { MAX_OPERATIONS, type Store, type StoreEvent, type Watch } from './store.js';

export interface StoreRig {
  readonly store: Store;
  close(): Promise<void>;
}

/** Collects what a watch delivers and lets a test wait for it. */
export class Recorder {
  readonly seen: { readonly revision: number; readonly events: readonly StoreEvent[] }[] = [];
  lost: Error | null = null;
  #wake: (() => void)[] = [];

  readonly handler = {
    events: (events: readonly StoreEvent[], revision: number): void => {
      this.seen.push({ revision, events });
      this.#ring();
    },
    lost: (reason: Error): void => {
      this.lost = reason;
      this.#ring();
    },
  };

  async until(condition: () => boolean): Promise<void> {
    while (!condition()) await new Promise<void>((resolve) => this.#wake.push(resolve));
  }

  /** `+key=value` and `-key`, in order. */
  get text(): readonly string[] {
    return this.seen.flatMap(({ events }) =>
      events.map((e) => (e.type === 'put' ? `+${e.entry.key}=${e.entry.value}` : `-${e.key}`)),
    );
  }

  #ring(): void {
    const wake = this.#wake;
    this.#wake = [];
    for (const resolve of wake) resolve();
  }
}

export function storeSuite(name: string, open: () => Promise<StoreRig>): void {
  const test = suite(name);
  const check = (title: string, body: (store: Store) => Promise<void>): void => {
    (test as Test)(title, async () => {
      const rig = await open();
      try {
        await body(rig.store);
      } finally {
        await rig.close();
      }
    });
  };

  check('get what was put; revision and creation are told', async (store) => {
    assert.is(await store.get('/a'), null);
    const first = await store.put('/a', '1');
    const second = await store.put('/a', '2');
    assert.is(second, first + 1);
    assert.equal(await store.get('/a'), { key: '/a', value: '2', revision: second, created: first });
    assert.ok(await store.delete('/a'));
    assert.not(await store.delete('/a'));
    const third = await store.put('/a', '');
    assert.equal(await store.get('/a'), { key: '/a', value: '', revision: third, created: third });
  });

  check('list is by prefix, sorted, with the revision', async (store) => {
    for (const key of ['/b/2', '/a', '/b/10', '/b', '/c']) await store.put(key, key);
    const { entries, revision } = await store.list('/b/');
    assert.equal(
      entries.map((e) => e.key),
      ['/b/10', '/b/2'],
    );
    assert.is(revision, (await store.get('/c'))?.revision);
  });

  check('a transaction happens whole or not at all', async (store) => {
    const revision = await store.put('/x', '1');
    const good = await store.transact(
      [
        { key: '/x', revision },
        { key: '/y', revision: 0 },
      ],
      [
        { type: 'put', key: '/y', value: 'y' },
        { type: 'delete', key: '/x' },
      ],
    );
    assert.equal(good, { ok: true, revision: revision + 1 });
    const bad = await store.transact([{ key: '/y', revision: 0 }], [{ type: 'put', key: '/z', value: 'z' }]);
    assert.equal(bad, { ok: false, revision: revision + 1 });
    assert.is(await store.get('/x'), null);
    assert.is(await store.get('/z'), null);
    assert.is((await store.get('/y'))?.revision, revision + 1);
  });

  check('a transaction without effect leaves the revision', async (store) => {
    const revision = await store.put('/x', '1');
    assert.equal(await store.transact([], [{ type: 'delete', key: '/none' }]), { ok: true, revision });
  });

  check('of many that want one key, one gets it', async (store) => {
    const results = await Promise.all(
      Array.from({ length: 20 }, (_, i) =>
        store.transact([{ key: '/id/1', revision: 0 }], [{ type: 'put', key: '/id/1', value: `${i}` }]),
      ),
    );
    assert.is(results.filter((r) => r.ok).length, 1);
  });

  check('the same key twice in one transaction is refused', async (store) => {
    const operation = { type: 'put', key: '/x', value: '1' } as const;
    await store.transact([], [operation, operation]).then(
      () => assert.unreachable(),
      (error: Error) => assert.match(error.message, 'changes a key once'),
    );
    assert.is(await store.get('/x'), null);
  });

  check('a watch tells all changes since a revision, in order, by prefix', async (store) => {
    const from = await store.put('/w/old', '0');
    await store.put('/w/a', '1');
    const recorder = new Recorder();
    const watch = store.watch('/w/', from, recorder.handler);
    await store.put('/other', 'x');
    await store.transact(
      [],
      [
        { type: 'put', key: '/w/b', value: '2' },
        { type: 'delete', key: '/w/a' },
        { type: 'put', key: '/other', value: 'y' },
      ],
    );
    const last = await store.put('/w/a', '3');
    await recorder.until(() => recorder.seen.at(-1)?.revision === last);
    assert.equal(recorder.text, ['+/w/a=1', '+/w/b=2', '-/w/a', '+/w/a=3']);
    assert.is(recorder.seen.length, 3, 'events of one revision come together');
    watch.close();
  });

  check('several prefixes are one listing and one watch, whose revisions rise together', async (store) => {
    const both = ['/m/x/', '/m/z/'];
    for (const key of ['/m/z/1', '/m/y/1', '/m/x/1']) await store.put(key, '');
    const listed = await store.list(both);
    assert.equal(
      listed.entries.map(({ key }) => key),
      ['/m/x/1', '/m/z/1'],
    );
    const recorder = new Recorder();
    const watch = store.watch(both, listed.revision, recorder.handler);
    for (let i = 0; i < 20; i++) {
      for (const prefix of ['/m/z/', '/m/y/', '/m/x/']) await store.put(`${prefix}${i}`, '2');
    }
    await store.delete('/m/y/1');
    await store.delete('/m/z/1');
    await recorder.until(() => recorder.text.at(-1) === '-/m/z/1');
    const wanted = Array.from({ length: 20 }, (_, i) => [`+/m/z/${i}=2`, `+/m/x/${i}=2`]).flat();
    assert.equal(recorder.text, [...wanted, '-/m/z/1']);
    const revisions = recorder.seen.map(({ revision }) => revision);
    assert.equal(
      revisions,
      [...revisions].sort((a, b) => a - b),
    );
    watch.close();
  });

  check('a transaction of the most operations comes as one', async (store) => {
    const recorder = new Recorder();
    const watch = store.watch('/t/', (await store.list('')).revision, recorder.handler);
    const operations = Array.from({ length: MAX_OPERATIONS }, (_, i) => {
      return { type: 'put', key: `/t/${i}`, value: 'x'.repeat(5000) } as const;
    });
    const { revision } = await store.transact([], operations);
    await recorder.until(() => recorder.seen.length > 0);
    assert.is(recorder.seen[0]?.revision, revision);
    assert.is(recorder.seen[0]?.events.length, MAX_OPERATIONS);
    assert.is((await store.list('/t/')).entries.length, MAX_OPERATIONS);
    watch.close();
  });

  check('a key that was removed and made again counts as another', async (store) => {
    const first = await store.put('/k', '1');
    await store.delete('/k');
    await store.put('/k', '1');
    const { ok } = await store.transact([{ key: '/k', revision: first }], [{ type: 'delete', key: '/k' }]);
    assert.not(ok);
  });

  check('keys are sorted as text is, whatever letters they have', async (store) => {
    const keys = ['/s/a', '/s/A', '/s/\u00fc', '/s/\u{1f600}', '/s/\uff5e', '/s/aa'];
    for (const key of keys) await store.put(key, '');
    assert.equal(
      (await store.list('/s/')).entries.map(({ key }) => key),
      [...keys].sort(),
    );
  });

  check('a closed watch is silent', async (store) => {
    const closed = new Recorder();
    const open_ = new Recorder();
    const watches: Watch[] = [store.watch('/', 0, closed.handler), store.watch('/', 0, open_.handler)];
    await store.put('/a', '1');
    await open_.until(() => open_.seen.length === 1);
    const before = closed.seen.length;
    watches[0]?.close();
    await store.put('/a', '2');
    await open_.until(() => open_.seen.length === 2);
    assert.is(closed.seen.length, before);
    watches[1]?.close();
  });

  check('a watch from a revision the store never had is lost', async (store) => {
    const recorder = new Recorder();
    store.watch('/', 1_000_000, recorder.handler);
    await recorder.until(() => recorder.lost !== null);
    assert.match(String(recorder.lost?.message), 'another store');
  });

  check('keys of a lease go when it is revoked; a later put without it frees the key', async (store) => {
    const lease = await store.lease(30);
    await store.transact(
      [],
      [
        { type: 'put', key: '/l/a', value: '1', lease: lease.id },
        { type: 'put', key: '/l/b', value: '1', lease: lease.id },
      ],
    );
    await store.put('/l/b', '2');
    const recorder = new Recorder();
    const watch = store.watch('/l/', (await store.list('/')).revision, recorder.handler);
    await lease.revoke();
    await lease.lost;
    await recorder.until(() => recorder.seen.length > 0);
    assert.equal(recorder.text, ['-/l/a']);
    assert.is((await store.get('/l/b'))?.value, '2');
    await store.transact([], [{ type: 'put', key: '/l/c', value: '1', lease: lease.id }]).then(
      () => assert.unreachable(),
      (error: Error) => assert.instance(error, LeaseNotFoundError),
    );
    watch.close();
  });

  check('values of any text and size', async (store) => {
    const value = JSON.stringify({ text: 'ü\n\u0000\u2028"'.repeat(50_000), empty: [], none: null });
    await store.put('/big', value);
    assert.is((await store.get('/big'))?.value, value);
  });

  test.run();
}
