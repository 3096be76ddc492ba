/** Trees of intervals, built and then grown prefix by prefix, read as the classifier reads them, against all prefixes one by one. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import * as A from '../../../../dataplane-as/lists/layout.js';
import { seededRandom } from '../../../../test/backends/random.js';
import { Intervals } from './intervals.js';
import { PrefixIndex } from './prefix-index.js';
import { maskOf } from './rule.js';
import { ListFullError, ListWords } from './words.js';

type Random = (below: number) => number;

const WORD = 2 ** 32;

/** Many lengths, few addresses, the ends of the address space among them. */
function prefix(random: Random, wide: number): readonly [number, number] {
  const length = random(20) === 0 ? random(5) : 8 + random(25);
  const address =
    random(10) === 0 ? [0, WORD - 1][random(2)] : ((10 << 24) | random(wide)) >>> (random(2) * 3);
  return [((address ?? 0) & maskOf(length)) >>> 0, length];
}

function shortestFirst(index: PrefixIndex): Uint32Array {
  const order = Uint32Array.from({ length: index.count }, (_, i) => i + 1);
  return order.sort((a, b) => (index.lengths[a] ?? 0) - (index.lengths[b] ?? 0));
}

/** As the classifier finds an address's class. */
function lookup(words: Uint32Array, tree: number, levels: number, address: number): number {
  const key = (address ^ 0x80000000) | 0;
  let node = 0;
  for (let level = 0; ; level++) {
    const leaf = level === levels - 1;
    const first = (words[tree + level] ?? 0) / 4 + (node * (leaf ? A.TREE_LEAF_SIZE : A.TREE_LINE_SIZE)) / 4;
    const keys = words.subarray(first, first + A.TREE_KEYS);
    const below = keys.filter((one) => key > (one | 0)).length;
    if (leaf) return words[first + A.TREE_CLASSES / 4 + below] ?? 0;
    node = node * A.TREE_KEYS + below;
  }
}

/** Of these prefixes the longest around an address, which may be one itself (`length` 33: any may be). */
function longest(index: PrefixIndex, address: number, length: number): number {
  let found = 0;
  for (let number = 1; number <= index.count; number++) {
    const own = index.lengths[number] ?? 0;
    if (own >= length || (found !== 0 && own < (index.lengths[found] ?? 0))) continue;
    if (((address & maskOf(own)) ^ (index.addresses[number] ?? 0)) === 0) found = number;
  }
  return found;
}

function compare(index: PrefixIndex, words: Uint32Array, tree: number, levels: number, random: Random): void {
  const edges = Array.from({ length: index.count }, (_, i) => {
    const first = index.addresses[i + 1] ?? 0;
    const last = first + 2 ** (32 - (index.lengths[i + 1] ?? 0)) - 1;
    return [first, last, Math.max(0, first - 1), Math.min(WORD - 1, last + 1)];
  }).flat();
  for (const address of [0, WORD - 1, ...edges, ...Array.from({ length: 50 }, () => random(WORD))]) {
    const expected = longest(index, address, 33);
    assert.is(lookup(words, tree, levels, address), expected, `${address} of ${index.count}`);
  }
}

test('addresses of a tree, before and after prefixes come to it', () => {
  for (let seed = 1; seed <= 12; seed++) {
    const random = seededRandom(seed);
    const count = [0, 1, 30, 200, 900][seed % 5] ?? 0;
    const wide = [256, 4096, 2 ** 20][seed % 3] ?? 256;
    const index = new PrefixIndex(count);
    for (let i = 0; i < count; i++) index.add(...prefix(random, wide));
    const tree = new Intervals(index);
    const parents = tree.build(shortestFirst(index));
    for (let number = 1; number <= index.count; number++) {
      const around = longest(index, index.addresses[number] ?? 0, index.lengths[number] ?? 0);
      assert.is(parents[number], around, `around ${number} of ${index.count}, seed ${seed}`);
    }
    // One level more than needed, as the other side of a list may have.
    const levels = tree.levels + (seed % 2);
    const list = new ListWords(16 + tree.wordsWith(levels));
    tree.layOut(list, 16, levels);
    list.forget();
    const copy = new Uint32Array(list.words);
    compare(index, copy, 16, levels, random);
    for (let i = 0; i < 50; i++) {
      const [address, length] = prefix(random, wide);
      if (index.get(address, length) === 0) tree.paint(index.add(address, length));
    }
    list.follow(copy, 0);
    compare(index, copy, 16, levels, random);
  }
});

test('a tree is full when it has no leaf left, not when one leaf is full', () => {
  const index = new PrefixIndex(4);
  const tree = new Intervals(index);
  tree.build(shortestFirst(index));
  const { levels } = tree;
  const list = new ListWords(tree.wordsWith(levels));
  tree.layOut(list, 0, levels);
  const random = seededRandom(99);
  let known = 0;
  assert.throws(
    () => {
      // Always before all others: the leaf they go to is full from the sixteenth stretch on.
      for (; ; known++) tree.paint(index.add(((0x0a000000 - 16 * known) & ~1) >>> 0, 32));
    },
    (error: unknown) => error instanceof ListFullError,
  );
  assert.ok(known >= 64, `${known} prefixes found room`);
  index.count = known;
  compare(index, list.words, 0, levels, random);
});

test.run();
