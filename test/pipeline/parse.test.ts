import { test } from 'uvu';
import * as assert from 'uvu/assert';
import * as L from '../../dataplane-as/layout/index.js';
import { Harness } from './harness.js';
import * as N from './node.js';
import { ACK, ethernet, FIN, ip4, read, SYN, TCP, tcp, UDP, udp } from './packets.js';

const node = N.startNode();
const web = N.flow(N.POD1_IP, 40000, N.POD2_IP, 80);

function outcome(packet: Uint8Array): number {
  return node.one(N.POD1, N.fromPod(N.POD1, packet)).outcome;
}

/** The packet with some header bytes changed; the checksum stays right. */
function patched(change: (header: Uint8Array) => void): Uint8Array {
  const bytes = N.tcpPacket(web);
  const before = bytes.slice(0, 20);
  change(bytes);
  let sum = 0;
  for (let i = 0; i < 20; i += 2) {
    sum += ((bytes[i] ?? 0) << 8) + (bytes[i + 1] ?? 0) - ((before[i] ?? 0) << 8) - (before[i + 1] ?? 0);
  }
  let checksum = (~(((before[10] ?? 0) << 8) | (before[11] ?? 0)) & 0xffff) + sum;
  checksum = ((checksum % 0xffff) + 0xffff) % 0xffff;
  bytes[10] = (~checksum >> 8) & 255;
  bytes[11] = ~checksum & 255;
  return bytes;
}

test('Ethernet: what is too short, of another type or for another station is dropped, each for its reason', () => {
  const good = N.fromPod(N.POD1, N.tcpPacket(web));
  assert.is(node.one(N.POD1, new Uint8Array()).outcome, L.DROP_SHORT);
  assert.is(node.one(N.POD1, good.slice(0, 13)).outcome, L.DROP_SHORT);
  assert.is(node.one(N.POD1, good.slice(0, 33)).outcome, L.DROP_SHORT);
  const typed = (type: number) =>
    node.one(N.POD1, ethernet(N.MAC_GW, N.MAC_POD1, type, new Uint8Array(46))).outcome;
  assert.is(typed(0x86dd), L.DROP_IPV6);
  assert.is(typed(0x8100), L.DROP_ETHERTYPE);
  const packet = N.tcpPacket(web);
  const to = (dst: string) => node.one(N.POD1, ethernet(dst, N.MAC_POD1, 0x0800, packet)).outcome;
  assert.is(to('02:00:00:00:00:99'), L.DROP_NOT_FOR_US);
  assert.is(to('ff:ff:ff:ff:ff:ff'), L.DROP_MULTICAST);
});

test('a port that is not configured', () => {
  const good = N.fromPod(N.POD1, N.tcpPacket(web));
  assert.is(node.one(9, good).outcome, L.DROP_PORT);
  assert.is(node.one(5000, good).outcome, L.DROP_PORT);
});

test('before the first image nothing passes', () => {
  const bare = new Harness();
  const good = N.fromPod(N.POD1, N.tcpPacket(web));
  for (const port of [0, 16, 40]) assert.is(bare.one(port, good).outcome, L.DROP_PORT);
  assert.is(bare.exports.buildArp(0, 1, 16), 0);
  assert.is(bare.exports.sweep(1, 100), 0);
});

test('IPv4 header: version, lengths, checksum, TTL', () => {
  assert.is(outcome(patched((h) => (h[0] = 0x65))), L.DROP_IP_VERSION);
  assert.is(outcome(patched((h) => (h[0] = 0x44))), L.DROP_IP_HEADER);
  assert.is(outcome(patched((h) => (h[2] = 9))), L.DROP_IP_HEADER);
  assert.is(outcome(patched((h) => h.set([0, 19], 2))), L.DROP_IP_HEADER);
  assert.is(outcome(patched((h) => (h[8] = 0))), L.DROP_TTL);
  const bad = N.tcpPacket(web);
  bad[10] = (bad[10] ?? 0) ^ 1;
  assert.is(outcome(bad), L.DROP_IP_CHECKSUM);
});

test('sources and destinations that cannot be are dropped', () => {
  const fromTo = (src: string, dst: string) => outcome(N.tcpPacket(N.flow(src, 1, dst, 2)));
  for (const source of ['0.0.0.0', '127.0.0.1', '224.0.0.1', '255.255.255.255']) {
    assert.is(fromTo(source, N.POD2_IP), L.DROP_MARTIAN, source);
  }
  assert.is(fromTo(N.POD1_IP, '127.0.0.1'), L.DROP_MARTIAN);
  assert.is(fromTo(N.POD1_IP, '0.0.0.0'), L.DROP_MARTIAN);
  assert.is(fromTo(N.POD1_IP, '224.0.0.5'), L.DROP_MULTICAST);
  assert.is(fromTo(N.POD1_IP, '255.255.255.255'), L.DROP_MULTICAST);
  assert.is(fromTo(N.POD2_IP, N.POD1_IP), L.DROP_SPOOFED);
  const own = N.fromUplink(N.tcpPacket(N.flow(N.NODE_IP, 1, N.NODE_IP, 2)));
  assert.is(node.one(N.UPLINK, own).outcome, L.DROP_MARTIAN);
});

test('a stranger on the underlay cannot use a pod’s address towards a pod', () => {
  for (const source of [N.POD2_IP, N.REMOTE_POD_IP]) {
    const packet = N.tcpPacket(N.flow(source, 1, N.POD1_IP, 80));
    assert.is(node.one(N.UPLINK, N.fromUplink(packet)).outcome, L.DROP_SPOOFED, source);
  }
});

test('options: source routes are refused, nonsense too, the rest is carried', () => {
  const withOptions = (...bytes: number[]) =>
    ip4({ ...web, protocol: TCP, payload: tcp(web, SYN), options: Uint8Array.from(bytes) });
  assert.is(outcome(withOptions(131, 3, 4, 0)), L.DROP_OPTIONS);
  assert.is(outcome(withOptions(1, 137, 3, 4)), L.DROP_OPTIONS);
  assert.is(outcome(withOptions(7, 99, 4, 0)), L.DROP_IP_HEADER);
  assert.is(outcome(withOptions(7, 0, 4, 0)), L.DROP_IP_HEADER);
  assert.is(outcome(withOptions(1, 1, 1, 68)), L.DROP_IP_HEADER);
  const sent = node.one(N.POD1, N.fromPod(N.POD1, withOptions(148, 4, 0, 0)));
  assert.is(sent.outcome, L.OUT_FORWARD_POD);
  assert.ok(read(sent.frame).ip.headerGood && read(sent.frame).l4Good);
});

test('TCP, UDP and ICMP: a header that is cut short, or cannot be, is dropped', () => {
  const raw = (protocol: number, payload: Uint8Array) =>
    outcome(ip4({ src: N.POD1_IP, dst: N.POD2_IP, protocol, payload }));
  assert.is(raw(TCP, tcp(web, SYN).slice(0, 19)), L.DROP_L4_HEADER);
  assert.is(raw(TCP, tcp(web, SYN | FIN)), L.DROP_L4_HEADER);
  assert.is(raw(TCP, tcp(web, 0)), L.DROP_L4_HEADER);
  const long = tcp(web, ACK);
  long[12] = 0xf0;
  assert.is(raw(TCP, long), L.DROP_L4_HEADER);
  assert.is(raw(UDP, udp(web).slice(0, 7)), L.DROP_L4_HEADER);
  const lying = udp(web);
  lying[5] = 200;
  assert.is(raw(UDP, lying), L.DROP_L4_HEADER);
  assert.is(raw(1, new Uint8Array(7)), L.DROP_L4_HEADER);
  assert.is(raw(1, Uint8Array.of(5, 0, 0, 0, 0, 0, 0, 0)), L.DROP_ICMP_ERROR);
  assert.is(raw(132, new Uint8Array(11)), L.DROP_L4_HEADER);
  assert.is(raw(255, new Uint8Array(20)), L.DROP_L4_HEADER);
});

test('padding of short frames is cut off', () => {
  const padded = new Uint8Array(60);
  padded.set(N.fromPod(N.POD1, N.udpPacket(web, new Uint8Array([7]))));
  const sent = node.one(N.POD1, padded);
  assert.is(sent.outcome, L.OUT_FORWARD_POD);
  assert.is(sent.frame.length, 14 + 20 + 8 + 1);
});

test('a packet in several buffers: only its first one is looked at', () => {
  const frame = N.fromPod(N.POD1, N.udpPacket(web, new Uint8Array(1000)));
  const [sent] = node.feed({ port: N.POD1, frame, first: 200 });
  assert.is(sent?.outcome, L.OUT_FORWARD_POD);
  assert.is(sent?.frame.length, 200);
  assert.is(node.view.getUint32(L.VECTOR_BASE + L.V_TOTAL, true), frame.length);
});

test.run();
