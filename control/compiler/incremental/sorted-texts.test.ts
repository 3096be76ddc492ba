import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { Random } from '../../oracle/random.js';
import { canonical } from '../../ruleset/canonical.js';
import { SortedTexts } from './sorted-texts.js';

test('any changes leave what a plain set would hold, in order, and older lists as they were', () => {
  for (let seed = 1; seed <= 20; seed++) {
    const random = new Random(seed);
    const text = (): string => `10.${random.below(8)}.${random.below(40)}.${random.below(8)}`;
    let plain = new Set(random.times(random.below(900), text));
    let list = SortedTexts.of([...plain].sort());
    for (let step = 0; step < 30; step++) {
      const before = { list, texts: [...plain].sort() };
      // Few changes, or so many that chunks are cut up and go.
      const most = random.chance(0.2) ? 700 : 6;
      const added = new Set(random.times(random.below(most), text).filter((t) => !plain.has(t)));
      const removed = new Set([...plain].filter(() => random.chance(most === 6 ? 0.01 : 0.9)));
      list = list.change(added, removed);
      plain = new Set([...[...plain].filter((t) => !removed.has(t)), ...added]);
      const wanted = [...plain].sort();
      assert.equal(list.toArray(), wanted);
      assert.is(list.size, wanted.length);
      assert.is(canonical(list.toArray()), JSON.stringify(wanted));
      assert.ok(wanted.every((t) => list.has(t)));
      assert.not(list.has('10.9.0.0'));
      assert.equal(before.list.toArray(), before.texts);
    }
  }
});

test('an empty list takes its first texts, and gives up its last', () => {
  const one = SortedTexts.EMPTY.change(new Set(['b', 'a']), new Set());
  assert.equal(one.toArray(), ['a', 'b']);
  const none = one.change(new Set(), new Set(['a', 'b']));
  assert.equal(none.toArray(), []);
  assert.is(none.size, 0);
});

test.run();
