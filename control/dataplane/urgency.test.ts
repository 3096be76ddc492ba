import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { Urgency } from './urgency.js';

/** Whether it is urgent after `total` milliseconds in rounds of 0.05, of which `share` had packets. */
function after(urgency: Urgency, total: number, share: number): boolean {
  for (let round = 0; round < total / 0.05; round++) urgency.note(0.05, round % 20 < share * 20);
  return urgency.urgent;
}

test('work makes urgent, looking does not', () => {
  assert.not(new Urgency().urgent);
  assert.not(after(new Urgency(), 100, 0));
  assert.not(after(new Urgency(), 100, 0.4));
  assert.ok(after(new Urgency(), 3, 0.6));
});

test('a load near the border does not change it back and forth', () => {
  const urgency = new Urgency();
  assert.ok(after(urgency, 4, 0.9));
  assert.ok(after(urgency, 100, 0.4));
  assert.not(after(urgency, 100, 0.2));
  assert.not(after(urgency, 100, 0.4));
});

test('a change is told once', () => {
  const urgency = new Urgency();
  const told = Array.from({ length: 100 }, () => urgency.note(0.1, true));
  assert.is(told.filter(Boolean).length, 1);
});

test('soon after a burst it is over', () => {
  const urgency = new Urgency();
  after(urgency, 10, 1);
  assert.not(after(urgency, 4.1, 0));
});

test('one long round counts as long as it was', () => {
  const urgency = new Urgency();
  assert.ok(urgency.note(5, true));
  assert.ok(urgency.note(5, false));
});

test('nothing is urgent where no core would be left for others', () => {
  assert.not(after(new Urgency(false), 100, 1));
});

test('it ends at once when there is little to do', () => {
  const urgency = new Urgency();
  assert.not(urgency.end());
  after(urgency, 10, 1);
  assert.ok(urgency.end());
  assert.not(urgency.urgent);
  assert.not(urgency.end());
});

test.run();
