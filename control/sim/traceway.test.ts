import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { InvalidInputError } from '../common/errors.js';
import { podObject, serviceObject } from './fixtures.js';
import type { ClusterState } from './matrix/state.js';
import type { Traced } from './session.js';
import { formatTraced, resolveTrace } from './traceway.js';

const state: ClusterState = {
  nodes: [{ name: 'node-1', address: '192.168.16.1' }],
  namespaces: [],
  pods: [
    { pod: podObject('shop/web-x1', { ip: '10.1.1.2' }), workload: 'shop/web', workloadKind: 'Deployment' },
    { pod: podObject('shop/db-0', { ip: '10.1.2.2' }), workload: 'shop/db', workloadKind: 'StatefulSet' },
  ],
  services: [serviceObject('shop/db', { clusterIP: '10.96.1.1', ports: [{ port: 5432 }] })],
  slices: [],
  policies: [],
  rawPolicies: [],
  outside: { addresses: ['192.168.16.254', '203.0.113.10'], ports: [] },
};

test('names of pods, workloads, Services, nodes and the outside are addresses', () => {
  const probe = resolveTrace(state, 'shop/web', 'shop/db-0:5432');
  assert.equal(probe.from, { type: 'pod', pod: { namespace: 'shop', name: 'web-x1' } });
  assert.equal([probe.address, probe.port, probe.protocol], ['10.1.2.2', 5432, 'tcp']);
  const to = (text: string) => {
    const { address, port, protocol } = resolveTrace(state, 'outside', text);
    return `${address} ${port} ${protocol}`;
  };
  assert.is(to('service/shop/db:5432'), '10.96.1.1 5432 tcp');
  assert.is(to('shop/db:53/udp'), '10.1.2.2 53 udp');
  assert.is(to('shop/db'), '10.1.2.2 0 icmp');
  assert.is(to('outside:443'), '203.0.113.10 443 tcp');
  assert.is(to('node-1:22'), '192.168.16.1 22 tcp');
  assert.is(to('198.51.100.7:80'), '198.51.100.7 80 tcp');
});

test('who names a Service as if it were a pod is told how it is asked for', () => {
  const services = [serviceObject('shop/front', { clusterIP: '10.96.1.2', ports: [{ port: 80 }] })];
  const asked = (name: string) => () => resolveTrace({ ...state, services }, 'shop/web', name);
  assert.throws(asked('shop/front:80'), /no such pod or workload; the Service is service\/shop\/front/);
  assert.throws(asked('shop/nobody:80'), /^((?!Service).)*no such pod or workload((?!Service).)*$/);
});

test('IPv6: by the protocol for names, in brackets for addresses with ports', () => {
  const [web, db] = state.pods.map(({ pod, ...rest }, i) => {
    const podIPs = [...pod.status.podIPs, `fd00:10:1:${i + 1}::2`];
    return { ...rest, pod: { ...pod, status: { ...pod.status, podIPs } } };
  });
  const dual = {
    ...state,
    pods: [web!, db!],
    nodes: [{ ...state.nodes[0]!, address6: 'fd00:192:168:16::1' }],
  };
  const to = (text: string) => {
    const { address, port, protocol } = resolveTrace(dual, 'shop/web', text);
    return `${address} ${port} ${protocol}`;
  };
  assert.is(to('shop/db:5432/tcp6'), 'fd00:10:1:2::2 5432 tcp');
  assert.is(to('shop/db/icmp6'), 'fd00:10:1:2::2 0 icmp');
  assert.is(to('node-1:22/tcp6'), 'fd00:192:168:16::1 22 tcp');
  assert.is(to('[2001:db8::1]:443'), '2001:db8::1 443 tcp');
  assert.is(to('2001:db8::1'), '2001:db8::1 0 icmp');
  assert.is(to('shop/db:5432'), '10.1.2.2 5432 tcp');
});

test('what does not exist is an error of the caller', () => {
  for (const [from, to] of [
    ['shop/nobody', 'shop/db:1'],
    ['shop/web', 'shop/nobody:1'],
    ['shop/web', 'service/shop/web:1'],
    ['shop/web', 'shop/db:99999'],
    ['shop/web', 'shop/db/udp'],
  ] as const) {
    assert.throws(
      () => resolveTrace(state, from, to),
      (error: unknown) => error instanceof InvalidInputError,
      to,
    );
  }
});

test('the way is told in its order, retransmissions left out unless all are wanted', () => {
  const step = (node: string, packet: number, time: number, text: string) => ({
    node,
    packet,
    time,
    text,
    stage: 'receive',
    interface: null,
    pod: null,
  });
  const traced: Traced = {
    probe: resolveTrace(state, 'shop/web', 'shop/db:5432'),
    result: { outcome: 'connected', answer: 'shop/db-0', millis: 1.25 },
    steps: [
      step('node-2', 1, 5, 'receive: TCP 10.1.1.2:4000 -> 10.1.2.2:5432, 74 bytes, on uplink'),
      step('node-1', 1, 5, 'receive: TCP 10.1.1.2:4000 -> 10.1.2.2:5432, 74 bytes, on pod shop/web-x1'),
      step('node-1', 1, 5, 'policy egress: allowed by NetworkPolicy shop/web spec.egress[0]'),
      step('node-1', 2, 6, 'receive: TCP 10.1.1.2:4000 -> 10.1.2.2:5432, 60 bytes, on pod shop/web-x1'),
      step('node-2', 2, 6, 'receive: TCP 10.1.2.2:5432 -> 10.1.1.2:4000, 74 bytes, on pod shop/db-0'),
    ],
  };
  const lines = formatTraced(traced, state, false).split('\n');
  assert.is(lines[0], 'shop/web-x1 → shop/db-0 at 10.1.2.2:5432/tcp: connected, shop/db-0 answered (1.3 ms)');
  assert.equal(
    lines.filter((line) => line.startsWith('node')),
    ['node-1, packet 1', 'node-2, packet 1', 'node-2, packet 2'],
  );
  assert.is(formatTraced(traced, state, true).match(/^node/gm)?.length, 4);
  assert.match(formatTraced({ ...traced, steps: [] }, state, false), /no data plane saw/);
});

test.run();
