/** Sorted lists that share their parts, and bags of addresses with their versions, against plain arrays and counts. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { Random } from '../../oracle/random.js';
import { canonical } from '../../ruleset/canonical.js';
import type { AddressSetItem } from '../../ruleset/types.js';
import { AddressBag, CountingBag } from './address-bag.js';
import { SortedTexts } from './sorted-texts.js';

test('SortedTexts: any change of any size gives the sorted list, and older lists stay as they were', () => {
  for (let seed = 1; seed <= 12; seed++) {
    const random = new Random(seed);
    const range = seed % 3 === 0 ? 20_000 : 1500;
    const name = (): string => `t${random.below(range)}`;
    let plain = new Set(random.times(random.below(range), name));
    let list = SortedTexts.of([...plain].sort());
    for (let step = 0; step < 60; step++) {
      const before = list;
      const then = [...plain].sort();
      const many = random.chance(0.1) ? range : 1 + random.below(6);
      const added = new Set(random.times(random.below(many), name).filter((text) => !plain.has(text)));
      const removed = new Set([...plain].slice(0, random.below(many)));
      plain = new Set([...plain, ...added].filter((text) => !removed.has(text)));
      list = list.change(added, removed);
      const about = `seed ${seed} step ${step}`;
      assert.is(list.size, plain.size, about);
      assert.is(list.toArray().join(), [...plain].sort().join(), about);
      assert.is(before.toArray().join(), then.join(), about);
      const asked = name();
      assert.is(list.has(asked), plain.has(asked), about);
    }
  }
});

/** Moves that a plain set allows: out if it has the address, else in. */
function toggle(bag: AddressBag, plain: Set<string>, address: string): void {
  if (plain.delete(address)) {
    bag.remove(address);
    return;
  }
  plain.add(address);
  bag.add(address);
}

test('AddressBag: items and deltas say what came and went, and every item reads the same for ever, whenever it is read', () => {
  for (let seed = 1; seed <= 12; seed++) {
    const random = new Random(seed);
    const range = seed % 3 === 0 ? 3000 : 40;
    const address = (): string => `10.0.${random.below(range) >> 8}.${random.below(range) & 255}`;
    const plain = new Set(random.times(random.below(range), address));
    const bag = new AddressBag('addressset/x', [...plain]);
    const unread: { readonly item: AddressSetItem; readonly wanted: readonly string[] }[] = [];
    for (let step = 0; step < (range > 40 ? 60 : 300); step++) {
      const old = bag.item;
      const before = new Set(plain);
      for (let n = random.chance(0.02) ? range : random.below(6); n > 0; n--) toggle(bag, plain, address());
      assert.is(bag.size, plain.size);
      const delta = bag.settle();
      assert.is(bag.unsettled, 0);
      const added = [...plain].filter((ip) => !before.has(ip)).sort();
      const removed = [...before].filter((ip) => !plain.has(ip)).sort();
      assert.equal(delta, added.length + removed.length === 0 ? null : { added, removed });
      assert.is(bag.item === old, delta === null);
      const kept = { item: bag.item, wanted: [...plain].sort() };
      // Some are read at once, some before the next change, some long after.
      if (random.chance(0.2)) assert.equal(kept.item.addresses, kept.wanted);
      else unread.push(kept);
      if (random.chance(0.1)) assert.equal(old.addresses, [...before].sort());
    }
    for (const { item, wanted } of unread) {
      assert.equal(item.addresses, wanted, `seed ${seed}`);
      assert.is(item.addresses, item.addresses);
      assert.is(
        canonical(item),
        canonical({ kind: 'addressset', key: 'addressset/x', addresses: wanted, blocks: [] }),
      );
    }
  }
});

test('CountingBag: an address stays as long as anybody holds it', () => {
  for (let seed = 1; seed <= 30; seed++) {
    const random = new Random(seed);
    const counting = new CountingBag('addressset/x');
    const held: string[] = [];
    for (let step = 0; step < 40; step++) {
      for (let n = random.below(6); n >= 0; n--) {
        const at = random.below(held.length + 1);
        const leaving = held[at];
        if (leaving !== undefined && random.chance(0.5)) {
          held.splice(at, 1);
          counting.remove(leaving);
        } else {
          const ip = `10.0.0.${random.below(20)}`;
          held.push(ip);
          counting.add(ip);
        }
      }
      counting.bag.settle();
      assert.equal(counting.bag.item.addresses, [...new Set(held)].sort(), `seed ${seed} step ${step}`);
      assert.is(counting.bag.size, new Set(held).size);
    }
  }
});

test.run();
