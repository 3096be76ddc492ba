/** Weights as copies of paths. */
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import type { ServiceBackend } from '../../../ruleset/types.js';
import { copiesOf, MOST_COPIES, pathsOf } from './paths.js';

const test = suite('paths of a translation');

const backend = (address: string, weight: number, port = 80): ServiceBackend => ({
  ...{ address, port, weight, pod: null, node: null },
});

test('equal weights are one copy each, in an order that does not depend on the list', () => {
  const [a, b] = [backend('10.1.1.3', 5), backend('10.1.1.2', 5)];
  assert.equal(pathsOf([a, b]), pathsOf([b, a]));
  assert.equal(pathsOf([a, b]), [
    { address: '10.1.1.2', port: 80, copy: 0 },
    { address: '10.1.1.3', port: 80, copy: 0 },
  ]);
});

test('weights are reduced, and each copy has a number of its own', () => {
  assert.equal(copiesOf([2, 4, 6]), [1, 2, 3]);
  assert.equal(
    pathsOf([backend('10.1.1.2', 2), backend('10.1.1.3', 4)]).map(({ address, copy }) => [address, copy]),
    [
      ['10.1.1.2', 0],
      ['10.1.1.3', 0],
      ['10.1.1.3', 1],
    ],
  );
});

test('a backend that is named twice has the sum of its weights', () => {
  const paths = pathsOf([backend('10.1.1.2', 1), backend('10.1.1.3', 1), backend('10.1.1.2', 1)]);
  assert.is(paths.filter(({ address }) => address === '10.1.1.2').length, 2);
});

test('large weights keep their proportion nearly, and nobody is left out', () => {
  const copies = copiesOf([1, 100_003, 200_003]);
  assert.ok(copies.reduce((sum, count) => sum + count, 0) <= MOST_COPIES + copies.length);
  assert.is(copies[0], 1);
  assert.ok(Math.abs((copies[2] ?? 0) / (copies[1] ?? 1) - 2) < 0.05);
  assert.equal(copiesOf([]), []);
});

test.run();
