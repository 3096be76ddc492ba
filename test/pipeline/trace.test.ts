import { test } from 'uvu';
import * as assert from 'uvu/assert';
import * as L from '../../dataplane-as/layout/index.js';
import type { Harness } from './harness.js';
import * as N from './node.js';
import { ACK, SYN, TCP } from './packets.js';
import { ip } from './words.js';

interface Step {
  readonly packet: number;
  readonly stage: number;
  readonly words: readonly number[];
}

function steps(node: Harness): Step[] {
  return Array.from({ length: node.control(L.CTL_TRACE_HEAD) }, (_, i) => {
    const at = L.TRACE_BASE + (i % L.TRACE_CAPACITY) * L.TRACE_SIZE;
    return {
      packet: node.view.getUint32(at + L.TR_PACKET, true),
      stage: node.view.getUint16(at + L.TR_STAGE, true),
      words: [0, 4, 8, 12, 16].map((word) => node.view.getUint32(at + L.TR_A + word, true)),
    };
  });
}

test('each stage of a first packet and of its answer', () => {
  const services = [
    {
      frontends: [{ ip: N.VIP, port: 80, protocol: TCP }],
      backends: [{ ip: N.REMOTE_POD_IP, port: 8080, id: 9 }],
    },
  ];
  const node = N.startNode({ services });
  node.setControl(L.CTL_TRACE_SRC, ip(N.POD1_IP));
  node.setControl(L.CTL_TRACE_LEFT, 2);
  node.one(N.POD2, N.fromPod(N.POD2, N.tcpPacket(N.flow(N.POD2_IP, 1, N.REMOTE_POD_IP, 80))));
  node.one(N.POD1, N.fromPod(N.POD1, N.tcpPacket(N.flow(N.POD1_IP, 1, N.VIP, 80))));
  const reply = N.tcpPacket(N.flow(N.REMOTE_POD_IP, 8080, N.POD1_IP, 1), SYN | ACK);
  node.one(N.UPLINK, N.fromTunnel(reply));
  node.one(N.UPLINK, N.fromTunnel(reply));
  const seen = steps(node);
  assert.equal(
    seen.filter(({ packet }) => packet === 1).map(({ stage }) => stage),
    [
      L.STAGE_RECEIVE,
      L.STAGE_SERVICE,
      L.STAGE_ROUTE,
      L.STAGE_SESSION_NEW,
      L.STAGE_REWRITE,
      L.STAGE_ENCAP,
      L.STAGE_OUTCOME,
    ],
  );
  assert.equal(
    seen.filter(({ packet }) => packet === 2).map(({ stage }) => stage),
    [L.STAGE_RECEIVE, L.STAGE_DECAP, L.STAGE_SESSION_HIT, L.STAGE_REWRITE, L.STAGE_OUTCOME],
  );
  assert.is(seen.at(-1)?.packet, 2, 'no more than was asked for');
  assert.equal(seen[1]?.words, [1, ip(N.REMOTE_POD_IP), 0x901f, 9, 0]);
  assert.equal(seen.at(-1)?.words.slice(0, 2), [L.OUT_FORWARD_POD, N.POD1]);
  assert.is(node.control(L.CTL_TRACE_LEFT), 0);
});

test('a Service that has nobody for a packet is named, with the reason', () => {
  const vip = (last: number) => `${N.VIP.slice(0, N.VIP.lastIndexOf('.'))}.${last}`;
  const backends = [{ ip: N.REMOTE_POD_IP, port: 8080, id: 9 }];
  const services = [
    { frontends: [{ ip: vip(91), port: 80, protocol: TCP }], backends: [] },
    { frontends: [{ ip: vip(92), port: 80, protocol: TCP }], backends, ranges: [`${N.OUTSIDE}/32`] },
  ];
  const node = N.startNode({ services });
  node.setControl(L.CTL_TRACE_LEFT, 2);
  for (const last of [91, 92])
    node.one(N.POD1, N.fromPod(N.POD1, N.tcpPacket(N.flow(N.POD1_IP, last, vip(last), 80))));
  assert.equal(
    steps(node)
      .filter(({ stage }) => stage === L.STAGE_SERVICE)
      .map(({ words }) => words),
    [
      [1, 0xffffffff, 0, 0, 0],
      [2, L.DROP_SERVICE_SOURCE, 0, 0, 0],
    ],
  );
});

test('filters: either direction, protocol, port; a broken packet only without a filter', () => {
  const node = N.startNode();
  const traced = (filter: [number, number][], port: number, frame: Uint8Array) => {
    for (const word of [L.CTL_TRACE_SRC, L.CTL_TRACE_DST, L.CTL_TRACE_PROTOCOL, L.CTL_TRACE_PORT]) {
      node.setControl(word, 0);
    }
    for (const [word, value] of filter) node.setControl(word, value);
    const before = node.control(L.CTL_TRACE_HEAD);
    node.setControl(L.CTL_TRACE_LEFT, 1);
    node.one(port, frame);
    return node.control(L.CTL_TRACE_HEAD) > before;
  };
  const frame = N.fromPod(N.POD1, N.tcpPacket(N.flow(N.POD1_IP, 7, N.POD2_IP, 80)));
  assert.ok(traced([], N.POD1, frame));
  assert.ok(traced([[L.CTL_TRACE_SRC, ip(N.POD2_IP)]], N.POD1, frame));
  assert.ok(traced([[L.CTL_TRACE_DST, ip(N.POD1_IP)]], N.POD1, frame));
  assert.not(traced([[L.CTL_TRACE_SRC, ip(N.OUTSIDE)]], N.POD1, frame));
  assert.ok(traced([[L.CTL_TRACE_PORT, 80]], N.POD1, frame));
  assert.ok(traced([[L.CTL_TRACE_PORT, 7]], N.POD1, frame));
  assert.not(traced([[L.CTL_TRACE_PORT, 8]], N.POD1, frame));
  assert.ok(traced([[L.CTL_TRACE_PROTOCOL, TCP]], N.POD1, frame));
  assert.not(traced([[L.CTL_TRACE_PROTOCOL, 17]], N.POD1, frame));
  assert.ok(traced([], N.POD1, frame.slice(0, 20)));
  assert.not(traced([[L.CTL_TRACE_PROTOCOL, TCP]], N.POD1, frame.slice(0, 20)));
});

test('the ring keeps the latest records', () => {
  const node = N.startNode();
  node.setControl(L.CTL_TRACE_LEFT, 5000);
  const frame = N.fromPod(N.POD1, N.tcpPacket(N.flow(N.POD1_IP, 7, N.POD2_IP, 80)));
  for (let i = 0; i < 2000; i++) node.one(N.POD1, frame);
  const head = node.control(L.CTL_TRACE_HEAD);
  assert.ok(head > L.TRACE_CAPACITY);
  const last = L.TRACE_BASE + ((head - 1) % L.TRACE_CAPACITY) * L.TRACE_SIZE;
  assert.is(node.view.getUint32(last + L.TR_PACKET, true), 2000);
  assert.is(node.view.getUint16(last + L.TR_STAGE, true), L.STAGE_OUTCOME);
});

test.run();
