import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { Random } from '../../../oracle/random.js';
import { canonical } from '../../../ruleset/canonical.js';
import { sameObject, sameValue } from './same.js';

/** Few different values, so that equal ones are met often. */
function randomValue(random: Random, depth: number): unknown {
  const kind = random.below(depth === 0 ? 4 : 6);
  if (kind === 0) return random.below(2);
  if (kind === 1) return random.pick(['', 'a']);
  if (kind === 2) return random.pick([null, true]);
  if (kind === 3) return random.below(2) === 0 ? [] : {};
  const count = random.below(3);
  if (kind === 4) return random.times(count, () => randomValue(random, depth - 1));
  return Object.fromEntries(random.times(count, (i) => [`k${i}`, randomValue(random, depth - 1)]));
}

test('two values are the same when their canonical texts are', () => {
  const random = new Random(11);
  let equal = 0;
  for (let i = 0; i < 20_000; i++) {
    const [a, b] = [randomValue(random, 2), randomValue(random, 2)];
    const same = canonical(a) === canonical(b);
    assert.is(sameValue(a, b), same, `${canonical(a)} ${canonical(b)}`);
    if (same) equal++;
  }
  assert.ok(equal > 500);
});

test('bytes, large numbers, fields in another order and fields that are not there', () => {
  assert.ok(sameValue({ a: 1, b: [2n, new Uint8Array([1, 2])] }, { b: [2n, new Uint8Array([1, 2])], a: 1 }));
  assert.not(sameValue(new Uint8Array([1, 2]), new Uint8Array([1, 3])));
  assert.not(sameValue(new Uint8Array([1]), [1]));
  assert.not(sameValue([1], { 0: 1 }));
  assert.not(sameValue(2n, 2));
  assert.ok(sameValue({ a: 1, b: undefined }, { a: 1 }));
  assert.not(sameValue({ a: 1, b: null }, { a: 1 }));
});

test('what VPP is not told makes no difference', () => {
  const one = { kind: 'k', key: 'k/a', needs: ['k/b'], spec: { x: 1 }, notes: 'here' };
  assert.ok(sameObject(one, { kind: 'k', key: 'k/a', needs: [], spec: { x: 1 } }));
  assert.not(sameObject(one, { ...one, kind: 'l' }));
  assert.not(sameObject(one, { ...one, spec: { x: 2 } }));
});

test.run();
