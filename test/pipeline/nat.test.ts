import { test } from 'uvu';
import * as assert from 'uvu/assert';
import * as L from '../../dataplane-as/layout/index.js';
import * as N from './node.js';
import { ACK, echo, ICMP, ip4, type Read, read, SCTP, SYN, sctp, UDP, udp } from './packets.js';

function out(node: ReturnType<typeof N.startNode>, pod: number, packet: Uint8Array): Read {
  const sent = node.one(pod, N.fromPod(pod, packet));
  assert.is(sent.outcome, L.OUT_FORWARD_UPLINK);
  const seen = read(sent.frame);
  assert.ok(seen.ip.headerGood, 'IP checksum');
  assert.ok(seen.l4Good, 'L4 checksum');
  return seen;
}

test('what leaves the cluster leaves with the node’s address; the port is kept if free', () => {
  const node = N.startNode();
  const first = out(node, N.POD1, N.tcpPacket(N.flow(N.POD1_IP, 5000, N.OUTSIDE, 443)));
  assert.equal([first.ip.src, first.sport], [N.NODE_IP, 5000]);
  const second = out(node, N.POD2, N.tcpPacket(N.flow(N.POD2_IP, 5000, N.OUTSIDE, 443)));
  assert.is(second.ip.src, N.NODE_IP);
  assert.ok(second.sport >= 40000 && second.sport <= 40999);
  const reply = N.tcpPacket(N.flow(N.OUTSIDE, 443, N.NODE_IP, second.sport), SYN | ACK);
  const back = node.one(N.UPLINK, N.fromUplink(reply));
  assert.is(back.port, N.POD2);
  assert.equal([read(back.frame).ip.dst, read(back.frame).dport], [N.POD2_IP, 5000]);
  assert.ok(read(back.frame).l4Good);
});

test('excluded destinations and foreign sources keep their address', () => {
  const node = N.startNode();
  assert.is(out(node, N.POD1, N.tcpPacket(N.flow(N.POD1_IP, 1, '192.168.16.2', 22))).ip.src, N.POD1_IP);
});

test('the host’s own connections give way to a pod’s port, unseen', () => {
  const node = N.startNode();
  out(node, N.POD1, N.tcpPacket(N.flow(N.POD1_IP, 5000, N.OUTSIDE, 443)));
  const flow = N.flow(N.NODE_IP, 5000, N.OUTSIDE, 443);
  const sent = node.one(N.HOST, N.fromHost(N.tcpPacket(flow)));
  const seen = read(sent.frame);
  assert.is(seen.ip.src, N.NODE_IP);
  assert.is.not(seen.sport, 5000);
  const reply = N.tcpPacket(N.flow(N.OUTSIDE, 443, N.NODE_IP, seen.sport), SYN | ACK);
  const back = node.one(N.UPLINK, N.fromUplink(reply));
  assert.is(back.port, N.HOST);
  assert.is(read(back.frame).dport, 5000);
});

test('a port range that is used up', () => {
  const node = N.startNode({ snat: { ip: N.NODE_IP, first: 40000, last: 40003 } });
  const from = (pod: number, ip: string, port: number) =>
    node.one(pod, N.fromPod(pod, N.tcpPacket(N.flow(ip, port, N.OUTSIDE, 443)))).outcome;
  for (let port = 40000; port < 40004; port++) assert.is(from(N.POD1, N.POD1_IP, port), L.OUT_FORWARD_UPLINK);
  assert.is(from(N.POD2, N.POD2_IP, 40001), L.DROP_SNAT_EXHAUSTED);
  // Another destination is another tuple.
  const elsewhere = N.tcpPacket(N.flow(N.POD2_IP, 40001, '203.0.113.8', 443));
  assert.is(node.one(N.POD2, N.fromPod(N.POD2, elsewhere)).outcome, L.OUT_FORWARD_UPLINK);
});

test('UDP: a checksum of zero stays zero, the tunnel’s port is never used', () => {
  const node = N.startNode();
  const flow = N.flow(N.POD1_IP, 4789, N.OUTSIDE, 53);
  const packet = ip4({ ...flow, protocol: UDP, payload: udp(flow, new Uint8Array(5), false) });
  const seen = out(node, N.POD1, packet);
  assert.is(new DataView(seen.l4.buffer, seen.l4.byteOffset).getUint16(6), 0);
  assert.is.not(seen.sport, 4789);
});

test('UDP: a checksum that comes out as zero is written as ones', () => {
  const node = N.startNode();
  let zero = 0;
  for (let value = 0; value < 65536 && zero === 0; value += 1) {
    const data = Uint8Array.of(value >> 8, value & 255);
    const after = udp(N.flow(N.NODE_IP, 5000, N.OUTSIDE, 53), data);
    if (after[6] === 0xff && after[7] === 0xff) zero = value;
  }
  const data = Uint8Array.of(zero >> 8, zero & 255);
  const seen = out(node, N.POD1, N.udpPacket(N.flow(N.POD1_IP, 5000, N.OUTSIDE, 53), data));
  assert.equal([seen.l4[6], seen.l4[7]], [0xff, 0xff]);
});

test('ICMP identifiers are translated when they clash', () => {
  const node = N.startNode();
  const ping = (src: string) => ip4({ src, dst: N.OUTSIDE, protocol: ICMP, payload: echo(77, 1) });
  const first = out(node, N.POD1, ping(N.POD1_IP));
  const second = out(node, N.POD2, ping(N.POD2_IP));
  assert.is(first.icmpRest >>> 16, 77);
  const id = second.icmpRest >>> 16;
  assert.is.not(id, 77);
  const pong = ip4({ src: N.OUTSIDE, dst: N.NODE_IP, protocol: ICMP, payload: echo(id, 1, true) });
  const back = node.one(N.UPLINK, N.fromUplink(pong));
  assert.is(back.port, N.POD2);
  assert.is(read(back.frame).icmpRest >>> 16, 77);
  assert.ok(read(back.frame).l4Good);
});

test('SCTP: the CRC32c follows the ports', () => {
  const node = N.startNode();
  const packet = (src: string, length: number) => {
    const flow = N.flow(src, 5000, N.OUTSIDE, 9);
    const data = Uint8Array.from({ length }, (_, i) => i * 7);
    return ip4({ ...flow, protocol: SCTP, payload: sctp(flow, data) });
  };
  assert.is(out(node, N.POD1, packet(N.POD1_IP, 16)).sport, 5000);
  for (const length of [4, 16, 100, 1000, 1300]) {
    assert.is.not(out(node, N.POD2, packet(N.POD2_IP, length)).sport, 5000, `${length} bytes`);
  }
});

test('a pickup: TCP without SYN makes a session too', () => {
  const node = N.startNode();
  const seen = out(node, N.POD1, N.tcpPacket(N.flow(N.POD1_IP, 5000, N.OUTSIDE, 443), ACK));
  assert.is(seen.ip.src, N.NODE_IP);
});

test.run();
