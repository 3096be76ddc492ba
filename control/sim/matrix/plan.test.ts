import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { Pod } from '../../objects/types.js';
import { podObject, serviceObject } from '../fixtures.js';
import { planMatrix } from './plan.js';
import type { ClusterState } from './state.js';

const planned = (pod: Pod) => ({
  pod,
  workload: `${pod.metadata.namespace}/${pod.metadata.name}`,
  workloadKind: 'Pod',
});
const web = podObject('shop/web', {
  ip: '10.1.1.2',
  ports: [
    { containerPort: 80 },
    { containerPort: 80, protocol: 'UDP' },
    { containerPort: 81, protocol: 'SCTP' },
  ],
});
const silent = podObject('shop/silent', { ip: '10.1.1.3' });
const onHost = podObject('ops/agent', {
  ip: '192.168.16.1',
  spec: { hostNetwork: true },
  ports: [{ containerPort: 9100 }],
});
const balanced = serviceObject('shop/web', {
  type: 'LoadBalancer',
  clusterIP: '10.96.1.1',
  selector: { app: 'web' },
  ports: [{ port: 80, nodePort: 30080 }],
});
const state: ClusterState = {
  nodes: [
    { name: 'node-1', address: '192.168.16.1' },
    { name: 'node-2', address: '192.168.16.2' },
  ],
  namespaces: [],
  pods: [web, silent, onHost].map(planned),
  services: [
    { ...balanced, status: { loadBalancer: [{ ip: '192.0.2.5', ipMode: 'VIP' }] } },
    serviceObject('shop/db', { clusterIP: 'None', ports: [{ port: 5432 }] }),
    serviceObject('shop/far', { type: 'ExternalName', externalName: 'x.example.com' }),
  ],
  slices: [],
  policies: [],
  rawPolicies: [],
  outside: { addresses: ['192.168.16.254', '203.0.113.10'], ports: [{ protocol: 'TCP', port: 443 }] },
};
const plan = planMatrix(state, { icmp: false });
const targets = (row: string, column: string) =>
  plan.cells
    .find((cell) => cell.row.id === row && cell.column.id === column)
    ?.targets.map(({ address }) => address);

test('rows are pods with an address of their own, nodes and the outside', () => {
  assert.equal(
    plan.rows.map(({ id }) => id),
    ['shop/web', 'shop/silent', 'node-1', 'node-2', 'outside'],
  );
});

test('columns: every declared port, a ping where there is none, every address of every Service', () => {
  assert.equal(
    plan.columns.map(({ id }) => id),
    [
      'shop/web:80/tcp',
      'shop/web:80/udp',
      'shop/silent icmp',
      'ops/agent:9100/tcp',
      'service shop/web:80/tcp',
      'service shop/web nodePort 30080/tcp',
      'service shop/web loadBalancer 192.0.2.5:80/tcp',
      'outside 203.0.113.10:443/tcp',
      'outside 203.0.113.10 icmp',
    ],
  );
});

test('every pod can be pinged when asked for', () => {
  const ids = planMatrix(state, { icmp: true }).columns.map(({ id }) => id);
  assert.ok(ids.includes('shop/web icmp') && ids.includes('ops/agent icmp'));
});

test('NodePorts are asked at every node, but not by a node at itself', () => {
  const column = 'service shop/web nodePort 30080/tcp';
  assert.equal(targets('shop/web', column), ['192.168.16.1', '192.168.16.2']);
  assert.equal(targets('outside', column), ['192.168.16.1', '192.168.16.2']);
  assert.equal(targets('node-1', column), ['192.168.16.2']);
});

test('the outside world has no cluster IPs and does not ask itself', () => {
  assert.is(targets('outside', 'service shop/web:80/tcp'), undefined);
  assert.is(targets('outside', 'outside 203.0.113.10:443/tcp'), undefined);
  assert.equal(targets('outside', 'service shop/web loadBalancer 192.0.2.5:80/tcp'), ['192.0.2.5']);
});

test.run();
