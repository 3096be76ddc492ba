/** Address sets and large services cross to the data plane's process as what came and went, and whole where the other side does not have what changes. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { Backend, ChangeResult } from '../../control/backends/backend.js';
import { openRemoteBackend, type RemoteBackend } from '../../control/backends/wasm/remote.js';
import {
  ChangeReader,
  ChangeWriter,
  LostBaseError,
  type WireChange,
} from '../../control/backends/wasm/wire-changes.js';
import { serve } from '../../control/dataplane/server.js';
import { Random } from '../../control/oracle/random.js';
import { addressSet, changedSet } from '../../control/ruleset/address-versions.js';
import { canonicalRuleset } from '../../control/ruleset/canonical.js';
import { applyChanges } from '../../control/ruleset/diff.js';
import type {
  AddressSetItem,
  Change,
  Item,
  Key,
  Ruleset,
  ServiceBackend,
  ServiceItem,
} from '../../control/ruleset/types.js';
import { service } from './items.js';

const KEY = 'addressset/x';

/** Takes everything in, but for what has the key `refused`. */
class FakeBackend implements Backend {
  readonly name = 'fake';
  readonly lost = new Promise<Error>(() => undefined);
  readonly took: (readonly Change[])[] = [];
  refused: Key | null = null;
  ruleset: Ruleset = new Map();

  async apply(changes: readonly Change[]): Promise<readonly ChangeResult[]> {
    this.took.push(changes);
    const fails = changes.some(({ key }) => key === this.refused);
    if (!fails) this.ruleset = applyChanges(this.ruleset, changes);
    const error = { name: 'RefusedError', message: 'refused', retryable: false };
    return changes.map(({ key }) => ({ key, error: key === this.refused ? error : null }));
  }

  async dump(): Promise<Ruleset> {
    return this.ruleset;
  }

  counters = () => Promise.reject(new Error('no counters'));
  trace = () => Promise.reject(new Error('no traces'));
  close = () => Promise.resolve();
}

async function withServer(
  body: (backend: FakeBackend, open: () => Promise<RemoteBackend>) => Promise<void>,
): Promise<void> {
  const dir = mkdtempSync(join(tmpdir(), 'pteropus-remote-'));
  const path = join(dir, 'dataplane.sock');
  const backend = new FakeBackend();
  const server = await serve(path, backend, () => ({ pid: process.pid, restarts: 0 }));
  const clients: RemoteBackend[] = [];
  try {
    await body(backend, async () => {
      const client = await openRemoteBackend(path);
      clients.push(client);
      return client;
    });
  } finally {
    for (const client of clients) await client.close();
    await server.close();
    rmSync(dir, { recursive: true });
  }
}

/** The change that adds and removes these. */
function update(old: AddressSetItem, added: readonly string[], removed: readonly string[] = []) {
  const delta = { added, removed };
  const item = changedSet(old, delta);
  return { item, change: { type: 'update', key: old.key, item, old, delta } as const };
}

const addressesOf = ({ ruleset }: FakeBackend): readonly string[] => {
  const item = ruleset.get(KEY);
  return item?.kind === 'addressset' ? item.addresses : [];
};

/** Whether the last transaction told the backend only what came and went. */
function toldDelta(backend: FakeBackend): boolean {
  const change = backend.took.at(-1)?.[0];
  return change?.type === 'update' && change.delta !== undefined && change.old.kind === 'addressset';
}

test('a set that the data plane got from this client is changed by a delta, also after a refused one', () =>
  withServer(async (backend, open) => {
    const client = await open();
    const first = addressSet(KEY, ['10.0.0.1', '10.0.0.2']);
    await client.apply([{ type: 'add', key: KEY, item: first }]);
    const second = update(first, ['10.0.0.3'], ['10.0.0.1']);
    await client.apply([second.change]);
    assert.ok(toldDelta(backend));
    assert.equal(addressesOf(backend), ['10.0.0.2', '10.0.0.3']);
    const third = update(second.item, ['10.0.0.4']);
    backend.refused = KEY;
    const [refused] = await client.apply([third.change]);
    assert.is(refused?.error?.name, 'RefusedError');
    backend.refused = null;
    const results = await client.apply([third.change]);
    assert.equal(results, [{ key: KEY, error: null }]);
    assert.ok(toldDelta(backend));
    assert.equal(addressesOf(backend), ['10.0.0.2', '10.0.0.3', '10.0.0.4']);
  }));

test('where another client changed the set meanwhile, it is sent whole, and by deltas again from then on', () =>
  withServer(async (backend, open) => {
    const [one, other] = [await open(), await open()];
    const first = addressSet(KEY, ['10.0.0.1']);
    await one.apply([{ type: 'add', key: KEY, item: first }]);
    await other.apply([{ type: 'add', key: KEY, item: addressSet(KEY, ['10.9.9.9']) }]);
    const second = update(first, ['10.0.0.2']);
    await one.apply([second.change]);
    assert.not(toldDelta(backend));
    assert.equal(addressesOf(backend), ['10.0.0.1', '10.0.0.2']);
    const third = update(second.item, ['10.0.0.3']);
    await one.apply([third.change]);
    assert.ok(toldDelta(backend));
    assert.equal(addressesOf(backend), ['10.0.0.1', '10.0.0.2', '10.0.0.3']);
  }));

test('a client that did not send the set itself sends it whole', () =>
  withServer(async (backend, open) => {
    const first = addressSet(KEY, ['10.0.0.1']);
    await (await open()).apply([{ type: 'add', key: KEY, item: first }]);
    await (await open()).apply([update(first, ['10.0.0.2']).change]);
    assert.not(toldDelta(backend));
    assert.equal(addressesOf(backend), ['10.0.0.1', '10.0.0.2']);
  }));

test('removing what is not there is answered, and nothing is wrong with it', () =>
  withServer(async (_backend, open) => {
    const client = await open();
    const old = addressSet(KEY, []);
    assert.equal(await client.apply([{ type: 'remove', key: KEY, old }]), [{ key: KEY, error: null }]);
  }));

test('of a service with many backends only those that come and go are told, of one with few all of it', () => {
  const writer = new ChangeWriter('a');
  const told = (old: ServiceItem | null, item: ServiceItem): string => {
    const change: Change =
      old === null ? { type: 'add', key: item.key, item } : { type: 'update', key: item.key, item, old };
    const sent = writer.write([change]);
    writer.applied([change], sent);
    return `${sent[0]?.type} ${JSON.stringify(sent).length < 1000 ? 'short' : 'long'}`;
  };
  const ends = Array.from({ length: 500 }, (_, i) => `10.1.${i >> 8}.${i & 255}:80`);
  const large = service('x', { frontends: FRONTENDS, backends: ends });
  assert.is(told(null, large), 'put long');
  const one = service('x', { frontends: FRONTENDS, backends: ends.slice(1) });
  assert.is(told(large, one), 'backends short');
  const two = { ...one, affinitySeconds: 7 };
  assert.is(told(one, two), 'put long');
  const small = { ...two, backends: two.backends.slice(0, 4) };
  assert.is(told(two, small), 'backends short');
  assert.is(told(small, one), 'put long');
});

test('any history, by two writers, some of it refused: the reader has what was applied', () => {
  for (let seed = 1; seed <= 60; seed++) {
    const random = new Random(seed);
    const sides = ['a', 'b'].map((name) => ({ writer: new ChangeWriter(name), held: new Map() as Ruleset }));
    const reader = new ChangeReader();
    const wanted = new Map<Key, Item>();
    let got: Ruleset = new Map();
    let [deltas, services, lost] = [0, 0, 0];
    for (let step = 0; step < 80; step++) {
      // Neither knows of the other.
      const side = random.chance(0.8) ? sides[0] : sides[1];
      if (side === undefined) break;
      const { writer } = side;
      const changes: Change[] = [];
      for (let n = random.below(3); n >= 0; n--) {
        const held = applyChanges(side.held, changes);
        changes.push(
          random.chance(0.6)
            ? change(random, held, KEY + random.below(4))
            : serviceChange(random, held, random.pick(['x', 'y'])),
        );
      }
      let sent = crossed(writer.write(changes));
      let read: readonly Change[];
      try {
        read = reader.read(sent);
      } catch (error) {
        assert.instance(error, LostBaseError);
        lost++;
        writer.forget();
        sent = crossed(writer.write(changes));
        read = reader.read(sent);
      }
      const fails = random.chance(0.1);
      const error = fails ? { name: 'RefusedError', message: '', retryable: false } : null;
      reader.applied(
        sent,
        read,
        read.map(({ key }) => ({ key, error })),
      );
      if (fails) continue;
      writer.applied(changes, sent);
      deltas += sent.filter(({ type }) => type === 'delta').length;
      services += sent.filter(({ type }) => type === 'backends').length;
      side.held = applyChanges(side.held, changes);
      for (const one of changes) {
        if (one.type === 'remove') wanted.delete(one.key);
        else wanted.set(one.key, one.item);
      }
      got = applyChanges(got, read);
      assert.is(canonicalRuleset(got), canonicalRuleset(wanted), `seed ${seed} step ${step}`);
    }
    assert.ok(
      deltas > 3 && services > 0 && lost > 0,
      `seed ${seed}: ${deltas} and ${services} deltas, ${lost} lost`,
    );
  }
});

function crossed(sent: readonly WireChange[]): readonly WireChange[] {
  return JSON.parse(JSON.stringify(sent)) as readonly WireChange[];
}

function change(random: Random, ruleset: Ruleset, key: Key): Change {
  const old: Item | undefined = ruleset.get(key);
  if (old?.kind !== 'addressset') return { type: 'add', key, item: addressSet(key, ['10.0.0.0']) };
  if (random.chance(0.1)) return { type: 'remove', key, old };
  const address = `10.0.0.${random.below(20)}`;
  const has = old.addresses.includes(address);
  return update(old, has ? [] : [address], has ? [address] : []).change;
}

const FRONTENDS = [{ address: '10.96.0.1', port: 80, type: 'ClusterIP' }] as const;

/** Of a service with some forty backends, some of which may be for others only. */
function serviceChange(random: Random, ruleset: Ruleset, name: string): Change {
  const backends = random.times(30 + random.below(8), (i) => `10.0.0.${i}:80`);
  const item = service(name, { frontends: FRONTENDS, backends });
  const old: Item | undefined = ruleset.get(item.key);
  if (old?.kind !== 'service') return { type: 'add', key: item.key, item };
  if (random.chance(0.1)) return { type: 'remove', key: item.key, old };
  const edited = (list: readonly ServiceBackend[]) => {
    const at = random.below(list.length + 1);
    const weight = 1 + random.below(3);
    const come = random.chance(0.5) ? [{ ...(list[0] as ServiceBackend), address: '10.0.1.1', weight }] : [];
    return [...list.slice(0, at), ...come, ...list.slice(at + random.below(2))];
  };
  const now = { ...old, backends: edited(old.backends) };
  if (random.chance(0.3)) return { type: 'update', key: item.key, old, item: { ...now, affinitySeconds: 5 } };
  const outsideBackends = old.outsideBackends === null ? null : edited(old.backends.slice(0, 5));
  const outside = random.chance(0.2) ? old.backends.slice(0, 3) : outsideBackends;
  return { type: 'update', key: item.key, old, item: { ...now, outsideBackends: outside } };
}

test.run();
