import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { NO_TAP } from '../backends/wasm/xdp-feed.js';
import { Bursts } from './bursts.js';

const [CLIENT, SERVER] = [3, 4];

/** Whether packets are few after `count` rounds with a packet each, every one after a sleep of so many milliseconds. */
function after(
  bursts: Bursts,
  count: number,
  sleptMs: number,
  tap: (n: number) => number = () => NO_TAP,
): boolean {
  for (let i = 0; i < count; i++) bursts.note(1, sleptMs, tap(i));
  return bursts.few;
}

test('at first, and after pauses, packets are few', () => {
  const bursts = new Bursts();
  assert.ok(bursts.few);
  assert.ok(after(bursts, 1000, 5));
});

test('without pauses they become many, whether in one batch or with short sleeps between them', () => {
  assert.not(after(new Bursts(), 100, 0));
  assert.not(after(new Bursts(), 100, 0.3));
  const batch = new Bursts();
  batch.note(64, 50, NO_TAP);
  assert.not(batch.few);
});

test('after many, one burst of few is needed', () => {
  const bursts = new Bursts();
  bursts.note(64, 50, NO_TAP);
  bursts.note(1, 5, NO_TAP);
  assert.not(bursts.few, 'the one before had many');
  bursts.note(1, 5, NO_TAP);
  assert.ok(bursts.few);
});

test('a sleep that nothing ended is a burst of none', () => {
  const bursts = new Bursts();
  bursts.note(64, 50, NO_TAP);
  bursts.note(0, 50, NO_TAP);
  bursts.note(0, 50, NO_TAP);
  assert.ok(bursts.few);
});

const turns = (n: number): number => (n % 2 === 0 ? CLIENT : SERVER);

test('a conversation is few however long it takes, and after many it ends them', () => {
  assert.ok(after(new Bursts(), 10_000, 0.01, turns));
  const bursts = new Bursts();
  assert.not(after(bursts, 1_000_000, 0, () => CLIENT));
  assert.ok(after(bursts, 100, 0, turns));
});

test('a stream of small packets from one TAP is no conversation, nor are segments and what acknowledges them', () => {
  assert.not(after(new Bursts(), 100, 0.01, () => CLIENT));
  assert.not(after(new Bursts(), 100, 0.01, (n) => (n % 2 === 0 ? NO_TAP : SERVER)));
});

test('several packets at once between those of a conversation count', () => {
  const bursts = new Bursts();
  for (let i = 0; i < 100; i++) {
    bursts.note(1, 0.01, turns(i));
    bursts.note(2, 0, NO_TAP);
  }
  assert.not(bursts.few);
});

test.run();
