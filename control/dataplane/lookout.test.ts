import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { Lookout } from './lookout.js';

function after(lookout: Lookout, rounds: number, received: number, small = true): Lookout {
  for (let i = 0; i < rounds; i++) lookout.note(received, small, false);
  return lookout;
}

test('small packets that come one by one are lone, however many', () => {
  assert.not(new Lookout().lone, 'nothing is known yet');
  assert.ok(after(new Lookout(), 10_000, 1).lone);
  assert.ok(after(new Lookout(), 10_000, 2).lone);
  assert.not(after(new Lookout(), 10_000, 1, false).lone);
});

test('one batch or one large packet is a crowd, until as many rounds had few small ones', () => {
  for (const [received, small] of [
    [3, true],
    [1, false],
  ] as const) {
    const lookout = after(after(new Lookout(), 100, 1), 1, received, small);
    assert.not(lookout.lone);
    assert.not(after(lookout, 31, 1).lone);
    assert.not(after(lookout, 1000, 0).lone, 'rounds without packets say nothing');
    assert.ok(after(lookout, 1, 1).lone);
  }
});

test('it asks after an odd number of rounds with packets, and again after as many', () => {
  const lookout = new Lookout();
  for (let turn = 0; turn < 3; turn++) {
    let rounds = 0;
    for (; !lookout.asks; rounds++) lookout.note(1, true, rounds === 0);
    assert.is(rounds % 2, 1);
    assert.ok(after(lookout, 5, 0).asks, 'until it slept');
    lookout.note(0, false, true);
    assert.not(lookout.asks);
  }
});

test.run();
