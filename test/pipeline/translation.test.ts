/**
 * Thousands of connections at once, in random order and batches, through services, source NAT and the tunnel, while images
 * change: each keeps the translation its first packet got, each answer is translated back exactly, no two share a tuple.
 */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import * as L from '../../dataplane-as/layout/index.js';
import type { Fed, Harness, Sent } from './harness.js';
import * as N from './node.js';
import { ACK, type Flow, type Read, read, SYN, TCP, UDP } from './packets.js';

let state = 88172645;
function below(n: number): number {
  state ^= state << 13;
  state ^= state >>> 17;
  state ^= state << 5;
  return (state >>> 0) % n;
}

interface Connection {
  readonly protocol: number;
  /** As the client sends. */
  readonly flow: Flow;
  readonly port: number;
  /** As it leaves: what the first packet showed. */
  seen: { readonly flow: Flow; readonly port: number; readonly tunneled: boolean } | null;
}

const services = [
  {
    frontends: [TCP, UDP].map((protocol) => ({ ip: N.VIP, port: 80, protocol })),
    backends: [
      { ip: N.POD1_IP, port: 8080, id: 1 },
      { ip: N.POD2_IP, port: 8080, id: 2 },
      { ip: N.REMOTE_POD_IP, port: 8080, id: 3 },
    ],
  },
];

function connection(): Connection {
  const port = below(2) === 0 ? N.POD1 : N.POD2;
  const src = port === N.POD1 ? N.POD1_IP : N.POD2_IP;
  const [dst, dport] = (
    [
      [N.VIP, 80],
      [N.OUTSIDE, 443],
      [N.REMOTE_POD_IP, 8080],
      [port === N.POD1 ? N.POD2_IP : N.POD1_IP, 8080],
    ] as const
  )[below(4)]!;
  const protocol = below(2) === 0 ? TCP : UDP;
  return { protocol, flow: { src, dst, sport: 1024 + below(400), dport }, port, seen: null };
}

function packet(protocol: number, flow: Flow, flags: number): Uint8Array {
  return protocol === TCP ? N.tcpPacket(flow, flags) : N.udpPacket(flow);
}

function forth({ protocol, flow, port, seen }: Connection): Fed {
  return { port, frame: N.fromPod(port, packet(protocol, flow, seen === null ? SYN : ACK)) };
}

function answer({ protocol, seen }: Connection): Fed {
  assert.ok(seen !== null);
  const bytes = packet(protocol, N.back(seen.flow), SYN | ACK);
  if (seen.tunneled) return { port: N.UPLINK, frame: N.fromTunnel(bytes) };
  if (seen.port === N.UPLINK) return { port: N.UPLINK, frame: N.fromUplink(bytes) };
  return { port: seen.port, frame: N.fromPod(seen.port, bytes) };
}

function inner({ outcome, frame }: Sent): Read {
  const seen = read(outcome === L.OUT_FORWARD_TUNNEL ? frame.subarray(50) : frame);
  assert.ok(seen.ip.headerGood && seen.l4Good, 'checksums');
  return seen;
}

function flowOf({ ip, sport, dport }: Read): Flow {
  return { src: ip.src, dst: ip.dst, sport, dport };
}

function text({ src, sport, dst, dport }: Flow): string {
  return `${src}:${sport}>${dst}:${dport}`;
}

function checkForth(c: Connection, sent: Sent, taken: Map<string, Connection>): void {
  assert.ok(sent.outcome < L.OUT_FIRST_DROP, `outcome ${sent.outcome} of ${text(c.flow)}`);
  const flow = flowOf(inner(sent));
  const tunneled = sent.outcome === L.OUT_FORWARD_TUNNEL;
  if (c.seen !== null) {
    assert.equal({ flow, port: sent.port, tunneled }, c.seen);
    return;
  }
  const key = `${c.protocol} ${text(flow)}`;
  assert.not(
    taken.has(key),
    `${text(c.flow)} leaves as ${key}, as does ${text(taken.get(key)?.flow ?? c.flow)}`,
  );
  taken.set(key, c);
  c.seen = { flow, port: sent.port ?? -1, tunneled };
}

function run(node: Harness, connections: readonly Connection[], rounds: number): void {
  const taken = new Map<string, Connection>();
  for (let round = 0; round < rounds; round++) {
    const batch = Array.from({ length: 1 + below(64) }, () => {
      const c = connections[below(connections.length)]!;
      return { c, back: c.seen !== null && below(2) === 0 };
    });
    const sent = node.feed(...batch.map(({ c, back }) => (back ? answer(c) : forth(c))));
    for (const [i, { c, back }] of batch.entries()) {
      const result = sent[i]!;
      if (!back) checkForth(c, result, taken);
      else {
        assert.is(result.port, c.port);
        assert.equal(flowOf(inner(result)), N.back(c.flow));
      }
    }
    node.now += below(5);
    if (round % 50 === 49) node.publish(N.nodeImage({ services, generation: round + 2 }));
    if (round % 7 === 0) node.exports.sweep(node.now, 256);
  }
}

test('2,000 connections keep their translation', () => {
  const node = N.startNode(
    { services, snat: { ip: N.NODE_IP, first: 20000, last: 29999 } },
    { sessionsLog2: 16 },
  );
  const byTuple = new Map<string, Connection>();
  while (byTuple.size < 2000) {
    const c = connection();
    byTuple.set(`${c.protocol} ${text(c.flow)}`, c);
  }
  const connections = [...byTuple.values()];
  run(node, connections, 1500);
  const seen = connections.filter((c) => c.seen !== null);
  assert.is(seen.length, 2000);
  assert.is(node.sessionStat(L.SS_ACTIVE), 2000);
  const moved = seen.filter((c) => c.seen?.flow.sport !== c.flow.sport);
  assert.ok(moved.length > 100, 'source ports clash often here');
  node.checkGaps();
});

test.run();
