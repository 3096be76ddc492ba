import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { AddressConflictError, PodAllocator, PoolExhaustedError, REST_MS } from './allocator.js';

test('addresses follow the cursor; a freed one rests until the range wraps', () => {
  const pool = new PodAllocator('10.1.1.0/28');
  assert.is(pool.capacity, 12n);
  assert.is(pool.allocate('a'), '10.1.1.2');
  assert.is(pool.allocate('b'), '10.1.1.3');
  assert.ok(pool.release('a'));
  for (let i = 4; i <= 13; i++) assert.is(pool.allocate(`p${i}`), `10.1.1.${i}`);
  assert.is(pool.allocate('c'), '10.1.1.2', 'wrapped; the gateway is skipped');
});

test('the same pod asks again: same address', () => {
  const pool = new PodAllocator('10.1.1.0/24');
  assert.is(pool.allocate('a'), pool.allocate('a'));
  assert.is(pool.used, 1);
});

test('/24 has 252 addresses, /22 has 1020', () => {
  for (const [subnet, count] of [
    ['10.1.1.0/24', 252],
    ['10.1.4.0/22', 1020],
  ] as const) {
    const pool = new PodAllocator(subnet);
    const seen = new Set(Array.from({ length: count }, (_, i) => pool.allocate(`p${i}`)));
    assert.is(seen.size, count);
    assert.throws(
      () => pool.allocate('more'),
      (e: Error) => e instanceof PoolExhaustedError && e.retryable && /more/.test(e.message),
    );
    assert.ok(pool.release('p7'));
    assert.type(pool.allocate('more'), 'string');
  }
});

test('in a nearly full pool the address that rests longest comes back first, and a rested one needs no order', () => {
  let now = 0;
  const pool = new PodAllocator('10.1.1.0/28', () => now);
  for (let i = 2; i <= 13; i++) pool.allocate(`p${i}`);
  for (const i of [9, 4, 6]) pool.release(`p${i}`);
  assert.is(pool.allocate('a'), '10.1.1.9', 'freed first');
  assert.is(pool.allocate('b'), '10.1.1.4');
  now += REST_MS;
  pool.release('p12');
  assert.is(pool.allocate('c'), '10.1.1.6', 'all rested: in order from the cursor, .12 still rests');
  assert.is(pool.allocate('d'), '10.1.1.12', 'better early than not at all');
});

test('released twice, or never held', () => {
  const pool = new PodAllocator('10.1.1.0/24');
  pool.allocate('a');
  assert.ok(pool.release('a'));
  assert.not(pool.release('a'));
});

test('rebuilt from a journal: same owners, same order after', () => {
  const before = new PodAllocator('10.1.1.0/24');
  for (const name of ['a', 'b', 'c']) before.allocate(name);
  before.release('c');
  const after = new PodAllocator('10.1.1.0/24');
  for (const [owner, address] of before.owners()) after.restore(owner, address);
  after.restoreCursor(before.cursor);
  assert.equal(after.owners(), before.owners());
  assert.is(after.allocate('d'), before.allocate('d'));
});

test('a journal that cannot be right is refused', () => {
  const pool = new PodAllocator('10.1.1.0/24');
  pool.restore('a', '10.1.1.9');
  pool.restore('a', '10.1.1.9');
  assert.is(pool.cursor, '10.1.1.9');
  for (const [owner, address] of [
    ['b', '10.1.1.9'],
    ['a', '10.1.1.10'],
    ['b', '10.1.2.2'],
    ['b', '10.1.1.1'],
    ['b', '10.1.1.254'],
    ['b', '10.1.1.255'],
  ] as const) {
    assert.throws(
      () => pool.restore(owner, address),
      (e: Error) => e instanceof AddressConflictError,
      address,
    );
  }
});

test('IPv6', () => {
  const pool = new PodAllocator('fe10:0:0:3::/64');
  assert.is(pool.capacity, (1n << 63n) - 4n);
  assert.is(pool.allocate('a'), 'fe10:0:0:3::2');
});

test('random use against a plain model: never two owners of one address, exhaustion exactly when full', () => {
  let seed = 7;
  const random = (n: number): number => {
    seed = (Math.imul(seed, 1103515245) + 12345) >>> 0;
    return (seed >>> 8) % n;
  };
  const pool = new PodAllocator('10.1.1.0/28');
  const model = new Map<string, string>();
  for (let i = 0; i < 5000; i++) {
    const owner = `p${random(20)}`;
    if (random(2) === 0) {
      assert.is(pool.release(owner), model.delete(owner));
    } else if (model.has(owner) || model.size < 12) {
      const address = pool.allocate(owner);
      assert.is(model.get(owner) ?? address, address);
      model.set(owner, address);
    } else {
      assert.throws(
        () => pool.allocate(owner),
        (e: Error) => e instanceof PoolExhaustedError,
      );
    }
    assert.is(new Set(model.values()).size, model.size);
  }
});

test.run();
