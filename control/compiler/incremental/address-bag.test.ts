/** Sorted lists that share their parts, and bags of addresses, against plain arrays and counts. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { Random } from '../../oracle/random.js';
import { AddressBag } from './address-bag.js';
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

test('AddressBag: an address stays as long as anybody holds it, and deltas say what came and went', () => {
  for (let seed = 1; seed <= 30; seed++) {
    const random = new Random(seed);
    const first = random.times(random.below(30), () => `10.0.0.${random.below(20)}`);
    const bag = new AddressBag('addressset/x', first);
    const held = [...first];
    for (let step = 0; step < 40; step++) {
      const old = bag.item;
      const before = [...old.addresses];
      for (let n = random.below(6); n >= 0; n--) {
        const at = random.below(held.length + 1);
        const leaving = held[at];
        if (leaving !== undefined && random.chance(0.5)) {
          held.splice(at, 1);
          bag.remove(leaving);
        } else {
          const ip = `10.0.0.${random.below(20)}`;
          held.push(ip);
          bag.add(ip);
        }
      }
      const wanted = [...new Set(held)].sort();
      assert.is(bag.size, wanted.length);
      const delta = bag.settle();
      assert.equal(bag.item.addresses, wanted, `seed ${seed} step ${step}`);
      assert.equal(old.addresses, before);
      const added = wanted.filter((ip) => !before.includes(ip));
      const removed = before.filter((ip) => !wanted.includes(ip));
      assert.equal(delta, added.length + removed.length === 0 ? null : { added, removed });
    }
  }
});

test.run();
