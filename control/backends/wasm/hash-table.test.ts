import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { seededRandom } from '../../../test/backends/random.js';
import { HashTable } from './hash-table.js';

test('agrees with a Map over random inserts and deletes, and leaves no trace of what is gone', () => {
  for (let seed = 1; seed <= 20; seed++) {
    const random = seededRandom(seed);
    const words = new Uint32Array(8 + 4 * 64);
    const table = new HashTable(words, 8, 6, 2);
    const oracle = new Map<number, number>();
    for (let i = 0; i < 2000; i++) {
      const key = random(96);
      if (random(2) === 0 && oracle.size < 56) {
        const value = 1 + random(1000);
        assert.is(table.set(key, key * 7, value), true);
        oracle.set(key, value);
      } else {
        assert.is(table.delete(key, key * 7), oracle.delete(key));
      }
      assert.is(table.get(key, key * 7), oracle.get(key));
    }
    for (let key = 0; key < 96; key++) assert.is(table.get(key, key * 7), oracle.get(key));
    assert.is(table.count(), oracle.size);
    for (const key of oracle.keys()) table.delete(key, key * 7);
    assert.ok(words.every((word) => word === 0));
  }
});

test('refuses an insert when no slot is empty, and still ends its searches', () => {
  const table = new HashTable(new Uint32Array(16), 0, 2, 2);
  for (let i = 0; i < 4; i++) assert.is(table.set(i, 0, 1), true);
  assert.is(table.set(4, 0, 1), false);
  assert.is(table.set(3, 0, 9), true);
  assert.is(table.get(3, 0), 9);
  assert.is(table.get(4, 0), undefined);
  assert.is(table.delete(4, 0), false);
  assert.is(table.delete(0, 0), true);
  assert.is(table.get(3, 0), 9);
});

test('a table that is given more slots, or fewer, holds what it held and nothing else', () => {
  const random = seededRandom(7);
  const words = new Uint32Array(4 << 10);
  const table = new HashTable(words, 0, 4, 2);
  const oracle = new Map<number, number>();
  for (const [log2, entries] of [
    [6, 30],
    [10, 500],
    [9, 200],
    [5, 12],
  ] as const) {
    for (const key of [...oracle.keys()].slice(entries)) {
      table.delete(key, 1);
      oracle.delete(key);
    }
    table.resize(log2);
    while (oracle.size < entries) {
      const key = random(2 ** 31);
      table.set(key, 1, key + 1);
      oracle.set(key, key + 1);
    }
    assert.is(table.slots, 2 ** log2);
    assert.is(table.used, oracle.size);
    assert.is(table.count(), oracle.size);
    for (const [key, value] of oracle) assert.is(table.get(key, 1), value);
    assert.ok(words.subarray(4 << log2).every((word) => word === 0));
  }
});

test.run();
