import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { compileCluster } from '../compiler/fixture.js';
import { parseApiObject } from '../objects/manifest.js';
import { Random } from '../oracle/random.js';
import { randomCluster } from '../oracle/random-cluster.js';
import { canonical, canonicalRuleset, contentHash, rulesetOf } from './canonical.js';
import { applyChanges, ChangeMismatchError, diffRulesets, invertChanges } from './diff.js';
import { formatChanges, formatItems } from './format.js';
import type { Change, Item, Key, Ruleset } from './types.js';

function randomRuleset(seed: number): Ruleset {
  const { objects } = randomCluster(new Random(seed));
  return compileCluster(objects.map(parseApiObject)).rulesets.get('n1') ?? new Map();
}

/** Keys an item refers to. */
function references(item: Item): readonly Key[] {
  switch (item.kind) {
    case 'endpoint':
      return [item.interface, item.ingress, item.egress].filter((key) => key !== null);
    case 'policy':
      return item.rules.flatMap((rule) => rule.peers ?? []);
    case 'route':
      return item.target.type === 'interface'
        ? [item.target.interface]
        : item.target.type === 'tunnel'
          ? [item.target.tunnel]
          : [];
    default:
      return [];
  }
}

test('a diff leads from one ruleset to the other, and its inverse back', () => {
  for (let seed = 1; seed <= 40; seed++) {
    const a = randomRuleset(seed);
    const b = randomRuleset(seed + 1000);
    const changes = diffRulesets(a, b);
    assert.is(canonicalRuleset(applyChanges(a, changes)), canonicalRuleset(b));
    assert.is(canonicalRuleset(applyChanges(b, invertChanges(changes))), canonicalRuleset(a));
    assert.equal(diffRulesets(b, b), []);
  }
});

test('every step finds what it refers to, and none takes away what is still referred to', () => {
  for (let seed = 1; seed <= 40; seed++) {
    let now = randomRuleset(seed);
    for (const change of diffRulesets(now, randomRuleset(seed + 1000))) {
      now = applyChanges(now, [change]);
      for (const item of now.values()) {
        for (const key of references(item))
          assert.ok(now.has(key), `${change.type} ${change.key}: ${item.key} -> ${key}`);
      }
    }
  }
});

test('a diff does not depend on the order of a map', () => {
  const a = randomRuleset(1);
  const b = randomRuleset(2);
  const backwards = (ruleset: Ruleset) => rulesetOf([...ruleset.values()].reverse());
  assert.equal(diffRulesets(backwards(a), backwards(b)), diffRulesets(a, b));
});

test('a change that does not fit is refused', () => {
  const a = randomRuleset(1);
  const node = a.get('node') as Item;
  const wrong: readonly Change[] = [
    { type: 'add', key: 'node', item: node },
    { type: 'remove', key: 'nothing', old: node },
    { type: 'update', key: 'node', item: node, old: { ...node, key: 'other' } as Item },
  ];
  for (const change of wrong) {
    assert.throws(
      () => applyChanges(a, [change]),
      (error: unknown) => error instanceof ChangeMismatchError,
    );
  }
  assert.throws(() => rulesetOf([node, node]), /two items have the key node/);
});

test('canonical: keys sorted at every depth, lists as they are, empty apart from null', () => {
  assert.is(canonical({ b: [2, 1], a: { d: null, c: [] } }), '{"a":{"c":[],"d":null},"b":[2,1]}');
  assert.is(contentHash({ a: 1, b: 2 }), contentHash({ b: 2, a: 1 }));
  assert.is.not(contentHash([]), contentHash(null));
  // Keys are kept in stores and shown to people: they must not change from one version to the next.
  assert.is(contentHash({ a: 1 }), '015abd7f5cc57a2d');
});

test('the text form has every item and names the origin of rules', () => {
  const ruleset = randomRuleset(3);
  const text = formatItems(ruleset.values());
  for (const key of ruleset.keys()) assert.ok(text.includes(`${key}: `), key);
  assert.match(text, /NetworkPolicy \w+\/np\d/);
  const first = formatChanges(diffRulesets(new Map(), ruleset)).split('\n')[0];
  assert.match(first ?? '', /^\+ node: n1, id 1, at 192\.168\.16\.1, pods in 10\.1\.1\.0\/24$/);
});

test.run();
