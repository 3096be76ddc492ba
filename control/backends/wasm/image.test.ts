import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { Entry, Operation } from './cells.js';
import { Image } from './image.js';
import { type ImageSize, planImage } from './image-plan.js';

const SIZE: ImageSize = {
  ...{ adjacencies: 64, lpm4Log2: 16, lpm6Log2: 14, pairsLog2: 16, policies: 64, trieLines: 1024 },
  ...{ portLines: 1024, frontendsLog2: 16, services: 64, backends: 64, slots: 1024, ranges: 64 },
};
const PAGE_WORDS = 1024;

function emptyImage(): Image {
  const plan = planImage(SIZE);
  const image = new Image(new Uint32Array(plan.bytes / 4), 0, plan);
  image.writeHeader();
  return image;
}

const four = (i: number): Entry => ({ table: 'addresses', a: i, b: 0x80000220, value: i + 1 });
const six = (i: number): Entry => ({
  ...{ table: 'addresses6', a: 1, b: 0x80000280, value: i + 1, rest: [0, 0, i] },
});
const inserts = (entries: readonly Entry[]): Operation[] =>
  entries.map((entry) => ({ type: 'insert', entry }));
const deletes = (entries: readonly Entry[]): Operation[] =>
  entries.map(({ value: _, ...key }) => ({ type: 'delete', ...key }));
const list = (n: number, make: (i: number) => Entry): Entry[] => Array.from({ length: n }, (_, i) => make(i));

/** Pages in which anything lies. */
function pages({ words }: Image): number {
  let count = 0;
  for (let at = 0; at < words.length; at += PAGE_WORDS) {
    if (words.subarray(at, at + PAGE_WORDS).some((word) => word !== 0)) count++;
  }
  return count;
}

for (const [name, make, bytes] of [
  ['addresses', four, 16],
  ['addresses6', six, 32],
] as const) {
  test(`${name}: a table is as large as its entries need, and holds them whatever its size`, () => {
    const image = emptyImage();
    const { log2At, log2: most } = image.plan.hashes[name];
    const slots = (): number => 2 ** image.word(log2At);
    const empty = pages(image);
    assert.is(slots(), 256);
    let before = 0;
    for (const n of [3, 20, 100, 5000]) {
      image.play(inserts(list(n, make).slice(before)));
      before = n;
      assert.ok(slots() >= n * 2 && slots() <= Math.max(256, n * 256), `${n} entries in ${slots()} slots`);
      assert.ok(pages(image) - empty <= Math.ceil((slots() * bytes) / 4096) + 1);
      assert.ok(list(n, make).every((entry) => image.holds({ owner: 'x', entries: [entry] })));
      assert.ok(image.headerHolds());
    }
    image.play(deletes(list(5000, make).slice(5)));
    assert.ok(slots() <= 1024);
    assert.ok(list(5, make).every((entry) => image.holds({ owner: 'x', entries: [entry] })));
    image.play(deletes(list(5, make)));
    assert.is(slots(), 256);
    assert.is(pages(image), empty);
    const full = list(2 ** most * 0.75, make);
    image.play(inserts(full));
    assert.is(slots(), 2 ** most);
    assert.ok(full.every((entry) => image.holds({ owner: 'x', entries: [entry] })));
  });
}

test('an image that was damaged is as good as new after a reset', () => {
  const image = emptyImage();
  const fresh = Uint32Array.from(image.words);
  image.play(inserts(list(1000, four)));
  image.words.fill(0xdeadbeef, 5000, 9000);
  image.words[image.plan.hashes.addresses.log2At / 4] = 3;
  assert.not(image.headerHolds());
  image.reset();
  assert.equal(image.words, fresh);
  image.play(inserts(list(1000, four)));
  assert.ok(list(1000, four).every((entry) => image.holds({ owner: 'x', entries: [entry] })));
});

test.run();
