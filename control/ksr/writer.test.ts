import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { COMPLETE_KEY, OBJECTS_PREFIX } from '../objects/stored-keys.js';
import { EmbeddedStore } from '../store/embedded.js';
import { MAX_OPERATIONS, type Store } from '../store/store.js';
import { campaign, LEADER_KEY } from './election.js';
import { LeadershipLostError, MarkRemovedError, ObjectsRemovedError } from './errors.js';
import { type Reduced, reduce } from './reduce.js';
import { RESOURCES, type ReflectedKind } from './resources.js';
import { Wanted } from './wanted.js';
import { Writer } from './writer.js';

function reduced(kind: ReflectedKind, value: object): Reduced {
  const resource = RESOURCES.find((one) => one.kind === kind);
  const made = resource === undefined ? null : reduce(resource, value, []);
  if (made === null) throw new Error('no object');
  return made;
}

const namespace = (name: string, labels = {}): Reduced =>
  reduced('Namespace', { metadata: { name, labels } });
const policy = (name: string, spec: object = { podSelector: {} }): Reduced =>
  reduced('NetworkPolicy', { metadata: { name, namespace: 'a' }, spec });

async function rig(): Promise<{
  readonly store: EmbeddedStore;
  readonly wanted: Wanted;
  readonly failures: Error[];
  writer(): Writer;
  held(): Promise<readonly string[]>;
}> {
  const store = new EmbeddedStore();
  const wanted = new Wanted();
  const failures: Error[] = [];
  const lead = await campaign(
    store,
    { identity: 'x', leaseSeconds: 5 },
    new AbortController().signal,
    () => undefined,
  );
  if (lead === null) throw new Error('nobody leads');
  const { condition } = lead;
  const writer = (): Writer =>
    new Writer(store, wanted, condition, {
      written: () => undefined,
      failed: (error) => failures.push(error),
    });
  const held = async () =>
    (await store.list(OBJECTS_PREFIX)).entries.map(({ key }) => key.slice(OBJECTS_PREFIX.length));
  return { store, wanted, failures, writer, held };
}

/** Resolves when the store's key is as `so` says. */
function until(store: Store, so: () => Promise<boolean>): Promise<void> {
  return new Promise((resolve, reject) => {
    const look = (): void => {
      so().then((is) => {
        if (!is) return;
        watch.close();
        resolve();
      }, reject);
    };
    const watch = store.watch('/', 0, { events: look, lost: reject });
    look();
  });
}

test('a sweep writes what is missing, removes what is not wanted, leaves what is right, then says so', async () => {
  const { store, wanted, writer, held } = await rig();
  const same = namespace('same');
  const revision = await store.put(same.key, same.json ?? '');
  await store.put(`${OBJECTS_PREFIX}Pod/a/gone`, '{}');
  await store.put(namespace('old').key, '{}');
  wanted.replace('Namespace', [same, namespace('old'), namespace('new')]);
  const one = writer();
  await one.sweep();
  assert.equal(await held(), ['Namespace//new', 'Namespace//old', 'Namespace//same']);
  assert.is((await store.get(same.key))?.revision, revision);
  const marker = await store.get(COMPLETE_KEY);
  assert.ok((marker?.created ?? 0) > ((await store.get(namespace('new').key))?.revision ?? 0));
  const now = (await store.list('/')).revision;
  const two = writer();
  await two.sweep();
  assert.is((await store.list('/')).revision, now, 'nothing to do, nothing written');
  one.close();
  two.close();
});

test('objects that vanished from a store that calls itself complete: the mark goes first and comes last', async () => {
  const { store, wanted, writer } = await rig();
  await store.put(COMPLETE_KEY, '{}');
  wanted.replace('Namespace', [namespace('a')]);
  const seen: string[] = [];
  const watch = store.watch('/pteropus/', (await store.list('/')).revision, {
    events: (events) => {
      for (const event of events) seen.push(event.type === 'put' ? `+${event.entry.key}` : `-${event.key}`);
    },
    lost: () => undefined,
  });
  const one = writer();
  await one.sweep();
  await until(store, async () => seen.length >= 3);
  assert.equal(seen, [`-${COMPLETE_KEY}`, `+${namespace('a').key}`, `+${COMPLETE_KEY}`]);
  one.close();
  watch.close();
});

test('thousands of objects in transactions of the size a store takes, policies before pods', async () => {
  const { store, wanted, writer, held } = await rig();
  const pods = Array.from({ length: 1000 }, (_, i) =>
    reduced('Pod', { metadata: { name: `p${i}`, namespace: 'a' }, spec: { containers: [{ name: 'c' }] } }),
  );
  wanted.replace('Pod', pods);
  wanted.replace('NetworkPolicy', [policy('closed')]);
  const transact = store.transact.bind(store);
  let most = 0;
  store.transact = (conditions, operations) => {
    most = Math.max(most, operations.length);
    assert.is(conditions.length, 1, 'each write is fenced');
    return transact(conditions, operations);
  };
  const one = writer();
  await one.sweep();
  assert.is((await held()).length, 1001);
  assert.is(most, MAX_OPERATIONS);
  const closed = (await store.get(policy('closed').key))?.revision ?? 0;
  const { entries } = await store.list(`${OBJECTS_PREFIX}Pod/`);
  assert.ok(entries.every(({ revision }) => revision > closed));
  one.close();
});

test('changes follow; what somebody else does to the objects is put right', async () => {
  const { store, wanted, writer } = await rig();
  wanted.replace('Namespace', [namespace('a'), namespace('b')]);
  const one = writer();
  await one.sweep();
  wanted.put('Namespace', namespace('a', { now: 'x' }));
  one.touch([namespace('a').key]);
  await until(store, async () => ((await store.get(namespace('a').key))?.value ?? '').includes('now'));
  await store.delete(namespace('a').key);
  await until(store, async () => (await store.get(namespace('a').key)) !== null);
  await store.put(`${OBJECTS_PREFIX}Pod/a/ghost`, '{}');
  await until(store, async () => (await store.get(`${OBJECTS_PREFIX}Pod/a/ghost`)) === null);
  one.close();
});

test('a deletion that is told before the write it follows is acknowledged is put right', async () => {
  const { store, wanted, writer } = await rig();
  wanted.replace('Namespace', [namespace('other')]);
  const one = writer();
  await one.sweep();
  const { key } = namespace('a');
  const transact = store.transact.bind(store);
  let deleted = false;
  store.transact = async (conditions, operations) => {
    const result = await transact(conditions, operations);
    if (!deleted && operations.some((operation) => operation.key === key)) {
      deleted = true;
      await transact([], [{ type: 'delete', key }]);
      // The watch tells both before our caller hears of the first.
      await new Promise((resolve) => setImmediate(resolve));
    }
    return result;
  };
  wanted.put('Namespace', namespace('a'));
  one.touch([key]);
  while (!deleted || one.behind > 0) await new Promise((resolve) => setImmediate(resolve));
  for (let i = 0; i < 20; i++) await new Promise((resolve) => setImmediate(resolve));
  assert.ok((await store.get(key)) !== null);
  one.close();
});

test('a change that comes just as writing ends is written', async () => {
  for (let hops = 0; hops < 40; hops++) {
    const { store, wanted, writer } = await rig();
    const one = writer();
    await one.sweep();
    const [first, late] = [namespace('first'), namespace('late')];
    const transact = store.transact.bind(store);
    let touched = false;
    store.transact = async (conditions, operations) => {
      const result = await transact(conditions, operations);
      if (touched) return result;
      touched = true;
      void (async () => {
        for (let i = 0; i < hops; i++) await null;
        wanted.put('Namespace', late);
        one.touch([late.key]);
      })();
      return result;
    };
    wanted.put('Namespace', first);
    one.touch([first.key]);
    for (let i = 0; i < 20; i++) await new Promise((resolve) => setImmediate(resolve));
    assert.ok((await store.get(late.key)) !== null, `after ${hops} turns`);
    one.close();
  }
});

test('one that is closed while it lists follows nothing', async () => {
  const { store, writer } = await rig();
  const list = store.list.bind(store);
  const watch = store.watch.bind(store);
  const one = writer();
  let watches = 0;
  store.list = async (prefix) => {
    const found = await list(prefix);
    one.close();
    return found;
  };
  store.watch = (prefix, from, handler) => {
    watches++;
    return watch(prefix, from, handler);
  };
  await one.sweep().then(
    () => assert.unreachable(),
    (error: unknown) => assert.instance(error, LeadershipLostError),
  );
  assert.is(watches, 0);
});

test('all objects removed, and not the mark: compared again, so that the mark goes first', async () => {
  const { store, wanted, writer, failures, held } = await rig();
  wanted.replace('Namespace', [namespace('a'), namespace('b')]);
  await writer().sweep();
  const operations = [namespace('a'), namespace('b')].map(({ key }) => ({ type: 'delete', key }) as const);
  await store.transact([], operations);
  while (failures.length === 0) await new Promise((resolve) => setImmediate(resolve));
  assert.instance(failures[0], ObjectsRemovedError);
  assert.equal(await held(), []);
});

test('the mark that somebody removed is missed: the next sweep puts it back', async () => {
  const { store, wanted, writer, failures } = await rig();
  wanted.replace('Namespace', [namespace('a')]);
  for (const marked of [false, true]) {
    const one = writer();
    assert.is((await store.get(COMPLETE_KEY)) !== null, marked);
    await one.sweep();
    if (!marked) one.close();
  }
  assert.equal(failures, []);
  await store.delete(COMPLETE_KEY);
  while (failures.length === 0) await new Promise((resolve) => setImmediate(resolve));
  assert.instance(failures[0], MarkRemovedError);
  const next = writer();
  await next.sweep();
  assert.ok((await store.get(COMPLETE_KEY)) !== null);
  next.close();
});

test('who leads no more writes nothing, and says so', async () => {
  const { store, wanted, writer, held, failures } = await rig();
  const one = writer();
  await one.sweep();
  await store.put(LEADER_KEY, 'another');
  wanted.put('Namespace', namespace('a'));
  one.touch([namespace('a').key]);
  while (failures.length === 0) await new Promise((resolve) => setImmediate(resolve));
  assert.instance(failures[0], LeadershipLostError);
  assert.equal(await held(), []);
  await writer()
    .sweep()
    .then(
      () => assert.unreachable(),
      (error: unknown) => assert.instance(error, LeadershipLostError),
    );
  assert.equal(await held(), []);
});

test('of two candidates one leads; the other does when the first resigns; one that comes back takes its own place', async () => {
  const store = new EmbeddedStore();
  const { signal } = new AbortController();
  const told: string[] = [];
  const first = await campaign(store, { identity: 'a', leaseSeconds: 5 }, signal, () => assert.unreachable());
  const second = campaign(store, { identity: 'b', leaseSeconds: 5 }, signal, (leader) => told.push(leader));
  const again = await campaign(store, { identity: 'a', leaseSeconds: 5 }, signal, () => assert.unreachable());
  assert.ok((again?.condition.revision ?? 0) > (first?.condition.revision ?? 0));
  await again?.resign();
  const lead = await second;
  assert.is((await store.get(LEADER_KEY))?.revision, lead?.condition.revision);
  assert.equal(told[0], 'a');
  const abort = new AbortController();
  const third = campaign(store, { identity: 'c', leaseSeconds: 5 }, abort.signal, () => abort.abort());
  assert.is(await third, null);
});

test('reduced: noise is left out, what is not honoured is said, a policy that is not understood is closed', () => {
  const service = reduced('Service', {
    metadata: { name: 's', namespace: 'a', annotations: { 'x.io/y': '1' }, managedFields: [{}] },
    spec: { ports: [{ port: 80 }], externalIPs: ['8.8.8.8'] },
  });
  assert.not(service.json?.includes('x.io'));
  assert.match(service.problems.join(), '8.8.8.8');
  const strange = policy('strange', {
    podSelector: { matchLabels: { app: 'web' } },
    policyTypes: ['Egress'],
    egress: [{ to: [{ planets: {} }] }],
  });
  assert.match(strange.problems.join(), /planets.*no traffic/);
  const { spec } = JSON.parse(strange.json ?? '{}') as { spec: object };
  assert.equal(spec, {
    podSelector: { matchLabels: { app: 'web' }, matchExpressions: [] },
    policyTypes: ['Egress'],
    ingress: [],
    egress: [],
  });
  const pod = reduced('Pod', { metadata: { name: 'p', namespace: 'a' }, spec: { containers: [] } });
  assert.is(pod.json, null);
  assert.match(pod.problems.join(), 'left out');
});

test('garbage is a problem of that object, never an exception', () => {
  const values = [null, 7, 'x', [], {}, [{}], { a: null }, { matchLabels: 7 }, -1, true, 'Ingress'];
  const names = [
    'podSelector',
    'policyTypes',
    'ingress',
    'ports',
    'containers',
    'type',
    'clusterIPs',
    'subject',
    'tier',
  ];
  for (const resource of RESOURCES) {
    for (const name of names) {
      for (const value of values) {
        for (const place of ['spec', 'status', 'top'] as const) {
          const metadata = { name: 'x', namespace: 'a', labels: place === 'top' ? value : {} };
          const object = { metadata, endpoints: value, [place]: place === 'top' ? value : { [name]: value } };
          const made = reduce(resource, object, []);
          assert.ok(made !== null && (made.json !== null || made.problems.length > 0));
        }
      }
    }
    for (const value of values) assert.is(reduce(resource, value, []), null);
  }
});

test('wanted: a listing tells only what changed; two policies of one priority are a problem of both', () => {
  const wanted = new Wanted();
  assert.equal(wanted.replace('Namespace', [namespace('a'), namespace('b')]).length, 2);
  assert.equal(wanted.replace('Namespace', [namespace('b'), namespace('a', { x: 'y' })]), [
    namespace('a').key,
  ]);
  assert.equal(wanted.replace('Namespace', [namespace('b')]), [namespace('a').key]);
  assert.is(wanted.remove('Namespace', namespace('b').reference), namespace('b').key);
  assert.is(wanted.remove('Namespace', namespace('b').reference), null);
  assert.not(wanted.complete);
  for (const { kind } of RESOURCES) wanted.replace(kind, []);
  assert.ok(wanted.complete);
  for (const name of ['one', 'two']) {
    const spec = {
      ...{ tier: 'Admin', priority: 1, subject: { namespaces: {} } },
      ingress: [{ action: 'Deny', from: [{ namespaces: {} }] }],
    };
    wanted.put('ClusterNetworkPolicy', reduced('ClusterNetworkPolicy', { metadata: { name }, spec }));
  }
  assert.equal(
    wanted.problems().map(({ reference }) => reference.name),
    ['two'],
  );
});

test.run();
