/** Who a pod sees when a node leads a client outside to it. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { barePod } from '../../../test/e2e/support/spec.js';
import { hiddenBy } from './hidden.js';
import type { ClusterState } from './state.js';

const nodes: ClusterState['nodes'] = [
  { name: 'a', address: '192.168.16.1' },
  { name: 'b', address: '192.168.16.2', vpp: true },
  { name: 'c', address: '192.168.16.3' },
];
const pods = ['a', 'b', 'c'].map((node, i) => {
  const pod = barePod(node, node);
  return { pod: { ...pod, status: { ...pod.status, podIPs: [`10.1.${i + 1}.2`] } } };
}) as unknown as ClusterState['pods'];
const name = (entry: string): unknown => ({
  node: entry,
  ip: nodes.find((node) => node.name === entry)?.address,
});

test('between two nodes, one of them on VPP, the client has the name of the first', () => {
  const hidden = hiddenBy({ nodes, pods });
  assert.equal(hidden('a', '10.1.2.2'), name('a'));
  assert.equal(hidden('b', '10.1.3.2'), name('b'));
});

test('it keeps its own on one node, between nodes that are not on VPP, and outside', () => {
  const hidden = hiddenBy({ nodes, pods });
  assert.is(hidden('b', '10.1.2.2'), null);
  assert.is(hidden('a', '10.1.3.2'), null);
  assert.is(hidden(null, '10.1.2.2'), null);
  assert.is(hidden('a', '203.0.113.10'), null);
});

test.run();
