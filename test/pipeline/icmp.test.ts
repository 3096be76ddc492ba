import { test } from 'uvu';
import * as assert from 'uvu/assert';
import * as L from '../../dataplane-as/layout/index.js';
import * as N from './node.js';
import { ACK, echo, ICMP, icmp, ip4, read, readIp, SYN, TCP, tcp, UDP, udp } from './packets.js';

function ping(src: string, dst: string, ttl = 64): Uint8Array {
  return ip4({ src, dst, protocol: ICMP, ttl, payload: echo(5, 1, false, new Uint8Array([1, 2, 3])) });
}

test('the gateway answers ping', () => {
  const node = N.startNode();
  const sent = node.one(N.POD1, N.fromPod(N.POD1, ping(N.POD1_IP, N.GATEWAY, 1)));
  assert.is(sent.outcome, L.OUT_ECHO_REPLY);
  const seen = read(sent.frame);
  assert.equal(seen.ethernet, { dst: N.MAC_POD1, src: N.MAC_GW, type: 0x0800 });
  assert.equal([seen.ip.src, seen.ip.dst, seen.ip.ttl, seen.icmpType], [N.GATEWAY, N.POD1_IP, 64, 0]);
  assert.ok(seen.ip.headerGood && seen.l4Good);
  assert.equal([...seen.payload], [1, 2, 3]);
});

test('the node’s own address: the host answers, without a host the data plane does', () => {
  const node = N.startNode();
  const hosted = node.one(N.UPLINK, N.fromUplink(ping(N.OUTSIDE, N.NODE_IP)));
  assert.is(hosted.outcome, L.OUT_FORWARD_HOST);
  const ports = N.nodeImage().ports.map((port, i) => (i === N.HOST ? null : port));
  const alone = N.startNode({ ports });
  assert.is(alone.one(N.UPLINK, N.fromUplink(ping(N.OUTSIDE, N.NODE_IP))).outcome, L.OUT_ECHO_REPLY);
  assert.is(alone.one(N.POD1, N.fromPod(N.POD1, ping(N.POD1_IP, N.NODE_IP))).outcome, L.OUT_ECHO_REPLY);
});

test('fragmentation needed names the MTU and quotes the packet', () => {
  const node = N.startNode();
  const packet = ip4({
    src: N.POD1_IP,
    dst: N.REMOTE_POD_IP,
    protocol: UDP,
    dontFragment: true,
    payload: udp(N.flow(N.POD1_IP, 9, N.REMOTE_POD_IP, 10), new Uint8Array(1423)),
  });
  assert.is(packet.length, 1451);
  const sent = node.one(N.POD1, N.fromPod(N.POD1, packet));
  assert.is(sent.outcome, L.OUT_FRAG_NEEDED_SENT);
  assert.is(sent.port, N.POD1);
  const seen = read(sent.frame);
  assert.equal([seen.icmpType, seen.icmpCode, seen.icmpRest & 0xffff], [3, 4, 1450]);
  assert.equal([seen.ip.src, seen.ip.dst], [N.GATEWAY, N.POD1_IP]);
  assert.ok(seen.ip.headerGood && seen.l4Good);
  assert.is(seen.ip.length, 576);
  assert.equal([...seen.payload], [...packet.slice(0, 548)]);
});

test('TTL: one hop left is answered with time exceeded', () => {
  const node = N.startNode();
  const sent = node.one(N.POD1, N.fromPod(N.POD1, ping(N.POD1_IP, N.OUTSIDE, 1)));
  assert.is(sent.outcome, L.OUT_TTL_EXCEEDED_SENT);
  const seen = read(sent.frame);
  assert.equal([seen.icmpType, seen.icmpCode, seen.ip.src], [11, 0, N.GATEWAY]);
  assert.ok(seen.l4Good);
  assert.is(node.one(N.POD1, N.fromPod(N.POD1, ping(N.POD1_IP, N.OUTSIDE, 2))).outcome, L.OUT_FORWARD_UPLINK);
});

test('an error for a packet out of the tunnel goes back into it', () => {
  const node = N.startNode();
  const sent = node.one(N.UPLINK, N.fromTunnel(ping(N.REMOTE_POD_IP, N.POD1_IP, 1)));
  assert.is(sent.outcome, L.OUT_TTL_EXCEEDED_SENT);
  assert.is(read(sent.frame).ip.dst, N.PEER_IP);
  const inner = read(sent.frame.subarray(50));
  assert.equal([inner.ip.src, inner.ip.dst, inner.icmpType], [N.BVI, N.REMOTE_POD_IP, 11]);
  assert.ok(inner.ip.headerGood && inner.l4Good);
});

test('a router’s error about a translated connection reaches the pod, translated', () => {
  const node = N.startNode();
  const flow = N.flow(N.POD1_IP, 5000, N.OUTSIDE, 443);
  // Another pod has the port, so that the port is translated too.
  node.one(N.POD2, N.fromPod(N.POD2, N.tcpPacket(N.flow(N.POD2_IP, 5000, N.OUTSIDE, 443))));
  const out = node.one(N.POD1, N.fromPod(N.POD1, N.tcpPacket(flow)));
  const error = ip4({
    src: '198.51.100.9',
    dst: N.NODE_IP,
    protocol: ICMP,
    payload: icmp(3, 4, 1400, out.frame.slice(14)),
  });
  const sent = node.one(N.UPLINK, N.fromUplink(error));
  assert.is(sent.port, N.POD1);
  const seen = read(sent.frame);
  assert.equal([seen.ip.src, seen.ip.dst, seen.icmpRest], ['198.51.100.9', N.POD1_IP, 1400]);
  assert.ok(seen.ip.headerGood && seen.l4Good);
  const quoted = readIp(seen.payload);
  assert.equal([quoted.ip.src, quoted.sport, quoted.ip.dst, quoted.dport], [N.POD1_IP, 5000, N.OUTSIDE, 443]);
  assert.ok(quoted.ip.headerGood, 'quoted IP checksum');
  assert.ok(quoted.l4Good, 'quoted TCP checksum');
});

test('a backend’s port unreachable comes from the service', () => {
  const services = [
    {
      frontends: [{ ip: N.VIP, port: 53, protocol: UDP }],
      backends: [{ ip: N.POD2_IP, port: 5353, id: 1 }],
    },
  ];
  const node = N.startNode({ services });
  const out = node.one(N.POD1, N.fromPod(N.POD1, N.udpPacket(N.flow(N.POD1_IP, 4000, N.VIP, 53))));
  const error = ip4({
    src: N.POD2_IP,
    dst: N.POD1_IP,
    protocol: ICMP,
    payload: icmp(3, 3, 0, out.frame.slice(14)),
  });
  const sent = node.one(N.POD2, N.fromPod(N.POD2, error));
  assert.is(sent.port, N.POD1);
  const seen = read(sent.frame);
  assert.is(seen.ip.src, N.VIP);
  const quoted = readIp(seen.payload);
  assert.equal([quoted.ip.dst, quoted.dport], [N.VIP, 53]);
  assert.ok(seen.ip.headerGood && seen.l4Good && quoted.ip.headerGood && quoted.l4Good);
});

test('an error about a translated ping', () => {
  const node = N.startNode();
  node.one(N.POD2, N.fromPod(N.POD2, ping(N.POD2_IP, N.OUTSIDE)));
  const out = node.one(N.POD1, N.fromPod(N.POD1, ping(N.POD1_IP, N.OUTSIDE)));
  const error = ip4({
    src: '198.51.100.9',
    dst: N.NODE_IP,
    protocol: ICMP,
    payload: icmp(11, 0, 0, out.frame.slice(14)),
  });
  const sent = node.one(N.UPLINK, N.fromUplink(error));
  assert.is(sent.port, N.POD1);
  const quoted = readIp(read(sent.frame).payload);
  assert.equal([quoted.ip.src, quoted.icmpRest >>> 16], [N.POD1_IP, 5]);
  assert.ok(read(sent.frame).l4Good && quoted.ip.headerGood && quoted.l4Good);
});

test('errors about nothing we know, and a pod’s forged ones, are dropped', () => {
  const node = N.startNode();
  const stranger = N.tcpPacket(N.flow(N.NODE_IP, 1, N.OUTSIDE, 2));
  const error = (src: string, dst: string, quoted: Uint8Array) =>
    ip4({ src, dst, protocol: ICMP, payload: icmp(3, 1, 0, quoted) });
  assert.is(
    node.one(N.UPLINK, N.fromUplink(error(N.OUTSIDE, N.NODE_IP, stranger))).outcome,
    L.DROP_ICMP_ERROR,
  );
  // A connection between pod 1 and the world, which pod 2 claims to know of.
  const flow = N.flow(N.REMOTE_POD_IP, 5000, N.POD1_IP, 443);
  node.one(N.UPLINK, N.fromTunnel(N.tcpPacket(flow)));
  const forged = error(N.POD2_IP, N.REMOTE_POD_IP, N.tcpPacket(flow));
  assert.is(node.one(N.POD2, N.fromPod(N.POD2, forged)).outcome, L.DROP_ICMP_ERROR);
  const honest = error(N.POD1_IP, N.REMOTE_POD_IP, N.tcpPacket(flow));
  assert.is(node.one(N.POD1, N.fromPod(N.POD1, honest)).outcome, L.OUT_FORWARD_TUNNEL);
  const cut = error(N.POD1_IP, N.REMOTE_POD_IP, N.tcpPacket(flow).slice(0, 24));
  assert.is(node.one(N.POD1, N.fromPod(N.POD1, cut)).outcome, L.DROP_ICMP_ERROR);
});

test('errors are never answered with errors, and not without limit', () => {
  const node = N.startNode();
  const about = ip4({
    src: N.POD1_IP,
    dst: '10.96.1.1',
    protocol: ICMP,
    payload: icmp(3, 3, 0, N.tcpPacket(N.flow('10.96.1.1', 1, N.POD1_IP, 2), ACK)),
  });
  assert.is(node.one(N.POD1, N.fromPod(N.POD1, about)).outcome, L.DROP_ICMP_ERROR);
  const refused = N.fromPod(N.POD1, N.tcpPacket(N.flow(N.POD1_IP, 1, '10.96.9.9', 2)));
  let limited = 0;
  for (let i = 0; i < 40; i++) {
    const packets = Array.from({ length: 100 }, () => ({ port: N.POD1, frame: refused }));
    for (const { outcome } of node.feed(...packets)) {
      if (outcome === L.DROP_RATE_LIMIT) limited++;
      else assert.is(outcome, L.OUT_REJECT_SENT);
    }
  }
  assert.is(limited, 2000);
  node.now += 10;
  assert.is(node.one(N.POD1, refused).outcome, L.OUT_REJECT_SENT);
});

test('an error stops with the connection a new policy forbids', () => {
  const node = N.startNode();
  const flow = N.flow(N.POD2_IP, 5000, N.POD1_IP, 443);
  const packet = ip4({ ...flow, protocol: TCP, payload: tcp(flow, SYN) });
  node.one(N.POD2, N.fromPod(N.POD2, packet));
  const base = N.nodeImage();
  node.publish({
    ...base,
    generation: 2,
    ports: base.ports.map((port, i) => (port !== null && i === N.POD1 ? { ...port, ingress: 1 } : port)),
    portSets: [{ intervals: [], allow: false, rule: 16 }],
    policies: [0],
  });
  const error = ip4({ src: N.POD1_IP, dst: N.POD2_IP, protocol: ICMP, payload: icmp(3, 3, 0, packet) });
  assert.is(node.one(N.POD1, N.fromPod(N.POD1, error)).outcome, L.DROP_POLICY_INGRESS);
});

test.run();
