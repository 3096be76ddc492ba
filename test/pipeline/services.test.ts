import { test } from 'uvu';
import * as assert from 'uvu/assert';
import * as L from '../../dataplane-as/layout/index.js';
import type { ServiceSpec } from './image.js';
import * as N from './node.js';
import { ACK, type Flow, read, SYN, TCP, UDP } from './packets.js';

const BACKENDS = [
  { ip: N.POD2_IP, port: 8080, id: 101 },
  { ip: N.REMOTE_POD_IP, port: 8080, id: 102 },
  { ip: '10.1.2.3', port: 8080, id: 103 },
];

function shop(change: Partial<ServiceSpec> = {}): ServiceSpec {
  return { frontends: [{ ip: N.VIP, port: 80, protocol: TCP }], backends: BACKENDS, ...change };
}

function call(port: number, dst = N.VIP): Uint8Array {
  return N.fromPod(N.POD1, N.tcpPacket(N.flow(N.POD1_IP, port, dst, 80)));
}

/** Which backend a sent frame goes to; tunnels hide it behind 50 bytes. */
function target(frame: Uint8Array, outcome: number): string {
  return read(outcome === L.OUT_FORWARD_TUNNEL ? frame.subarray(50) : frame).ip.dst;
}

test('destination becomes a backend, the answer comes from the service', () => {
  const node = N.startNode({ services: [shop({ backends: [BACKENDS[0]!] })] });
  const sent = node.one(N.POD1, call(4000));
  assert.is(sent.outcome, L.OUT_FORWARD_POD);
  const seen = read(sent.frame);
  assert.is(seen.ip.dst, N.POD2_IP);
  assert.is(seen.dport, 8080);
  assert.ok(seen.ip.headerGood && seen.l4Good);
  const answer = node.one(
    N.POD2,
    N.fromPod(N.POD2, N.tcpPacket(N.flow(N.POD2_IP, 8080, N.POD1_IP, 4000), SYN | ACK)),
  );
  const heard = read(answer.frame);
  assert.is(answer.port, N.POD1);
  assert.is(heard.ip.src, N.VIP);
  assert.is(heard.sport, 80);
  assert.ok(heard.ip.headerGood && heard.l4Good);
  assert.is(node.u64(L.SERVICE_COUNTERS_BASE + 16), 1);
  assert.is(node.u64(L.SERVICE_COUNTERS_BASE + 24), 2);
});

test('connections spread evenly over the backends (chi-square) and stay', () => {
  const node = N.startNode({ services: [shop()] }, { sessionsLog2: 14 });
  const counts = new Map<string, number>();
  const connections = 3000;
  for (let port = 1; port <= connections; port++) {
    const sent = node.one(N.POD1, call(port));
    const backend = target(sent.frame, sent.outcome);
    counts.set(backend, (counts.get(backend) ?? 0) + 1);
    if (port % 100 === 0) {
      const again = node.one(N.POD1, call(port));
      assert.is(target(again.frame, again.outcome), backend);
    }
  }
  const expected = connections / 3;
  const chi = [...counts.values()].reduce((sum, n) => sum + (n - expected) ** 2 / expected, 0);
  assert.is(counts.size, 3);
  assert.ok(chi < 13.8, `chi-square ${chi} (p < 0.001)`);
});

test('affinity: one client, one backend, until its time is over', () => {
  const node = N.startNode({ services: [shop({ affinity: 60 })] });
  const backendOf = (port: number) => {
    const sent = node.one(N.POD1, call(port));
    return target(sent.frame, sent.outcome);
  };
  const chosen = backendOf(1);
  for (let port = 2; port < 40; port++) assert.is(backendOf(port), chosen);
  node.now += 61_000;
  const others = new Set<string>();
  for (let port = 100; port < 130; port++) {
    others.add(backendOf(port));
    node.now += 61_000;
  }
  assert.is(others.size, 3);
});

test('a service without backends refuses with an ICMP error', () => {
  const node = N.startNode({ services: [shop({ backends: [] })] });
  const sent = node.one(N.POD1, call(1));
  assert.is(sent.outcome, L.OUT_REJECT_SENT);
  assert.is(sent.port, N.POD1);
  const seen = read(sent.frame);
  assert.equal([seen.icmpType, seen.icmpCode], [3, 3]);
  assert.is(seen.ip.src, N.GATEWAY);
  assert.is(seen.ip.dst, N.POD1_IP);
  assert.ok(seen.ip.headerGood && seen.l4Good);
});

test('source ranges', () => {
  const services = [shop({ ranges: ['192.0.2.0/24', '10.1.1.2/32'] })];
  const node = N.startNode({ services });
  assert.is.not(node.one(N.POD1, call(1)).outcome, L.DROP_SERVICE_SOURCE);
  const pod2 = N.fromPod(N.POD2, N.tcpPacket(N.flow(N.POD2_IP, 1, N.VIP, 80)));
  assert.is(node.one(N.POD2, pod2).outcome, L.DROP_SERVICE_SOURCE);
  const nobody = N.startNode({ services: [shop({ ranges: [] })] });
  assert.is(nobody.one(N.POD1, call(1)).outcome, L.DROP_SERVICE_SOURCE);
});

test('who may not use a service any more loses the connections through it, from either end', () => {
  for (const protocol of [TCP, UDP]) {
    const at = (ranges?: readonly string[]) =>
      shop({
        frontends: [{ ip: N.VIP, port: 80, protocol }],
        backends: [BACKENDS[0]!],
        ...(ranges === undefined ? {} : { ranges }),
      });
    const packet = (flow: Flow) => (protocol === TCP ? N.tcpPacket(flow, ACK) : N.udpPacket(flow));
    const forth = N.fromPod(N.POD1, packet(N.flow(N.POD1_IP, 4000, N.VIP, 80)));
    const back = N.fromPod(N.POD2, packet(N.flow(N.POD2_IP, 8080, N.POD1_IP, 4000)));
    for (const [port, frame] of [
      [N.POD1, forth],
      [N.POD2, back],
    ] as const) {
      const node = N.startNode({ services: [at()] });
      assert.is(node.one(N.POD1, forth).outcome, L.OUT_FORWARD_POD);
      node.publish(N.nodeImage({ generation: 2, services: [at(['10.1.1.0/24'])] }));
      assert.is(node.one(port, frame).outcome, L.OUT_FORWARD_POD);
      node.publish(N.nodeImage({ generation: 3, services: [at(['192.0.2.0/24'])] }));
      assert.is(node.one(port, frame).outcome, L.DROP_SERVICE_SOURCE);
      assert.is(node.one(N.POD1, forth).outcome, L.DROP_SERVICE_SOURCE);
    }
  }
});

test('hairpin: a pod that is its own backend sees another source', () => {
  const node = N.startNode({ services: [shop({ backends: [{ ip: N.POD1_IP, port: 8080, id: 1 }] })] });
  const sent = node.one(N.POD1, call(4000));
  assert.is(sent.port, N.POD1);
  const seen = read(sent.frame);
  assert.equal([seen.ip.src, seen.ip.dst, seen.dport], [N.HAIRPIN, N.POD1_IP, 8080]);
  const answer = node.one(
    N.POD1,
    N.fromPod(N.POD1, N.tcpPacket(N.flow(N.POD1_IP, 8080, N.HAIRPIN, seen.sport), SYN | ACK)),
  );
  const heard = read(answer.frame);
  assert.equal([heard.ip.src, heard.sport, heard.ip.dst, heard.dport], [N.VIP, 80, N.POD1_IP, 4000]);
  assert.ok(heard.ip.headerGood && heard.l4Good);
});

const NODEPORT = { ip: N.NODE_IP, port: 30080, protocol: TCP };

test('NodePort from outside to a local pod', () => {
  const node = N.startNode({ services: [shop({ frontends: [NODEPORT], backends: [BACKENDS[0]!] })] });
  const flow = N.flow(N.OUTSIDE, 5555, N.NODE_IP, 30080);
  const sent = node.one(N.UPLINK, N.fromUplink(N.tcpPacket(flow)));
  assert.is(sent.outcome, L.OUT_FORWARD_POD);
  assert.equal([read(sent.frame).ip.src, read(sent.frame).ip.dst], [N.OUTSIDE, N.POD2_IP]);
  const answer = node.one(
    N.POD2,
    N.fromPod(N.POD2, N.tcpPacket(N.flow(N.POD2_IP, 8080, N.OUTSIDE, 5555), SYN | ACK)),
  );
  assert.is(answer.outcome, L.OUT_FORWARD_UPLINK);
  assert.equal([read(answer.frame).ip.src, read(answer.frame).sport], [N.NODE_IP, 30080]);
});

test('a stranger on the underlay is no pod for a node port’s policies, wherever the backend is', () => {
  for (const backend of [BACKENDS[0]!, BACKENDS[1]!, { ip: N.PEER_IP, port: 6443, id: 5 }]) {
    const node = N.startNode({ services: [shop({ frontends: [NODEPORT], backends: [backend] })] });
    for (const source of [N.POD1_IP, N.REMOTE_POD_IP]) {
      const packet = N.tcpPacket(N.flow(source, 5555, N.NODE_IP, 30080));
      assert.is(node.one(N.UPLINK, N.fromUplink(packet)).outcome, L.DROP_SPOOFED, `${source} ${backend.ip}`);
    }
    // A pod's packets come through its node's tunnel.
    const real = N.tcpPacket(N.flow(N.REMOTE_POD_IP, 5556, N.NODE_IP, 30080));
    assert.is.not(node.one(N.UPLINK, N.fromTunnel(real)).outcome, L.DROP_SPOOFED);
  }
});

test('NodePort whose backend is on another node keeps the client’s address', () => {
  const node = N.startNode({ services: [shop({ frontends: [NODEPORT], backends: [BACKENDS[1]!] })] });
  const flow = N.flow(N.OUTSIDE, 5555, N.NODE_IP, 30080);
  const sent = node.one(N.UPLINK, N.fromUplink(N.tcpPacket(flow)));
  assert.is(sent.outcome, L.OUT_FORWARD_TUNNEL);
  assert.is(read(sent.frame.subarray(50)).ip.src, N.OUTSIDE);
  const reply = N.tcpPacket(N.flow(N.REMOTE_POD_IP, 8080, N.OUTSIDE, 5555), SYN | ACK);
  const answer = node.one(N.UPLINK, N.fromTunnel(reply));
  assert.is(answer.outcome, L.OUT_FORWARD_UPLINK);
  assert.equal([read(answer.frame).ip.src, read(answer.frame).sport], [N.NODE_IP, 30080]);
});

test('the backend’s node sends the answer back into the tunnel it came from', () => {
  const node = N.startNode();
  const flow = N.flow(N.OUTSIDE, 5555, N.POD1_IP, 8080);
  assert.is(node.one(N.UPLINK, N.fromTunnel(N.tcpPacket(flow))).outcome, L.OUT_FORWARD_POD);
  const reply = N.fromPod(N.POD1, N.tcpPacket(N.back(flow), SYN | ACK));
  assert.is(node.one(N.POD1, reply).outcome, L.OUT_FORWARD_TUNNEL);
  // Also after a change that judges it again.
  node.publish(N.nodeImage({ generation: 2 }));
  assert.is(node.one(N.POD1, reply).outcome, L.OUT_FORWARD_TUNNEL);
});

test('NodePort whose backend is a host on the uplink hides the client', () => {
  const services = [shop({ frontends: [NODEPORT], backends: [{ ip: N.PEER_IP, port: 6443, id: 5 }] })];
  const node = N.startNode({ services });
  const flow = N.flow(N.OUTSIDE, 5555, N.NODE_IP, 30080);
  const sent = node.one(N.UPLINK, N.fromUplink(N.tcpPacket(flow)));
  assert.is(sent.outcome, L.OUT_FORWARD_UPLINK);
  const seen = read(sent.frame);
  assert.equal([seen.ip.src, seen.ip.dst, seen.dport], [N.NODE_IP, N.PEER_IP, 6443]);
  const reply = N.tcpPacket(N.flow(N.PEER_IP, 6443, N.NODE_IP, seen.sport), SYN | ACK);
  const answer = node.one(N.UPLINK, N.fromUplink(reply, N.MAC_PEER));
  assert.equal([read(answer.frame).ip.dst, read(answer.frame).dport], [N.OUTSIDE, 5555]);
  assert.ok(read(answer.frame).l4Good);
});

test('the host reaches its own server through a service', () => {
  const services = [shop({ backends: [{ ip: N.NODE_IP, port: 6443, id: 5 }] })];
  for (const client of [N.HOST_IP, N.NODE_IP]) {
    const node = N.startNode({ services });
    const sent = node.one(N.HOST, N.fromHost(N.tcpPacket(N.flow(client, 5555, N.VIP, 80))));
    assert.is(sent.outcome, L.OUT_FORWARD_HOST);
    const seen = read(sent.frame);
    assert.equal([seen.ip.src, seen.ip.dst, seen.dport], [N.HAIRPIN, N.NODE_IP, 6443]);
    const reply = N.tcpPacket(N.flow(N.NODE_IP, 6443, N.HAIRPIN, seen.sport), SYN | ACK);
    const heard = read(node.one(N.HOST, N.fromHost(reply)).frame);
    assert.equal([heard.ip.src, heard.sport, heard.ip.dst, heard.dport], [N.VIP, 80, client, 5555]);
    assert.ok(heard.ip.headerGood && heard.l4Good);
  }
});

test('a connection to the backend directly and one through the service do not mix', () => {
  const node = N.startNode({ services: [shop({ backends: [BACKENDS[0]!] })] });
  const direct = N.flow(N.POD1_IP, 4000, N.POD2_IP, 8080);
  node.one(N.POD1, N.fromPod(N.POD1, N.tcpPacket(direct)));
  const through = read(node.one(N.POD1, call(4000)).frame);
  assert.is.not(through.sport, 4000);
  const reply = N.tcpPacket(N.flow(N.POD2_IP, 8080, N.POD1_IP, through.sport), SYN | ACK);
  const heard = read(node.one(N.POD2, N.fromPod(N.POD2, reply)).frame);
  assert.equal([heard.ip.src, heard.sport, heard.dport], [N.VIP, 80, 4000]);
  const directReply = N.fromPod(N.POD2, N.tcpPacket(N.back(direct), SYN | ACK));
  assert.is(read(node.one(N.POD2, directReply).frame).ip.src, N.POD2_IP);
});

test('backends change: UDP moves to one that is there, TCP stays', () => {
  const both = [TCP, UDP].map((protocol) =>
    shop({ frontends: [{ ip: N.VIP, port: 53, protocol }], backends: [BACKENDS[0]!] }),
  );
  const node = N.startNode({ services: both });
  const flow = N.flow(N.POD1_IP, 4000, N.VIP, 53);
  const udp = N.fromPod(N.POD1, N.udpPacket(flow));
  const tcp = N.fromPod(N.POD1, N.tcpPacket(flow, ACK));
  assert.is(read(node.one(N.POD1, udp).frame).ip.dst, N.POD2_IP);
  assert.is(read(node.one(N.POD1, tcp).frame).ip.dst, N.POD2_IP);
  const moved = both.map((service) => ({ ...service, backends: [BACKENDS[1]!] }));
  node.publish(N.nodeImage({ generation: 2, services: moved }));
  // An answer under way still passes.
  const late = N.fromPod(N.POD2, N.udpPacket(N.flow(N.POD2_IP, 8080, N.POD1_IP, 4000)));
  assert.is(read(node.one(N.POD2, late).frame).ip.src, N.VIP);
  assert.is(node.one(N.POD1, udp).outcome, L.OUT_FORWARD_TUNNEL);
  assert.is(read(node.one(N.POD1, tcp).frame).ip.dst, N.POD2_IP);
});

test('a UDP client that was there before the service gets it', () => {
  const node = N.startNode({
    prefixes: [...N.nodeImage().prefixes, { space: L.SPACE_POD, prefix: `${N.VIP}/32`, value: N.ADJ_ROUTER }],
  });
  const udp = N.fromPod(N.POD1, N.udpPacket(N.flow(N.POD1_IP, 4000, N.VIP, 53)));
  assert.is(node.one(N.POD1, udp).outcome, L.OUT_FORWARD_UPLINK);
  const services = [shop({ frontends: [{ ip: N.VIP, port: 53, protocol: UDP }], backends: [BACKENDS[0]!] })];
  node.publish(N.nodeImage({ generation: 2, services }));
  assert.is(node.one(N.POD1, udp).outcome, L.OUT_FORWARD_POD);
});

test.run();
