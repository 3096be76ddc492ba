/** The indexes against plain scans, with more members than are looked at one by one. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { LabelSelector, SelectorOperator } from '../objects/types.js';
import { Random } from '../oracle/random.js';
import { LabelIndex, type Labelled } from './label-index.js';
import { ReverseIndex } from './reverse-index.js';
import { type Labels, matches, requirementsOf } from './selector.js';
import { SelectorIndex } from './selector-index.js';

const KEYS = ['app', 'tier', 'env'];
const VALUES = ['x', 'y', 'z'];
const OPERATORS: readonly SelectorOperator[] = ['In', 'NotIn', 'Exists', 'DoesNotExist'];

function labelsOf(random: Random): Labels {
  return Object.fromEntries(KEYS.filter(() => random.chance(0.6)).map((key) => [key, random.pick(VALUES)]));
}

function selectorOf(random: Random): LabelSelector {
  return {
    matchLabels: random.chance(0.4) ? { [random.pick(KEYS)]: random.pick(VALUES) } : {},
    matchExpressions: random.times(random.below(3), () => {
      const operator = random.pick(OPERATORS);
      const values = operator.endsWith('In') ? VALUES.filter(() => random.chance(0.5)) : [];
      return { key: random.pick(KEYS), operator, values };
    }),
  };
}

const sorted = (ids: Iterable<number>): readonly number[] => [...ids].sort((a, b) => a - b);

test('LabelIndex selects what a scan selects, while members come, change and go', () => {
  for (let seed = 1; seed <= 20; seed++) {
    const random = new Random(seed);
    const index = new LabelIndex<Labelled & { readonly id: number }>();
    const members = Array.from({ length: 60 }, (_, id) => ({ id, labels: null, place: 0 }));
    const plain = new Map<number, Labels>();
    for (let step = 0; step < 300; step++) {
      const id = random.below(60);
      const member = members[id] ?? { id, labels: null, place: 0 };
      if (random.chance(0.3)) {
        index.delete(member);
        plain.delete(id);
      } else {
        const labels = labelsOf(random);
        index.put(member, labels);
        plain.set(id, labels);
      }
      const selector = selectorOf(random);
      const scan = [...plain].filter(([, labels]) => matches(selector, labels)).map(([member]) => member);
      const found = [...index.select(selector)].map((one) => one.id);
      assert.equal(sorted(found), sorted(scan), `seed ${seed} step ${step}`);
      assert.is(index.size, plain.size);
    }
  }
});

test('SelectorIndex finds the selectors that match, each once', () => {
  for (let seed = 1; seed <= 20; seed++) {
    const random = new Random(seed);
    const index = new SelectorIndex<number>();
    const plain = new Map<number, LabelSelector>();
    for (let step = 0; step < 300; step++) {
      const id = random.below(60);
      if (random.chance(0.3)) {
        index.delete(id);
        plain.delete(id);
      } else {
        const selector = selectorOf(random);
        index.put(id, requirementsOf(selector));
        plain.set(id, selector);
      }
      const labels = labelsOf(random);
      const scan = [...plain].filter(([, selector]) => matches(selector, labels)).map(([member]) => member);
      assert.equal(sorted(index.matching(labels)), sorted(scan), `seed ${seed} step ${step}`);
    }
  }
});

test('SelectorIndex tells apart hundreds that have a label in common, while selectors change and go', () => {
  for (let seed = 1; seed <= 5; seed++) {
    const random = new Random(seed);
    const index = new SelectorIndex<number>();
    const plain = new Map<number, LabelSelector>();
    for (let step = 0; step < 1500; step++) {
      const id = random.below(400);
      // More come than go at first, and then all of them.
      if (random.chance(step < 900 ? 0.2 : 0.9)) {
        index.delete(id);
        plain.delete(id);
      } else {
        const selector = selectorOf(random);
        index.put(id, requirementsOf(selector));
        plain.set(id, selector);
      }
      if (step % 5 > 0) continue;
      const labels = labelsOf(random);
      const scan = [...plain].filter(([, selector]) => matches(selector, labels)).map(([member]) => member);
      assert.equal(sorted(index.matching(labels)), sorted(scan), `seed ${seed} step ${step}`);
      assert.is(index.size, plain.size);
    }
    for (const id of plain.keys()) index.delete(id);
    assert.equal(index.matching({ app: 'x', tier: 'y', env: 'z' }), []);
  }
});

test('ReverseIndex: one member, many, and none again', () => {
  const index = new ReverseIndex<string>();
  const got = (): readonly string[] => [...index.get('k')].sort();
  index.delete('k', 'a');
  index.add('k', 'a');
  index.add('k', 'a');
  assert.equal(got(), ['a']);
  assert.is(index.hasOther('k', 'a'), false);
  assert.is(index.hasOther('k', 'b'), true);
  assert.is(index.shared, 0);
  index.add('k', 'b');
  assert.equal(got(), ['a', 'b']);
  assert.is(index.hasOther('k', 'a'), true);
  assert.is(index.shared, 1);
  index.delete('k', 'c');
  index.delete('k', 'a');
  assert.equal(got(), ['b']);
  assert.is(index.hasOther('k', 'b'), false);
  assert.is(index.hasOther('k', 'a'), true);
  index.delete('k', 'b');
  assert.equal(got(), []);
  assert.is(index.hasOther('k', 'a'), false);
  assert.is(index.shared, 0);
});

test.run();
