/** Lowered policies read back from an image by a small reader, against a plain evaluation of the items. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import * as L from '../../../dataplane-as/layout/index.js';
import { seededRandom } from '../../../test/backends/random.js';
import type {
  AddressSetItem,
  Change,
  Item,
  Key,
  PolicyItem,
  PolicyRule,
  PortRange,
} from '../../ruleset/types.js';
import { contains4, ip4Host, mask4, parsePrefix4, swap32 } from './bytes.js';
import type { Image } from './image.js';
import { planImage } from './image-plan.js';
import { Lowering } from './lowering.js';
import { assertEmptied, freshTables } from './tables-fixture.js';

const SIZE = {
  ...{ adjacencies: 16, lpm4Log2: 10, pairsLog2: 11, policies: 64, trieLines: 4096, portLines: 4096 },
  ...{ frontendsLog2: 4, services: 4, backends: 4, slots: 4, ranges: 4 },
};

type Random = (below: number) => number;

function address(random: Random): string {
  return `10.0.${random(3)}.${random(12)}`;
}

function block(random: Random): { cidr: string; except: string[] } {
  const length = [8, 16, 24, 28, 30][random(5)] ?? 24;
  const host = ((ip4Host(address(random)) ?? 0) & mask4(length)) >>> 0;
  const text = [host >>> 24, (host >>> 16) & 255, (host >>> 8) & 255, host & 255].join('.');
  const except = Array.from({ length: random(3) }, () => `${address(random)}/32`);
  if (length < 28 && random(3) === 0) except.push('10.0.1.0/29');
  return { cidr: `${text}/${length}`, except: [...new Set(except)].sort() };
}

function addressSet(random: Random, n: number): AddressSetItem {
  const addresses = new Set(Array.from({ length: random(5) }, () => address(random)));
  const blocks = Array.from({ length: random(3) === 0 ? 1 + random(2) : 0 }, () => block(random));
  return { kind: 'addressset', key: `addressset/${n}`, addresses: [...addresses].sort(), blocks };
}

function portRange(random: Random): PortRange {
  const protocol = ([null, 'TCP', 'TCP', 'UDP', 'SCTP'] as const)[random(5)] ?? null;
  if (protocol === null) return { protocol, from: 0, to: 65535 };
  const from = random(6);
  return { protocol, from, to: random(4) === 0 ? 65535 : from + random(3) };
}

function rule(random: Random, sets: readonly Key[], n: number): PolicyRule {
  const tier = (['admin', 'network', 'network', 'baseline'] as const)[random(4)] ?? 'network';
  const action =
    tier === 'network'
      ? 'allow'
      : ((['allow', 'deny', 'pass'] as const)[random(tier === 'admin' ? 3 : 2)] ?? 'deny');
  const peers = random(4) === 0 ? null : sets.filter(() => random(4) === 0);
  const ports = random(4) === 0 ? null : Array.from({ length: random(4) }, () => portRange(random));
  return { tier, action, peers, ports, origin: { kind: 'P', namespace: 'n', name: `r${n}`, field: null } };
}

function policy(random: Random, sets: readonly Key[], n: number): PolicyItem {
  const rules = Array.from({ length: random(6) }, (_, i) => rule(random, sets, n * 10 + i));
  const isolatedBy = random(2) === 0 ? [] : [{ kind: 'P', namespace: 'n', name: `iso${n}`, field: null }];
  return { kind: 'policy', key: `policy/${n}`, direction: 'ingress', rules, isolatedBy };
}

/** What the item says, straight from its definition. */
function evaluate(
  item: PolicyItem,
  sets: ReadonlyMap<Key, Item>,
  peer: string,
  protocol: number,
  port: number,
) {
  const inSet = (key: Key): boolean => {
    const set = sets.get(key);
    const host = ip4Host(peer) ?? 0;
    const within = (cidr: string): boolean =>
      contains4(parsePrefix4(cidr) ?? { host: 0, word: 0, length: 32 }, host);
    if (set?.kind !== 'addressset') throw new Error(`no set ${key}`);
    return set.addresses.includes(peer) || set.blocks.some((b) => within(b.cidr) && !b.except.some(within));
  };
  const numbers = { TCP: 6, UDP: 17, SCTP: 132 };
  const matches = (r: PolicyRule): boolean =>
    (r.peers === null || r.peers.some(inSet)) &&
    (r.ports === null ||
      r.ports.some(
        (p) => p.protocol === null || (numbers[p.protocol] === protocol && p.from <= port && port <= p.to),
      ));
  const text = (r: PolicyRule): string => `P n/${r.origin.name}`;
  for (const tier of ['admin', 'network', 'baseline'] as const) {
    if (tier === 'baseline' && item.isolatedBy.length > 0) break;
    const first = item.rules.find((r) => r.tier === tier && matches(r));
    if (first === undefined || first.action === 'pass') continue;
    return { allowed: first.action === 'allow', rule: text(first) };
  }
  if (item.isolatedBy.length === 0) return { allowed: true, rule: undefined };
  return { allowed: false, rule: `default deny (ingress isolated by P n/${item.isolatedBy[0]?.name})` };
}

/** Identity by the trie, as the pipeline looks for an address that is no prefix of its own. */
function identityByTrie(image: Image, host: number): number {
  const { trie } = image.plan;
  const root = L.SPACE_IDENTITY * 2 ** L.TRIE_ROOT_BITS + (host >>> (32 - L.TRIE_ROOT_BITS));
  let word = image.word(trie + root * 4);
  for (let shift = 28 - L.TRIE_ROOT_BITS; word >= L.TRIE_CHILD; shift -= 4) {
    word = image.word(trie + (word - L.TRIE_CHILD) * L.TRIE_LINE_SIZE + ((host >>> shift) & 15) * 4);
  }
  return word & L.TRIE_VALUE;
}

/** The pipeline's look-ups, in TypeScript: identity by longest prefix, pair or default, interval or default. */
function look(image: Image, index: number, peer: string, protocol: number, port: number) {
  const host = ip4Host(peer) ?? 0;
  const identityOf = (length: number): number | undefined => {
    const meta = (L.LPM_USED | (L.SPACE_IDENTITY << 8) | length) >>> 0;
    return image.lookup('addresses', swap32((host & mask4(length)) >>> 0), meta);
  };
  const longest =
    Array.from({ length: 33 }, (_, i) => identityOf(32 - i)).find((id) => id !== undefined) ?? 0;
  if (identityOf(32) === undefined) assert.is(identityByTrie(image, host), longest, `${peer} in the trie`);
  const { plan } = image;
  const fallback = image.word(plan.policies + index * L.POLICY_SIZE);
  const set = image.lookup('pairs', index, longest) ?? fallback;
  const key = (protocol << 16) | port;
  const first = plan.portSets + set * L.PORTSET_SIZE;
  const verdict = (at: number) => {
    const word = image.word(at);
    return { action: word >>> 31, rule: word & 0x7fffffff };
  };
  for (let i = 0; i < image.word(first + L.PORTSET_LINES) * L.PORTSET_INTERVALS; i++) {
    const at = first + (i >> 2) * L.PORTSET_SIZE + (i & 3) * 4;
    const inside = image.word(at + L.PORTSET_FROM) <= key && key <= image.word(at + L.PORTSET_TO);
    if (inside) return verdict(at + L.PORTSET_VERDICT);
  }
  return verdict(first + L.PORTSET_VERDICT + 4 * L.PORTSET_INTERVALS);
}

test('random sets and policies, changed step by step: tables say what the items say', () => {
  const plan = planImage(SIZE);
  for (let seed = 1; seed <= 25; seed++) {
    const random = seededRandom(seed);
    const { lowering, image } = freshTables(plan);
    const items = new Map<Key, Item>();
    for (let round = 0; round < 8; round++) {
      const changes: Change[] = [];
      const put = (item: Item): void => {
        const old = items.get(item.key);
        if (old === undefined) changes.push({ type: 'add', key: item.key, item });
        else changes.push({ type: 'update', key: item.key, item, old });
        items.set(item.key, item);
      };
      for (let n = 0; n < 6; n++) if (round === 0 || random(3) === 0) put(addressSet(random, n));
      const sets = [...items.keys()].filter((key) => key.startsWith('addressset/'));
      for (let n = 0; n < 4; n++) {
        const old = items.get(`policy/${n}`);
        if (random(3) === 0 && old !== undefined) {
          changes.push({ type: 'remove', key: old.key, old });
          items.delete(old.key);
        } else if (round === 0 || random(2) === 0) put(policy(random, sets, n));
      }
      const { operations } = lowering.plan(changes);
      lowering.commit();
      image.play(operations);
      for (let i = 0; i < 150; i++) {
        const item = items.get(`policy/${random(4)}`);
        if (item?.kind !== 'policy') continue;
        const peer = random(10) === 0 ? '192.168.1.1' : address(random);
        const protocol = [1, 6, 6, 17, 132][random(5)] ?? 6;
        const port = protocol === 1 ? 0 : random(8) === 0 ? 65535 : random(10);
        const got = look(image, lowering.policies.indexOf(item.key) ?? 0, peer, protocol, port);
        const want = evaluate(item, items, peer, protocol, port);
        const about = `seed ${seed} round ${round} ${item.key} ${peer} ${protocol}/${port}`;
        assert.is(got.action === L.ACTION_ALLOW, want.allowed, about);
        if (want.rule !== undefined) assert.is(lowering.policies.ruleText(got.rule), want.rule, about);
      }
    }
    const gone = [...items.values()].map((old): Change => ({ type: 'remove', key: old.key, old }));
    image.play(lowering.plan(gone).operations);
    lowering.commit();
    assertEmptied(image, `seed ${seed}`);
  }
});

test('policies of many peers, of which a few come or go: under the same key or another one, some of it refused', () => {
  const plan = planImage(SIZE);
  for (let seed = 1; seed <= 8; seed++) {
    const random = seededRandom(seed);
    const { lowering, image } = freshTables(plan);
    const items = new Map<Key, Item>();
    const setOf = (n: number): AddressSetItem => addressSet(random, n);
    const sets = Array.from({ length: 48 }, (_, n) => setOf(n));
    const add = (item: Item): Change => ({ type: 'add', key: item.key, item });
    const origins = [0, 1].map((n) => ({ kind: 'P', namespace: 'n', name: `r${n}`, field: null }));
    const some = (most: number) => sets.filter(() => random(48) < most).map(({ key }) => key);
    let policies = [0, 1].map((n): PolicyItem => {
      const rules = origins.map(
        (origin): PolicyRule => ({
          ...{ tier: 'network', action: 'allow', peers: some(44) },
          ...{ ports: random(2) === 0 ? null : [portRange(random)], origin },
        }),
      );
      const isolatedBy = [{ kind: 'P', namespace: 'n', name: `iso${n}`, field: null }];
      return { kind: 'policy', key: `policy/${n} 0`, direction: 'ingress', rules, isolatedBy };
    });
    const apply = (changes: readonly Change[]): void => {
      if (random(4) === 0) {
        lowering.plan(changes);
        lowering.rollback();
      }
      const { operations } = lowering.plan(changes);
      lowering.commit();
      image.play(operations);
      for (const change of changes) {
        if (change.type === 'remove') items.delete(change.key);
        else items.set(change.key, change.item);
      }
    };
    apply([...sets, ...policies].map(add));
    for (let step = 1; step <= 20; step++) {
      const changes: Change[] = [];
      for (const { key } of sets) {
        const old = items.get(key);
        if (old === undefined || random(12) > 0) continue;
        const item = setOf(Number(key.slice('addressset/'.length)));
        changes.push({ type: 'update', key, item, old });
      }
      policies = policies.map((old, n): PolicyItem => {
        const moved = new Set(some(2));
        const rules = old.rules.map((one, i): PolicyRule => {
          if (random(3) === 0 && i > 0) return one;
          const peers = (one.peers ?? []).filter((key) => !moved.has(key));
          const more = [...moved].filter((key) => !one.peers?.includes(key));
          const ports = random(12) === 0 ? [portRange(random)] : one.ports;
          return { ...one, peers: [...peers, ...more].sort(), ports };
        });
        // As the compiler does, whose keys are made of what a policy says.
        const key = random(2) === 0 ? old.key : `policy/${n} ${step}`;
        const item = { ...old, key, rules };
        if (key === old.key) changes.push({ type: 'update', key, item, old });
        else changes.push({ type: 'add', key, item }, { type: 'remove', key: old.key, old });
        return item;
      });
      const rules = policies.map(({ key }) => lowering.policies.indexOf(key));
      apply(changes);
      for (const [n, item] of policies.entries()) {
        const index = lowering.policies.indexOf(item.key) ?? 0;
        if (rules[n] !== undefined) assert.is(index, rules[n], 'the index of a key stays');
        for (const unit of lowering.policies.unitsOf(item.key)) {
          const held = lowering.cells.get(unit);
          assert.ok(held === undefined || image.holds(held), `seed ${seed} step ${step} ${unit}`);
        }
        for (let i = 0; i < 60; i++) {
          const peer = address(random);
          const port = random(10);
          const got = look(image, index, peer, 6, port);
          const want = evaluate(item, items, peer, 6, port);
          const about = `seed ${seed} step ${step} ${item.key} ${peer} ${port}`;
          assert.is(got.action === L.ACTION_ALLOW, want.allowed, about);
          if (want.rule !== undefined) assert.is(lowering.policies.ruleText(got.rule), want.rule, about);
        }
      }
    }
    apply(
      [...policies, ...sets].map(({ key }): Change => ({ type: 'remove', key, old: items.get(key) as Item })),
    );
    assertEmptied(image, `seed ${seed}`);
  }
});

test('one of thousands of blocks that a policy lists: what is written does not grow with the others', () => {
  const changesAt = (blocks: number): number => {
    const lowering = new Lowering(planImage({ ...SIZE, lpm4Log2: 14, pairsLog2: 14, trieLines: 16_384 }));
    const setOf = (n: number): AddressSetItem => {
      const cidr = `20.${n >> 8}.${n & 255}.0/24`;
      return { kind: 'addressset', key: `addressset/${n}`, addresses: [], blocks: [{ cidr, except: [] }] };
    };
    const origin = { kind: 'NetworkPolicy', namespace: 'n', name: 'p', field: 'spec.egress[0]' };
    const policyOf = (key: Key, peers: readonly Key[]): PolicyItem => ({
      ...{ kind: 'policy', key, direction: 'egress', isolatedBy: [origin] },
      rules: [{ tier: 'network', action: 'allow', peers, ports: null, origin }],
    });
    const sets = Array.from({ length: blocks }, (_, n) => setOf(n));
    const old = policyOf(
      'policy/a',
      sets.map(({ key }) => key),
    );
    lowering.plan([...sets, old].map((item): Change => ({ type: 'add', key: item.key, item })));
    lowering.commit();
    const [gone, come] = [sets[7] as AddressSetItem, setOf(blocks + 1)];
    const now = policyOf(
      'policy/b',
      [...(old.rules[0]?.peers ?? []), come.key].filter((key) => key !== gone.key),
    );
    const { operations } = lowering.plan([
      ...[come, now].map((item): Change => ({ type: 'add', key: item.key, item })),
      ...[old, gone].map((item): Change => ({ type: 'remove', key: item.key, old: item })),
    ]);
    return operations.length;
  };
  assert.ok(changesAt(2000) < changesAt(100) + 4);
});

test('an address that joins a set touches one prefix and no more pairs than policies ask', () => {
  const lowering = new Lowering(planImage(SIZE));
  const set = (addresses: string[]): AddressSetItem => ({
    kind: 'addressset',
    key: 'addressset/a',
    addresses,
    blocks: [],
  });
  const origin = { kind: 'NetworkPolicy', namespace: 'n', name: 'p', field: 'spec.ingress[0]' };
  const rules: PolicyRule[] = [
    { tier: 'network', action: 'allow', peers: ['addressset/a'], ports: null, origin },
  ];
  const item: PolicyItem = {
    kind: 'policy',
    key: 'policy/p',
    direction: 'ingress',
    rules,
    isolatedBy: [origin],
  };
  const old = set(['10.0.0.1', '10.0.0.2']);
  const first: Item[] = [old, item];
  lowering.plan(first.map((i): Change => ({ type: 'add', key: i.key, item: i })));
  lowering.commit();
  const now = set(['10.0.0.1', '10.0.0.2', '10.0.0.3']);
  const { operations } = lowering.plan([{ type: 'update', key: now.key, item: now, old }]);
  assert.is(operations.length, 1);
  assert.is(operations[0]?.type, 'insert');
});

test('a delta does what the whole set would, and is believed only from the item it was made from', () => {
  const set = (...addresses: string[]): AddressSetItem => {
    return { kind: 'addressset', key: 'addressset/a', addresses, blocks: [] };
  };
  const start = set('10.0.0.1', '10.0.0.2');
  const now = set('10.0.0.2', '10.0.0.3');
  const delta = { added: ['10.0.0.3'], removed: ['10.0.0.1'] };
  const operationsOf = (change: Change): readonly unknown[] => {
    const lowering = new Lowering(planImage(SIZE));
    lowering.plan([{ type: 'add', key: start.key, item: start }]);
    lowering.commit();
    return lowering.plan([change]).operations;
  };
  const whole = operationsOf({ type: 'update', key: now.key, item: now, old: start });
  assert.is(whole.length > 0, true);
  assert.equal(operationsOf({ type: 'update', key: now.key, item: now, old: start, delta }), whole);
  const wrong = { added: [], removed: [] };
  assert.equal(
    operationsOf({ type: 'update', key: now.key, item: now, old: { ...start }, delta: wrong }),
    whole,
  );
});

test.run();
