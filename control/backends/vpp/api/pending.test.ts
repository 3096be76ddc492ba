/** The queue of requests: found by their context in any order, over the end of the numbers, late ones by their own clock. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { VppLostError, VppTimeoutError } from './errors.js';
import { Pending, type Waiting } from './pending.js';
import { randomSource } from './testing/random.js';

function waiting(message: string, failed: Error[] = []): Waiting {
  return { message, reply: `${message}_reply`, resolve: () => {}, reject: (error) => failed.push(error) };
}

test('a random order of requests and replies, beside a plain map; contexts go round at 2³²', () => {
  const random = randomSource(3);
  const pending = new Pending(60_000, 2 ** 32 - 20_000);
  const plain = new Map<number, Waiting>();
  let next = 2 ** 32 - 20_000;
  for (let step = 0; step < 200_000; step++) {
    // More are sent than answered, then all that is there is answered.
    const sending = step % 20_000 < 10_000 ? random(3) > 0 : random(3) === 0;
    if (sending) {
      const one = waiting(`m${step}`);
      assert.is(pending.nextContext, next % 2 ** 32);
      const context = pending.add(one);
      plain.set(context, one);
      next++;
    } else if (plain.size > 0) {
      const contexts = plain.keys();
      let context = contexts.next().value ?? 0;
      for (let skip = random(8) === 0 ? random(Math.min(50, plain.size)) : 0; skip > 0; skip--) {
        context = contexts.next().value ?? context;
      }
      assert.ok(pending.get(context) === plain.get(context));
      pending.take(context);
      plain.delete(context);
      assert.is(pending.get(context), undefined);
      // The second of two.
      pending.take(context);
    }
    assert.is(pending.size, plain.size);
  }
  for (const [context, one] of plain) assert.ok(pending.get(context) === one);
  pending.fail(new VppLostError('the end'));
  assert.is(pending.size, 0);
});

test('contexts that were never given have nothing', () => {
  const pending = new Pending(1000);
  const context = pending.add(waiting('a'));
  for (const wrong of [0, context + 1, context - 2, 0xffffffff])
    assert.is(pending.get(wrong >>> 0), undefined);
  pending.fail(new VppLostError('the end'));
});

test('all that wait fail for the same reason, and contexts go on', () => {
  const failed: Error[] = [];
  const pending = new Pending(1000);
  const first = pending.add(waiting('a', failed));
  pending.add(waiting('b', failed));
  pending.take(first);
  pending.add(waiting('c', failed));
  const reason = new VppLostError('the end');
  pending.fail(reason);
  assert.equal(failed, [reason, reason]);
  assert.is(pending.add(waiting('d')), first + 3);
  pending.fail(reason);
});

test('one that was overtaken is given up by its own clock, those behind it are not', async () => {
  const pending = new Pending(40);
  const failed: Error[] = [];
  await new Promise<void>((resolve) => {
    // Timers of the queue do not keep a process alive.
    const alive = setInterval(() => {}, 1000);
    pending.add({ ...waiting('lost'), reject: (error) => failed.push(error) });
    const answered = pending.add(waiting('answered'));
    pending.take(answered);
    pending.add({
      ...waiting('last'),
      reject: (error) => {
        failed.push(error);
        clearInterval(alive);
        resolve();
      },
    });
  });
  assert.equal(
    failed.map((error) => [error.constructor, (error as VppTimeoutError).object]),
    [
      [VppTimeoutError, 'lost'],
      [VppTimeoutError, 'last'],
    ],
  );
  assert.is(pending.size, 0);
});

test.run();
