import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { Limit } from './limit.js';

test('never more than the limit at a time, in order, and a failure frees its place', async () => {
  const limit = new Limit(2);
  const order: number[] = [];
  let running = 0;
  let most = 0;
  const results = await Promise.allSettled(
    [0, 1, 2, 3, 4, 5].map((n) =>
      limit.run(async () => {
        order.push(n);
        most = Math.max(most, ++running);
        await new Promise((resolve) => setImmediate(resolve));
        running--;
        if (n === 1) throw new Error('one');
        return n;
      }),
    ),
  );
  assert.is(most, 2);
  assert.equal(order, [0, 1, 2, 3, 4, 5]);
  assert.equal(
    results.map((result) => result.status),
    ['fulfilled', 'rejected', 'fulfilled', 'fulfilled', 'fulfilled', 'fulfilled'],
  );
});

test.run();
