import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { seededRandom } from '../../../test/backends/random.js';
import { Ledger } from '../ledger.js';
import { TableFullError } from './errors.js';
import { IndexPool, type Span, SpanPool } from './pools.js';

test('an index belongs to its name until the last reference goes', () => {
  const pool = new IndexPool(new Ledger(), 'things', 1, 3);
  assert.equal(pool.acquire('a', 'k'), { index: 1, fresh: true });
  assert.equal(pool.acquire('a', 'k'), { index: 1, fresh: false });
  assert.equal(pool.acquire('b', 'k'), { index: 2, fresh: true });
  assert.throws(
    () => pool.acquire('c', 'k'),
    (e: unknown) => e instanceof TableFullError && e.object === 'k',
  );
  assert.is(pool.release('a'), false);
  assert.is(pool.release('a'), true);
  assert.equal(pool.acquire('c', 'k'), { index: 1, fresh: true });
  assert.is(pool.nameOf(1), 'c');
});

test('spans never overlap, and all room comes back', () => {
  const random = seededRandom(7);
  const pool = new SpanPool(new Ledger(), 'rows', 1024);
  const held: Span[] = [];
  for (let i = 0; i < 3000; i++) {
    if (random(2) === 0) {
      try {
        held.push(pool.allocate(1 + random(60), 'k'));
      } catch (error) {
        assert.instance(error, TableFullError);
      }
    } else if (held.length > 0) pool.release(held.splice(random(held.length), 1)[0] as Span);
    const sorted = [...held].sort((a, b) => a.first - b.first);
    for (const [j, span] of sorted.entries()) {
      const next = sorted[j + 1];
      if (next !== undefined) assert.ok(span.first + span.size <= next.first);
    }
  }
  for (const span of held) pool.release(span);
  assert.equal(pool.allocate(1024, 'k'), { first: 0, size: 1024 });
});

test('a rollback takes everything back', () => {
  const ledger = new Ledger();
  const indexes = new IndexPool(ledger, 'things', 0, 10);
  const spans = new SpanPool(ledger, 'rows', 16);
  indexes.acquire('kept', 'k');
  const kept = spans.allocate(4, 'k');
  ledger.commit();
  indexes.release('kept');
  indexes.acquire('new', 'k');
  spans.release(kept);
  spans.allocate(16, 'k');
  ledger.rollback();
  assert.is(indexes.get('kept'), 0);
  assert.is(indexes.get('new'), undefined);
  assert.equal(indexes.acquire('next', 'k'), { index: 1, fresh: true });
  assert.throws(() => spans.allocate(16, 'k'));
  assert.equal(spans.allocate(8, 'k').size, 8);
});

test.run();
