import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { collectGarbage } from './collect-garbage.js';

test('what nobody refers to is gone, and the heap is smaller; what somebody does stays', () => {
  const make = (): unknown[] => Array.from({ length: 500_000 }, (_, i) => ({ i }));
  let garbage: unknown[] | null = make();
  const kept = { text: 'kept' };
  const reference = new WeakRef(kept);
  collectGarbage();
  const full = process.memoryUsage();
  assert.is(garbage.length, 500_000);
  garbage = null;
  collectGarbage();
  const now = process.memoryUsage();
  assert.ok(full.heapUsed - now.heapUsed > 10 * 2 ** 20, `${full.heapUsed} to ${now.heapUsed}`);
  assert.ok(full.heapTotal - now.heapTotal > 10 * 2 ** 20, `${full.heapTotal} to ${now.heapTotal}`);
  assert.is(reference.deref(), kept);
});

test.run();
