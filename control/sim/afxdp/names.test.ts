import { test } from 'uvu';
import * as assert from 'uvu/assert';
import {
  checkClusterName,
  clusterOfNamespace,
  nodeNamespace,
  outsideNamespace,
  podNamespace,
} from './names.js';

test('a namespace tells its cluster, whatever the parts are called', () => {
  const pod = { namespace: 'node-1', name: 'pod-a.b' };
  assert.is(clusterOfNamespace(podNamespace('a', pod)), 'a');
  assert.is(clusterOfNamespace(podNamespace('a-node', pod)), 'a-node');
  assert.is(clusterOfNamespace(nodeNamespace('a', 'node-1')), 'a');
  assert.is(clusterOfNamespace(outsideNamespace('a-host')), 'a-host');
  assert.is(clusterOfNamespace('pteropus-a'), null);
  assert.is(clusterOfNamespace('cni-1234'), null);
});

test('long pod names stay apart and fit a file name', () => {
  const name = 'x'.repeat(252);
  const one = podNamespace('a', { namespace: 'ns', name: `${name}1` });
  const two = podNamespace('a', { namespace: 'ns', name: `${name}2` });
  assert.is.not(one, two);
  assert.is(one.length, 255);
  assert.is(clusterOfNamespace(one), 'a');
});

test('cluster names that could reach outside their folder are refused', () => {
  for (const name of ['', '..', 'a/b', 'A', 'a_b', '-a', 'a-', 'x'.repeat(33)]) {
    assert.throws(() => checkClusterName(name), /cluster name/);
  }
  assert.is(checkClusterName('shop-2'), 'shop-2');
});

test.run();
