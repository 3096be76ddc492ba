import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { Words6 } from './bytes6.js';
import { HashTable6 } from './hash-table6.js';

const LOG2 = 6;
const EMPTY = 32;

test('random use against a plain map: inserts, overwrites, deletions that shift', () => {
  let state = 7;
  const random = (below: number): number => {
    state = (Math.imul(state, 1103515245) + 12345) >>> 0;
    return (state >>> 8) % below;
  };
  const words = new Uint32Array((8 << LOG2) + 2 * EMPTY);
  const table = new HashTable6(words, EMPTY, LOG2);
  const plain = new Map<string, number>();
  for (let i = 0; i < 20_000; i++) {
    // Few different addresses, so that keys meet again; alike in all words but one.
    const address = [0xfd, 0, random(2), random(30)] as Words6;
    const meta = 0x80000000 + random(2);
    const key = `${address} ${meta}`;
    if (random(2) === 0) {
      assert.is(table.delete(address, meta), plain.delete(key));
    } else if (plain.size < 48 || plain.has(key)) {
      assert.ok(table.set(address, meta, i + 1));
      plain.set(key, i + 1);
    }
    assert.is(table.get(address, meta), plain.get(key));
  }
  for (const [key, value] of plain) {
    const [address = '', meta] = key.split(' ');
    assert.is(table.get(address.split(',').map(Number) as unknown as Words6, Number(meta)), value);
  }
  assert.ok(words.subarray(0, EMPTY).every((word) => word === 0));
  assert.ok(words.subarray(words.length - EMPTY).every((word) => word === 0));
});

test('a full table takes no more', () => {
  const table = new HashTable6(new Uint32Array(32), 0, 2);
  for (let i = 0; i < 4; i++) assert.ok(table.set([0, 0, 0, i], 1, i));
  assert.not(table.set([0, 0, 0, 9], 1, 9));
  assert.is(table.get([0, 0, 0, 9], 1), undefined);
});

test.run();
