import { test } from 'uvu';
import * as assert from 'uvu/assert';
import * as L from '../../dataplane-as/layout/index.js';
import type { Harness } from './harness.js';
import * as N from './node.js';
import { ACK, FIN, SYN } from './packets.js';

/** Lines in use; every one's peer must point back to it. */
function lines(node: Harness): number[] {
  const used: number[] = [];
  for (let i = 0; i < 1 << node.sessionsLog2; i++) {
    const line = node.sessionsBase + i * L.SESSION_SIZE;
    if (node.view.getUint32(line + L.S_SRC, true) === 0) continue;
    const peer = node.view.getUint32(line + L.S_PEER, true);
    assert.is(node.view.getUint32(peer + L.S_PEER, true), line, 'the other line points back');
    used.push(line);
  }
  return used;
}

const udp = (port: number) => N.fromPod(N.POD1, N.udpPacket(N.flow(N.POD1_IP, port, N.POD2_IP, 53)));
const tcp = (port: number, flags: number) =>
  N.fromPod(N.POD1, N.tcpPacket(N.flow(N.POD1_IP, port, N.POD2_IP, 80), flags));

test('timeouts by protocol and state', () => {
  const node = N.startNode();
  const expire = (ms: number) => {
    node.now += ms;
    return node.exports.sweep(node.now, 1 << node.sessionsLog2);
  };
  node.one(N.POD1, udp(1));
  assert.is(expire(30_000), 0);
  assert.is(expire(1), 1);
  node.one(N.POD1, udp(1));
  node.one(N.POD2, N.fromPod(N.POD2, N.udpPacket(N.flow(N.POD2_IP, 53, N.POD1_IP, 1))));
  assert.is(expire(180_000), 0, 'both directions seen: a stream');
  assert.is(expire(1), 1);
  node.one(N.POD1, tcp(1, SYN));
  assert.is(expire(30_001), 1);
  node.one(N.POD1, tcp(1, SYN));
  node.one(N.POD2, N.fromPod(N.POD2, N.tcpPacket(N.flow(N.POD2_IP, 80, N.POD1_IP, 1), SYN | ACK)));
  node.one(N.POD1, tcp(1, ACK));
  assert.is(expire(7_200_000), 0);
  node.one(N.POD1, tcp(1, FIN | ACK));
  assert.is(expire(60_000), 0);
  assert.is(expire(1), 1);
  assert.is(lines(node).length, 0);
  assert.is(node.sessionStat(L.SS_ACTIVE), 0);
  assert.is(node.sessionStat(L.SS_EXPIRED), 4);
});

test('traffic of either direction keeps a connection', () => {
  const node = N.startNode();
  node.one(N.POD1, udp(1));
  for (let i = 0; i < 5; i++) {
    node.now += 25_000;
    node.one(N.POD2, N.fromPod(N.POD2, N.udpPacket(N.flow(N.POD2_IP, 53, N.POD1_IP, 1))));
    assert.is(node.exports.sweep(node.now, 1 << node.sessionsLog2), 0);
  }
});

test('the sweep walks on from where it was', () => {
  const node = N.startNode();
  for (let port = 1; port <= 100; port++) node.one(N.POD1, udp(port));
  node.now += 31_000;
  let gone = 0;
  for (let i = 0; i < 1 << node.sessionsLog2; i += 256) gone += node.exports.sweep(node.now, 256);
  assert.is(gone, 100);
});

test('a full window gives up what is worth least, with both its lines', () => {
  const node = N.startNode({}, { sessionsLog2: 6 });
  const established: number[] = [];
  for (let port = 1; port <= 8; port++) {
    node.one(N.POD1, tcp(port, SYN));
    node.one(N.POD2, N.fromPod(N.POD2, N.tcpPacket(N.flow(N.POD2_IP, 80, N.POD1_IP, port), SYN | ACK)));
    node.one(N.POD1, tcp(port, ACK));
    established.push(port);
  }
  const before = node.sessionStat(L.SS_CREATED);
  for (let port = 1000; port < 1400; port++) {
    node.now += 1;
    assert.is(node.one(N.POD1, udp(port)).outcome, L.OUT_FORWARD_POD);
    lines(node);
  }
  assert.ok(node.sessionStat(L.SS_EVICTED) > 100);
  assert.is(lines(node).length, 2 * node.sessionStat(L.SS_ACTIVE));
  // Established connections outlive the flood of one-way ones: none had to be made anew.
  const created = node.sessionStat(L.SS_CREATED);
  for (const port of established) node.one(N.POD1, tcp(port, ACK));
  assert.ok(node.sessionStat(L.SS_CREATED) - created <= 1, 'established ones stay');
  assert.is(created - before, 400);
});

test('a batch that evicts its own sessions: every packet still has its right outcome', () => {
  const node = N.startNode({}, { sessionsLog2: 4 });
  const packets = Array.from({ length: 200 }, (_, i) => ({ port: N.POD1, frame: udp(i + 1) }));
  for (let round = 0; round < 5; round++) {
    for (const [i, { outcome, frame }] of node.feed(...packets).entries()) {
      if (outcome === L.DROP_SESSION_FULL) continue;
      assert.is(outcome, L.OUT_FORWARD_POD);
      assert.is(new DataView(frame.buffer).getUint16(34), i + 1);
    }
    assert.is(lines(node).length, 2 * node.sessionStat(L.SS_ACTIVE));
  }
  node.checkGaps();
});

test.run();
