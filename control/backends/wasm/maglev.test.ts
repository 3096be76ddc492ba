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

/** Share of the flows of the other backends that move when backend `gone` of `n` leaves. */
function disruption(n: number, gone: number): number {
  const all = share(n);
  const kept = all.filter((_, i) => i !== gone);
  const [before, after] = [maglevSlots(all), maglevSlots(kept)];
  let others = 0;
  let moved = 0;
  for (let flow = 0; flow < 20_000; flow++) {
    // Any spread of flow hashes does; this one is Knuth's.
    const hash = Math.imul(flow, 2654435761) >>> 0;
    const old = all[before[hash % before.length] ?? 0];
    if (old === all[gone]) continue;
    others++;
    if (kept[after[hash % after.length] ?? 0] !== old) moved++;
  }
  return moved / others;
}

test('maglev: one of N backends that leaves moves at most 1/N + 2 % of the flows of the others', () => {
  for (const n of [2, 3, 4, 5, 6, 8, 11, 16, 21, 32, 41, 64, 100, 163, 256]) {
    for (const gone of new Set([0, n >> 1, n - 1])) {
      const moved = disruption(n, gone);
      assert.ok(moved <= 1 / n + 0.02, `backend ${gone} of ${n}: ${(moved * 100).toFixed(2)} % moved`);
    }
  }
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
