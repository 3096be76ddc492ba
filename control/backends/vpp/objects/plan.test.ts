import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { Random } from '../../../oracle/random.js';
import { typed } from '../api/typed.js';
import { PlanError } from './errors.js';
import { FakeVpp } from './fake-vpp.js';
import { HandleTable } from './handles.js';
import { formatPlan, type Plan, planObjects } from './plan.js';
import { There } from './there.js';
import type { Descriptor, ObjectKey, VppContext, VppObject } from './types.js';

type Graph = ReadonlyMap<ObjectKey, VppObject>;

const UPDATABLE = ['list', 'soft'];

function object(
  key: ObjectKey,
  spec: unknown,
  needs: readonly ObjectKey[] = [],
  claims: readonly string[] = [],
): VppObject {
  return { kind: key.slice(0, key.indexOf('/')), key, needs, spec, claims };
}

function graph(...objects: readonly VppObject[]): Graph {
  return new Map(objects.map((one) => [one.key, one]));
}

function plan(there: Graph, wanted: Graph): Plan {
  const known = new There();
  for (const one of there.values()) known.set(one);
  return planObjects(new Set([...there.keys(), ...wanted.keys()]), {
    wanted: (key) => wanted.get(key),
    there: (key) => known.get(key),
    dependents: (key) => known.dependents(key),
    canUpdate: (kind) => UPDATABLE.includes(kind),
  });
}

const text = (there: Graph, wanted: Graph): string => formatPlan(plan(there, wanted));

test('what is needed comes first, and goes last', () => {
  const all = graph(object('route/r', 1, ['if/a', 'table/1']), object('if/a', 1), object('table/1', 1));
  assert.is(text(graph(), all), '1 create if/a\n1 create table/1\n2 create route/r\n');
  assert.is(text(all, graph()), '1 remove route/r\n2 remove if/a\n2 remove table/1\n');
  assert.is(text(all, all), '');
});

test('new objects come before old ones go', () => {
  const old = graph(object('acl/a', 1), object('list/x', ['a'], ['acl/a']));
  const now = graph(object('acl/b', 1), object('list/x', ['b'], ['acl/b']));
  assert.is(text(old, now), '1 create acl/b\n2 update list/x\n3 remove acl/a\n');
});

test('what cannot be changed in place takes what needs it along', () => {
  const old = graph(object('if/a', 1), object('addr/a', 1, ['if/a']), object('other/o', 1));
  const now = graph(object('if/a', 2), object('addr/a', 1, ['if/a']), object('other/p', 1));
  assert.is(
    text(old, now),
    '1 create other/p\n2 remove addr/a\n3 remove if/a\n4 create if/a\n5 create addr/a\n6 remove other/o\n',
  );
});

test('what lets packets in comes after all else that is new, and goes before all that is old', () => {
  const old = graph(object('table/1', 1), object('acl/old', 1));
  const now = graph(
    ...[object('table/1', 2), object('if/a', 1), object('route/r', 1, ['if/a'])],
    { ...object('up/a', 1, ['if/a']), late: true },
    ...[object('acl/a', 1, ['table/1']), object('rule/a', 1, ['acl/a', 'route/r'])],
  );
  const order = text(old, now).trimEnd().split('\n');
  assert.match(order.at(-2) ?? '', 'create up/a');
  assert.match(order.at(-1) ?? '', 'remove acl/old');
  assert.match(text(now, graph()), /^1 remove up\/a\n2 remove rule\/a\n/);
});

test('who takes what another one holds waits until it is let go', () => {
  const old = graph(object('tunnel/1', 1, [], ['10.0.0.1']));
  const now = graph(object('tunnel/2', 1, [], ['10.0.0.1']), object('tunnel/3', 1));
  assert.is(text(old, now), '1 create tunnel/3\n2 remove tunnel/1\n3 create tunnel/2\n');
});

test('a renderer that forgets something is told', () => {
  assert.throws(
    () => plan(graph(), graph(object('a/1', 1, ['b/1']))),
    (error: unknown) => error instanceof PlanError && error.objectKeys.includes('b/1'),
  );
  const circle = graph(object('a/1', 1, ['a/2']), object('a/2', 1, ['a/1']));
  assert.throws(() => plan(graph(), circle), /wait for one another/);
  const both = graph(object('a/1', 1), object('a/2', 1, ['a/1']));
  assert.throws(() => plan(both, graph(object('a/2', 1, ['a/1']))), /would lose what it needs/);
});

/** Objects in layers, each needing some of those below. */
function randomGraph(random: Random, size: number, share: number): Graph {
  const objects = new Map<ObjectKey, VppObject>();
  for (let i = 0; i < size; i++) {
    if (!random.chance(share)) continue;
    const kind = ['hard', 'list', 'soft', 'stone'][i % 4] ?? '';
    const below = [...objects.keys()];
    const needs = new Set(random.times(below.length === 0 ? 0 : random.below(4), () => random.pick(below)));
    const claims = kind === 'stone' ? [`claim ${Math.floor(i / 8)} ${random.below(2)}`] : [];
    const taken = [...objects.values()].some((one) => claims.some((claim) => one.claims?.includes(claim)));
    const key = `${kind}/${i}`;
    const held = taken ? [] : claims;
    // What VPP is told says what it needs and holds.
    objects.set(key, object(key, [random.below(3), ...needs, ...held], [...needs], held));
  }
  return objects;
}

/** Mostly the same objects as before. */
function variant(random: Random, old: Graph, fresh: Graph): Graph {
  const mixed = new Map<ObjectKey, VppObject>();
  for (const key of new Set([...old.keys(), ...fresh.keys()])) {
    const one = random.chance(0.7) ? old.get(key) : fresh.get(key);
    if (one === undefined || one.needs.some((need) => !mixed.has(need))) continue;
    const taken = [...mixed.values()].some((other) => one.claims?.some((c) => other.claims?.includes(c)));
    if (!taken) mixed.set(key, one);
  }
  return mixed;
}

async function carryOut(
  random: Random,
  { waves }: Plan,
  vpp: VppContext,
  descriptors: ReadonlyMap<string, Descriptor>,
): Promise<void> {
  for (const wave of waves) {
    // In any order: they do not wait for one another.
    const shuffled = [...wave].sort(() => random.next() - 0.5);
    for (const action of shuffled) {
      const descriptor = descriptors.get(action.object.kind);
      if (action.type === 'create') await descriptor?.create(vpp, action.object);
      else if (action.type === 'update') await descriptor?.update?.(vpp, action.old, action.object);
      else await descriptor?.remove(vpp, action.object);
    }
  }
}

test('any objects become any others, in an order a strict VPP takes', async () => {
  let actions = 0;
  for (let seed = 1; seed <= 400; seed++) {
    const random = new Random(seed);
    const fake = new FakeVpp();
    const kinds = ['hard', 'list', 'soft', 'stone'];
    const descriptors = new Map(
      kinds.map((kind) => [kind, fake.descriptor(kind, { update: UPDATABLE.includes(kind) })]),
    );
    const options = { uplink: { type: 'tap' }, host: { type: 'tap' }, pod: { type: 'tap' } } as const;
    const vpp: VppContext = {
      ...{ api: typed(fake.api), handles: new HandleTable() },
      options: { ...options, policies: 'acl', services: 'cnat' },
    };
    const old = randomGraph(random, 24, 0.7);
    const wanted = variant(random, old, randomGraph(random, 24, 0.7));
    await carryOut(random, plan(graph(), old), vpp, descriptors);
    fake.actions.length = 0;
    const change = plan(old, wanted);
    await carryOut(random, change, vpp, descriptors);
    assert.equal(
      new Map([...fake.objects.values()].map((held) => [held.object.key, held.object.spec])),
      new Map([...wanted.values()].map((one) => [one.key, one.spec])),
      `seed ${seed}`,
    );
    assert.is(text(wanted, wanted), '');
    actions += fake.actions.length;
    checkRemovals(change, wanted);
    for (const action of fake.actions) {
      const [before, after] = [old.get(action.key), wanted.get(action.key)];
      const untouched = before !== undefined && before === after && !leadsToRemake(before, change);
      assert.not(untouched, `seed ${seed}: ${action.type} ${action.key} was for nothing`);
    }
  }
  assert.ok(actions > 1000);
});

/** Whether something it needs is made anew. */
function leadsToRemake(one: VppObject, { waves }: Plan): boolean {
  const created = new Set(
    waves.flatMap((wave) => wave.flatMap(({ type, object: { key } }) => (type === 'create' ? [key] : []))),
  );
  return one.needs.some((need) => created.has(need));
}

/** What goes for good, and is in nobody's way, goes after all that is new has come. */
function checkRemovals({ waves }: Plan, wanted: Graph): void {
  const actions = waves.flat();
  const lastPut = actions.findLastIndex(({ type }) => type !== 'remove');
  const claims = new Set([...wanted.values()].flatMap((one) => one.claims ?? []));
  for (const [at, { type, object: one }] of actions.entries()) {
    if (type !== 'remove' || at > lastPut || wanted.has(one.key)) continue;
    const later = actions.slice(at + 1).filter((action) => action.type === 'remove');
    const blocks = one.claims?.some((claim) => claims.has(claim)) || later.some((a) => needed(one, a.object));
    assert.ok(blocks, `${one.key} could have gone later`);
  }
}

const needed = (one: VppObject, other: VppObject): boolean => one.needs.includes(other.key);

test.run();
