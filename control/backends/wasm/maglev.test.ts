import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { maglevSlots, uniformSlots } from './maglev.js';

const share = (n: number, weight = 1) =>
  Array.from({ length: n }, (_, i) => ({ name: `10.0.0.${i}:80`, weight }));

function counts(slots: readonly number[]): number[] {
  const found: number[] = [];
  for (const slot of slots) found[slot] = (found[slot] ?? 0) + 1;
  return found;
}

test('uniform slots: one each when weights are equal, in proportion when not', () => {
  assert.equal(uniformSlots(share(3)), [0, 1, 2]);
  assert.equal(uniformSlots(share(2, 100)), [0, 1]);
  assert.equal(counts(uniformSlots([...share(1, 2), { name: 'b', weight: 6 }])), [1, 3]);
  assert.equal(uniformSlots([]), []);
  const many = uniformSlots([
    { name: 'a', weight: 1 },
    { name: 'b', weight: 1_000_000 },
  ]);
  assert.ok(many.length <= 4200 && counts(many)[0] === 1);
});

test('maglev: even shares, and a backend that leaves moves few others', () => {
  const before = maglevSlots(share(5));
  for (const count of counts(before)) assert.ok(Math.abs(count - before.length / 5) < before.length / 50);
  const after = maglevSlots(share(4));
  const moved = before.filter((slot, i) => slot !== 4 && slot !== after[i]).length;
  assert.is(before.length, after.length);
  assert.ok(moved < before.length * 0.12, `moved ${moved} of ${before.length}`);
});

test('maglev: weights count', () => {
  const slots = counts(
    maglevSlots([
      { name: 'a', weight: 1 },
      { name: 'b', weight: 3 },
    ]),
  );
  assert.ok(Math.abs((slots[1] ?? 0) / (slots[0] ?? 1) - 3) < 0.2);
});

test.run();
