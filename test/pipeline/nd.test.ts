/** Neighbor discovery: who is answered, who is believed, what is asked. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import * as L from '../../dataplane-as/layout/index.js';
import * as N from './node.js';
import * as S from './node6.js';
import { ethernet } from './packets.js';
import * as P from './packets6.js';
import { ip6, macText } from './words.js';

const GROUP_MAC = '33:33:ff:00:00:01';
const group = (address: string) => `ff02::1:ff00:${address.slice(address.lastIndexOf(':') + 1)}`;
const fromPod1 = (packet: Uint8Array, to = GROUP_MAC) => ethernet(to, N.MAC_POD1, 0x86dd, packet);
const onLink = (packet: Uint8Array, to = N.MAC_UPLINK, from = N.MAC_PEER) =>
  ethernet(to, from, 0x86dd, packet);

test('a pod that asks for its gateway is told our MAC', () => {
  const node = S.startNode6();
  const sent = node.one(N.POD1, fromPod1(P.nd6(135, S.POD1_IP, group(S.GATEWAY), S.GATEWAY, N.MAC_POD1)));
  assert.equal([sent.outcome, sent.port, sent.frame.length], [L.OUT_ND_REPLY, N.POD1, 86]);
  assert.equal(
    [macText(sent.frame.subarray(0, 6)), macText(sent.frame.subarray(6, 12))],
    [N.MAC_POD1, N.MAC_GW],
  );
  const seen = P.read6(sent.frame);
  assert.equal([seen.src, seen.dst, seen.hops, seen.good], [P.full(S.GATEWAY), P.full(S.POD1_IP), 255, true]);
  assert.equal([...seen.l4.subarray(0, 2), seen.l4[4]], [136, 0, 0xe0]);
  assert.equal([...seen.l4.subarray(8, 24)], [...ip6(S.GATEWAY)]);
  assert.equal([seen.l4[24], seen.l4[25], macText(seen.l4.subarray(26, 32))], [2, 1, N.MAC_GW]);
});

test('what is malformed, from afar, or of another kind is dropped', () => {
  const node = S.startNode6();
  const good = P.nd6(135, S.POD1_IP, group(S.GATEWAY), S.GATEWAY, N.MAC_POD1);
  const spoil = (at: number, value: number): Uint8Array => {
    const copy = good.slice();
    copy[at] = value;
    return copy;
  };
  const router = P.ip6({
    src: 'fe80::1',
    dst: 'ff02::1',
    protocol: 58,
    hops: 255,
    payload: P.icmp6('fe80::1', 'ff02::1', 134, 0, new Uint8Array(12)),
  });
  for (const packet of [
    P.nd6(135, S.POD1_IP, group(S.GATEWAY), S.GATEWAY, N.MAC_POD1, { hops: 254 }),
    spoil(42, 0),
    spoil(65, 0),
    P.nd6(135, S.POD1_IP, group(S.GATEWAY), 'ff02::1', N.MAC_POD1),
    P.nd6(135, S.POD1_IP, group(S.GATEWAY), S.GATEWAY, '01:00:5e:00:00:01'),
    router,
  ]) {
    assert.is(node.one(N.POD1, fromPod1(packet)).outcome, L.DROP_ND);
  }
  assert.is(node.one(N.UPLINK, onLink(router, '33:33:00:00:00:01')).outcome, L.DROP_ND);
  const forged = P.nd6(136, S.POD2_IP, S.POD1_IP, S.POD2_IP, N.MAC_POD1);
  assert.is(node.one(N.POD1, fromPod1(forged, N.MAC_GW)).outcome, L.DROP_SPOOFED);
});

test('the uplink: our address is answered for, the asker is learned, strangers are not', () => {
  const node = S.startNode6();
  const asked = node.one(
    N.UPLINK,
    onLink(P.nd6(135, S.PEER_IP, group(S.NODE_IP), S.NODE_IP, N.MAC_PEER), GROUP_MAC),
  );
  assert.is(asked.outcome, L.OUT_ND_REPLY);
  const known = node.one(N.HOST, S.fromHost(P.udp6(N.flow(S.NODE_IP, 1, S.PEER_IP, 2))));
  assert.equal([known.outcome, macText(known.frame.subarray(0, 6))], [L.OUT_FORWARD_UPLINK, N.MAC_PEER]);
  const other = P.nd6(135, S.PEER_IP, group(S.ROUTER_IP), S.ROUTER_IP, N.MAC_PEER);
  assert.is(node.one(N.UPLINK, onLink(other, GROUP_MAC)).outcome, L.OUT_ND_LEARNED, 'it is known already');
  const far = P.nd6(136, '2001:db8::1', S.NODE_IP, '2001:db8::1', N.MAC_PEER, { flags: 0x60 });
  assert.is(node.one(N.UPLINK, onLink(far)).outcome, L.DROP_ND);
  const unasked = P.nd6(136, 'fd00:16::77', 'ff02::1', 'fd00:16::77', N.MAC_PEER, { flags: 0x20 });
  assert.is(node.one(N.UPLINK, onLink(unasked, '33:33:00:00:00:01')).outcome, L.DROP_ND);
});

test('an unknown next hop is asked for once, the next packet is dropped, the answer lets them pass', () => {
  const node = S.startNode6();
  const packet = S.fromHost(P.udp6(N.flow(S.NODE_IP, 1, 'fd00:16::1234', 2)));
  const asked = node.one(N.HOST, packet);
  assert.equal([asked.outcome, asked.port], [L.OUT_ND_REQUEST, N.UPLINK]);
  const seen = P.read6(asked.frame);
  assert.is(macText(asked.frame.subarray(0, 6)), '33:33:ff:00:12:34');
  assert.equal(
    [seen.src, seen.dst, seen.hops, seen.good],
    [P.full(S.NODE_IP), P.full('ff02::1:ff00:1234'), 255, true],
  );
  assert.is(node.one(N.HOST, packet).outcome, L.DROP_NO_NEIGHBOR);
  const told = P.nd6(136, 'fd00:16::1234', S.NODE_IP, 'fd00:16::1234', '02:aa:00:00:12:34', { flags: 0x60 });
  assert.is(node.one(N.UPLINK, onLink(told)).outcome, L.OUT_ND_LEARNED);
  const passed = node.one(N.HOST, packet);
  assert.equal(
    [passed.outcome, macText(passed.frame.subarray(0, 6))],
    [L.OUT_FORWARD_UPLINK, '02:aa:00:00:12:34'],
  );
});

test('the worker asks ahead of traffic, and again when a neighbor in use is silent', () => {
  const node = S.startNode6();
  const ask = (address: string): number => {
    node.bytes.set(ip6(address), node.exports.askedAddress6());
    return node.exports.neighborKnown6(N.UPLINK);
  };
  assert.is(ask(S.ROUTER_IP), 1);
  assert.is(ask('fd00:16::9'), 0);
  node.place(0, { port: N.UPLINK, frame: new Uint8Array(86) });
  assert.is(node.exports.buildSolicitation(0, N.UPLINK), 86);
  assert.is(P.read6(node.result(0).frame).dst, P.full('ff02::1:ff00:9'));
  assert.is(node.exports.buildSolicitation(0, 999), 0);
  node.now += 20_000;
  node.one(N.POD1, S.fromPod(N.POD1, P.udp6(N.flow(S.POD1_IP, 1, S.OUTSIDE, 2))));
  node.now += 15_000;
  node.place(0, { port: N.UPLINK, frame: new Uint8Array(86) });
  assert.is(node.exports.refreshNeighbor6(0, node.now, L.NEIGHBOR6_CAPACITY), 86);
  assert.is(P.read6(node.result(0).frame).dst, P.full('ff02::1:ff00:fe'));
});

test('a pod that looks whether an address is free: only ours are taken', () => {
  const node = S.startNode6();
  const look = (target: string) => node.one(N.POD1, fromPod1(P.nd6(135, '::', group(target), target, null)));
  assert.is(look(S.POD1_IP).outcome, L.OUT_ND_LEARNED);
  assert.is(look('fe80::2').outcome, L.OUT_ND_LEARNED);
  const told = look(S.GATEWAY);
  assert.is(told.outcome, L.OUT_ND_REPLY);
  assert.is(P.read6(told.frame).dst, P.full('ff02::1'));
});

test('our BVI is answered for inside the tunnel', () => {
  const node = S.startNode6();
  const ask = P.nd6(135, S.PEER_BVI, group(S.BVI), S.BVI, '66:55:44:33:22:11');
  const sent = node.one(N.UPLINK, S.fromTunnel(ask, GROUP_MAC));
  assert.equal([sent.outcome, sent.port], [L.OUT_ND_REPLY, N.UPLINK]);
  const inner = sent.frame.subarray(50);
  assert.is(P.read6(inner).l4[0], 136);
  assert.equal([inner[12], inner[13], macText(inner.subarray(0, 6))], [0x86, 0xdd, N.MAC_PEER_BVI]);
  const other = P.nd6(135, S.PEER_BVI, group(S.POD1_IP), S.POD1_IP, '66:55:44:33:22:11');
  assert.is(node.one(N.UPLINK, S.fromTunnel(other, GROUP_MAC)).outcome, L.DROP_ND);
});

test.run();
