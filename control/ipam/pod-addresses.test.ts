import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { DEFAULT_CONFIG, DEFAULT_IPV6 } from '../compiler/input.js';
import { AddressConflictError, PoolExhaustedError } from './allocator.js';
import { planNode } from './arithmetic.js';
import { PodAddresses } from './pod-addresses.js';

const DUAL = { ...DEFAULT_CONFIG, ipv6: DEFAULT_IPV6 };

test('one address of each family, the same again, and both freed', () => {
  const addresses = new PodAddresses(planNode(DUAL, 3));
  assert.equal(addresses.allocate('a'), ['10.1.3.2', 'fd00:10:1:3::2']);
  assert.equal(addresses.allocate('a'), ['10.1.3.2', 'fd00:10:1:3::2']);
  assert.equal(
    addresses.use().map(({ used }) => used),
    [1, 1],
  );
  assert.ok(addresses.release('a'));
  assert.not(addresses.release('a'));
  assert.equal(
    addresses.use().map(({ used }) => used),
    [0, 0],
  );
});

test('one family exhausted: the pod gets neither', () => {
  const small = { ...DEFAULT_IPV6, podSubnetCIDR: 'fd00:10:1::/112', podSubnetOneNodePrefixLen: 125 };
  const addresses = new PodAddresses(planNode({ ...DUAL, ipv6: small }, 3));
  for (const name of ['a', 'b', 'c', 'd']) assert.is(addresses.allocate(name).length, 2);
  assert.throws(
    () => addresses.allocate('e'),
    (e: Error) => e instanceof PoolExhaustedError && /fd00:10:1::18\/125/.test(e.message),
  );
  assert.equal(
    addresses.use().map(({ used, free }) => [used, free]),
    [
      [4, 248],
      [4, 0],
    ],
  );
});

test('a pod of before the second family keeps its one address, and gets no other while it lives', () => {
  const addresses = new PodAddresses(planNode(DUAL, 3));
  addresses.restore('old', ['10.1.3.9']);
  addresses.restoreCursors(['10.1.3.9']);
  assert.equal(addresses.allocate('new'), ['10.1.3.10', 'fd00:10:1:3::2']);
});

test('a journal that cannot be right is refused whole', () => {
  const addresses = new PodAddresses(planNode(DUAL, 3));
  addresses.restore('a', ['10.1.3.9', 'fd00:10:1:3::9']);
  for (const wrong of [['10.1.3.10', 'fd00:10:1:3::9'], ['10.1.3.10', 'fd00:10:1:4::9'], ['10.1.4.10']]) {
    assert.throws(
      () => addresses.restore('b', wrong),
      (e: Error) => e instanceof AddressConflictError && /b/.test(e.message),
    );
    assert.is(addresses.use()[0]?.used, 1);
  }
});

test('cursors of both families survive, and of a family that is gone do no harm', () => {
  const before = new PodAddresses(planNode(DUAL, 3));
  before.allocate('a');
  before.allocate('b');
  const after = new PodAddresses(planNode(DUAL, 3));
  after.restoreCursors(before.cursors);
  assert.equal(after.allocate('c'), before.allocate('c'));
  new PodAddresses(planNode(DEFAULT_CONFIG, 3)).restoreCursors(before.cursors);
});

test.run();
