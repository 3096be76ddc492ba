import { test } from 'uvu';
import * as assert from 'uvu/assert';
import * as L from '../../dataplane-as/layout/index.js';
import * as N from './node.js';
import {
  ACK,
  arp,
  echo,
  ethernet,
  type Flow,
  ICMP,
  ip4,
  read,
  readArp,
  SYN,
  UDP,
  udp,
  vxlan,
} from './packets.js';

const web = N.flow(N.POD1_IP, 40000, N.REMOTE_POD_IP, 80);

test('outer headers: addresses, DF, TTL, port from the flow, lengths, VNI', () => {
  const node = N.startNode();
  const sent = node.one(N.POD1, N.fromPod(N.POD1, N.tcpPacket(web)));
  const outer = read(sent.frame);
  assert.equal(outer.ethernet, { dst: N.MAC_PEER, src: N.MAC_UPLINK, type: 0x0800 });
  assert.equal([outer.ip.src, outer.ip.dst, outer.ip.ttl], [N.NODE_IP, N.PEER_IP, 64]);
  assert.ok(outer.ip.headerGood && outer.ip.dontFragment);
  assert.is(outer.ip.length, sent.frame.length - 14);
  assert.is(outer.dport, 4789);
  assert.ok(outer.sport >= 49152);
  const udpLength = new DataView(outer.l4.buffer, outer.l4.byteOffset).getUint16(4);
  assert.is(udpLength, outer.ip.length - 20);
  assert.equal([...outer.payload.slice(0, 8)], [8, 0, 0, 0, 0, 0, 10, 0]);
  const inner = read(outer.payload.subarray(8));
  assert.equal(inner.ethernet, { dst: N.MAC_PEER_BVI, src: N.MAC_BVI, type: 0x0800 });
  assert.equal([inner.ip.src, inner.ip.dst, inner.ip.ttl], [N.POD1_IP, N.REMOTE_POD_IP, 63]);
  assert.ok(inner.ip.headerGood && inner.l4Good);
  const again = node.one(N.POD1, N.fromPod(N.POD1, N.tcpPacket(web, ACK)));
  assert.is(read(again.frame).sport, outer.sport, 'one flow, one path');
});

test('different flows spread over source ports', () => {
  const node = N.startNode();
  const seen = new Set<number>();
  for (let port = 1; port <= 200; port++) {
    const packet = N.tcpPacket(N.flow(N.POD1_IP, port, N.REMOTE_POD_IP, 80));
    seen.add(read(node.one(N.POD1, N.fromPod(N.POD1, packet)).frame).sport);
  }
  assert.ok(seen.size > 190);
});

test('a packet out of the tunnel reaches its pod', () => {
  const node = N.startNode();
  const sent = node.one(N.UPLINK, N.fromTunnel(N.tcpPacket(N.back(web), SYN)));
  assert.is(sent.outcome, L.OUT_FORWARD_POD);
  const seen = read(sent.frame);
  assert.is(seen.ethernet.dst, N.MAC_POD1);
  assert.is(seen.ip.ttl, 63);
  assert.ok(seen.ip.headerGood && seen.l4Good);
});

test('only known peers, our VNI, our BVI, well-formed', () => {
  const node = N.startNode();
  const packet = N.tcpPacket(N.back(web), SYN);
  assert.is(node.one(N.UPLINK, N.fromTunnel(packet, { vni: 11 })).outcome, L.DROP_VXLAN);
  assert.is(
    node.one(N.UPLINK, N.fromTunnel(packet, { dst: '02:00:00:00:00:09' })).outcome,
    L.DROP_NOT_FOR_US,
  );
  assert.is(node.one(N.UPLINK, N.fromTunnel(packet, { type: 0x86dd })).outcome, L.DROP_IPV6);
  const inner = ethernet(N.MAC_BVI, N.MAC_PEER_BVI, 0x0800, packet);
  const from = (src: string, payload: Uint8Array) => {
    const outer = N.flow(src, 50000, N.NODE_IP, 4789);
    const frame = ip4({ ...outer, protocol: UDP, payload: udp(outer, payload, false) });
    return node.one(N.UPLINK, N.fromUplink(frame)).outcome;
  };
  assert.is(from('192.168.16.99', vxlan(10, inner)), L.DROP_VXLAN);
  assert.is(from(N.PEER_IP, vxlan(10, inner).slice(0, 12)), L.DROP_VXLAN);
  const flagless = vxlan(10, inner);
  flagless[0] = 0;
  assert.is(from(N.PEER_IP, flagless), L.DROP_VXLAN);
  assert.is(from(N.PEER_IP, vxlan(10, inner.slice(0, 20))), L.DROP_SHORT);
});

test('a pod cannot speak VXLAN to the node as if it were a peer', () => {
  const node = N.startNode();
  const inner = ethernet(N.MAC_BVI, N.MAC_PEER_BVI, 0x0800, N.tcpPacket(N.back(web), SYN));
  const outer = N.flow(N.POD1_IP, 50000, N.NODE_IP, 4789);
  const frame = ip4({ ...outer, protocol: UDP, payload: udp(outer, vxlan(10, inner)) });
  assert.is(node.one(N.POD1, N.fromPod(N.POD1, frame)).outcome, L.OUT_FORWARD_HOST);
});

test('nobody but the node speaks VXLAN to its peers, not through a service either', () => {
  const endpoint = { ip: N.PEER_IP, port: 4789, id: 101 };
  const frontends = [N.NODE_IP, N.VIP].map((ip) => ({ ip, port: 30789, protocol: UDP }));
  const node = N.startNode({
    services: [{ frontends, backends: [endpoint] }],
    // As if the peer's address were not excluded from source NAT.
    prefixes: (N.nodeImage().prefixes ?? []).filter(({ space }) => space !== L.SPACE_SNAT_EXCLUDE),
  });
  const inner = ethernet(N.MAC_PEER_BVI, N.MAC_BVI, 0x0800, N.tcpPacket(web));
  const packet = (src: string, dst: string, port: number) => {
    const outer = N.flow(src, 50000, dst, port);
    return ip4({ ...outer, protocol: UDP, payload: udp(outer, vxlan(10, inner), false) });
  };
  const pod = (dst: string, port: number) =>
    node.one(N.POD1, N.fromPod(N.POD1, packet(N.POD1_IP, dst, port))).outcome;
  assert.is(pod(N.PEER_IP, 4789), L.DROP_VXLAN);
  assert.is(pod(N.VIP, 30789), L.DROP_VXLAN);
  assert.is(
    node.one(N.UPLINK, N.fromUplink(packet(N.OUTSIDE, N.NODE_IP, 30789))).outcome,
    L.DROP_VXLAN,
    'an outside client of a node port whose endpoint somebody pointed at a node',
  );
  assert.is(pod(N.PEER_IP, 4790), L.OUT_FORWARD_UPLINK);
  assert.is(pod(N.OUTSIDE, 4789), L.OUT_FORWARD_UPLINK, 'other VXLAN ends are nobody’s tunnel here');
  const own = node.one(N.HOST, N.fromHost(packet(N.NODE_IP, N.PEER_IP, 4789)));
  assert.is(own.outcome, L.OUT_FORWARD_UPLINK);
});

test('ARP and ping for our BVI are answered into the tunnel, also to a kernel’s MAC', () => {
  const node = N.startNode();
  const kernel = '66:55:44:33:22:11';
  const request = arp(1, kernel, N.PEER_BVI, '00:00:00:00:00:00', N.BVI);
  const asked = node.one(N.UPLINK, N.fromTunnel(request, { type: 0x0806, dst: 'ff:ff:ff:ff:ff:ff' }));
  assert.is(asked.outcome, L.OUT_ARP_REPLY);
  assert.is(asked.port, N.UPLINK);
  const answer = asked.frame.subarray(50);
  assert.equal(readArp(answer), {
    operation: 2,
    senderMac: N.MAC_BVI,
    senderIp: N.BVI,
    targetMac: kernel,
    targetIp: N.PEER_BVI,
  });
  assert.equal(read(asked.frame).ip.dst, N.PEER_IP);
  const ping = ip4({ src: N.PEER_BVI, dst: N.BVI, protocol: ICMP, payload: echo(1, 1) });
  const pong = node.one(N.UPLINK, N.fromTunnel(ping));
  assert.is(pong.outcome, L.OUT_ECHO_REPLY);
  const seen = read(pong.frame.subarray(50));
  assert.equal([seen.ip.src, seen.ip.dst, seen.icmpType], [N.BVI, N.PEER_BVI, 0]);
  assert.ok(seen.ip.headerGood && seen.l4Good);
  const other = arp(1, kernel, N.PEER_BVI, '00:00:00:00:00:00', N.POD1_IP);
  assert.is(
    node.one(N.UPLINK, N.fromTunnel(other, { type: 0x0806, dst: 'ff:ff:ff:ff:ff:ff' })).outcome,
    L.DROP_ARP,
  );
});

test('what came out of a tunnel does not go back into it', () => {
  const node = N.startNode();
  const packet = N.tcpPacket(N.flow('10.1.2.9', 1, N.REMOTE_POD_IP, 2));
  assert.is(node.one(N.UPLINK, N.fromTunnel(packet)).outcome, L.DROP_HOP_LOOP);
  const uplink = N.tcpPacket(N.flow(N.OUTSIDE, 1, '198.51.100.1', 2));
  assert.is(node.one(N.UPLINK, N.fromUplink(uplink)).outcome, L.DROP_HOP_LOOP);
});

test('a packet in several buffers goes through the tunnel whole', () => {
  const node = N.startNode();
  const frame = N.fromPod(N.POD1, N.udpPacket(web, new Uint8Array(1200)));
  const [sent] = node.feed({ port: N.POD1, frame, first: 256 });
  assert.is(sent?.outcome, L.OUT_FORWARD_TUNNEL);
  assert.is(sent?.frame.length, 256 + 50);
  const outer = new DataView(sent!.frame.buffer);
  assert.is(outer.getUint16(16), frame.length + 36);
  assert.is(node.view.getUint32(L.VECTOR_BASE + L.V_TOTAL, true), frame.length + 50);
});

test('nobody on the underlay speaks in a connection of the cluster, nor from an address of the host or a service', () => {
  const node = N.startNode();
  for (const make of [N.udpPacket, (flow: Flow) => N.tcpPacket(flow, ACK)]) {
    const flow = N.flow(N.POD1_IP, 40000, N.REMOTE_POD_IP, 53);
    const first = make === N.udpPacket ? N.udpPacket(flow) : N.tcpPacket(flow);
    assert.is(node.one(N.POD1, N.fromPod(N.POD1, first)).outcome, L.OUT_FORWARD_TUNNEL);
    assert.is(node.one(N.UPLINK, N.fromUplink(make(N.back(flow)))).outcome, L.DROP_SPOOFED);
    assert.is(node.one(N.UPLINK, N.fromTunnel(make(N.back(flow)))).outcome, L.OUT_FORWARD_POD);
  }
  for (const source of [N.HOST_IP, N.VIP, N.POD2_IP, N.GATEWAY]) {
    const packet = N.udpPacket(N.flow(source, 99, N.POD1_IP, 40001));
    assert.is(node.one(N.UPLINK, N.fromUplink(packet)).outcome, L.DROP_SPOOFED, source);
  }
  const stranger = N.udpPacket(N.flow(N.OUTSIDE, 99, N.POD1_IP, 40001));
  assert.is(node.one(N.UPLINK, N.fromUplink(stranger)).outcome, L.OUT_FORWARD_POD);
});

test('who may send from the underlay is judged anew with each image, however many send', () => {
  const node = N.startNode();
  const outcomes = (): Set<number> => {
    const all = new Set<number>();
    for (let i = 0; i < 600; i++) {
      const source = `203.${i >> 8}.113.${i & 0xff || 1}`;
      const packet = N.tcpPacket(N.flow(source, 1000 + i, N.NODE_IP, 80));
      all.add(node.one(N.UPLINK, N.fromUplink(packet)).outcome);
    }
    return all;
  };
  const prefixes = N.nodeImage().prefixes;
  const taken = { space: L.SPACE_MAIN, prefix: '203.0.0.0/8', value: N.ADJ_TUNNEL };
  for (const round of [0, 1]) {
    assert.equal([...outcomes()], [L.OUT_FORWARD_HOST], `round ${round}`);
    node.publish(N.nodeImage({ generation: 2 + 2 * round, prefixes: [...prefixes, taken] }));
    assert.equal([...outcomes()], [L.DROP_SPOOFED], `round ${round}, reached by a tunnel`);
    node.publish(N.nodeImage({ generation: 3 + 2 * round }));
  }
});

test.run();
