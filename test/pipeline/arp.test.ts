import { test } from 'uvu';
import * as assert from 'uvu/assert';
import * as L from '../../dataplane-as/layout/index.js';
import { Harness } from './harness.js';
import * as N from './node.js';
import { arp, ethernet, readArp } from './packets.js';
import { ip } from './words.js';

const BROADCAST = 'ff:ff:ff:ff:ff:ff';
const NOBODY = '00:00:00:00:00:00';

function ask(senderMac: string, senderIp: string, target: string, dst = BROADCAST): Uint8Array {
  return ethernet(dst, senderMac, 0x0806, arp(1, senderMac, senderIp, NOBODY, target));
}

test('a pod gets an answer for every address but its own', () => {
  const node = N.startNode();
  for (const target of [N.GATEWAY, N.POD2_IP, '8.8.8.8']) {
    const sent = node.one(N.POD1, ask(N.MAC_POD1, N.POD1_IP, target));
    assert.is(sent.outcome, L.OUT_ARP_REPLY);
    assert.is(sent.port, N.POD1);
    assert.equal(readArp(sent.frame), {
      operation: 2,
      senderMac: N.MAC_GW,
      senderIp: target,
      targetMac: N.MAC_POD1,
      targetIp: N.POD1_IP,
    });
  }
  assert.is(node.one(N.POD1, ask(N.MAC_POD1, '0.0.0.0', N.POD1_IP)).outcome, L.DROP_ARP);
  assert.is(node.one(N.POD1, ask(N.MAC_POD1, N.POD1_IP, N.POD1_IP)).outcome, L.DROP_ARP);
  assert.is(node.one(N.POD1, ask(N.MAC_POD1, N.POD2_IP, N.GATEWAY)).outcome, L.DROP_SPOOFED);
});

test('the host gets answers too', () => {
  const node = N.startNode();
  assert.is(node.one(N.HOST, ask(N.MAC_HOST, N.NODE_IP, N.POD1_IP)).outcome, L.OUT_ARP_REPLY);
  assert.is(node.one(N.HOST, ask(N.MAC_HOST, N.NODE_IP, N.HOST_IP)).outcome, L.DROP_ARP);
});

test('on the uplink only our own address is answered for, and who asks for it is learned', () => {
  const node = N.startNode();
  const stranger = '02:aa:00:00:00:55';
  assert.is(node.one(N.UPLINK, ask(stranger, '192.168.16.55', '192.168.16.9')).outcome, L.DROP_ARP);
  assert.not(node.neighborKnown('192.168.16.55', N.UPLINK));
  const sent = node.one(N.UPLINK, ask(stranger, '192.168.16.55', N.NODE_IP));
  assert.is(sent.outcome, L.OUT_ARP_REPLY);
  assert.is(readArp(sent.frame).senderMac, N.MAC_UPLINK);
  assert.ok(node.neighborKnown('192.168.16.55', N.UPLINK));
});

test('nothing off the link is learned, nor our own address, nor a group address', () => {
  const node = N.startNode();
  assert.is(node.one(N.UPLINK, ask('02:aa:00:00:00:56', '10.9.9.9', N.NODE_IP)).outcome, L.OUT_ARP_REPLY);
  assert.not(node.neighborKnown('10.9.9.9', N.UPLINK));
  assert.is(node.one(N.UPLINK, ask('02:aa:00:00:00:56', N.NODE_IP, N.NODE_IP)).outcome, L.DROP_ARP);
  assert.is(node.one(N.UPLINK, ask('03:aa:00:00:00:56', '192.168.16.56', N.NODE_IP)).outcome, L.DROP_ARP);
});

test('a known neighbor that says it moved is believed', () => {
  const node = N.startNode();
  const moved = '02:aa:00:00:00:77';
  const told = ethernet(BROADCAST, moved, 0x0806, arp(1, moved, N.PEER_IP, NOBODY, N.PEER_IP));
  assert.is(node.one(N.UPLINK, told).outcome, L.OUT_ARP_LEARNED);
  const out = node.one(N.POD1, N.fromPod(N.POD1, N.tcpPacket(N.flow(N.POD1_IP, 1, N.REMOTE_POD_IP, 80))));
  assert.equal([...out.frame.slice(0, 6)], [2, 0xaa, 0, 0, 0, 0x77]);
});

test('ARP that is cut short or malformed is dropped, and so is what is for another station', () => {
  const node = N.startNode();
  const good = ask(N.MAC_POD1, N.POD1_IP, N.GATEWAY);
  assert.is(node.one(N.POD1, good.slice(0, 41)).outcome, L.DROP_ARP);
  const bad = good.slice();
  bad[21] = 3;
  assert.is(node.one(N.POD1, bad).outcome, L.DROP_ARP);
  assert.is(
    node.one(N.POD1, ask(N.MAC_POD1, N.POD1_IP, N.GATEWAY, '02:00:00:00:00:99')).outcome,
    L.DROP_NOT_FOR_US,
  );
});

test('the worker asks ahead of traffic, and again when a neighbor in use is silent', () => {
  const node = new Harness();
  node.publish(N.nodeImage());
  node.exports.process(0, node.now);
  assert.not(node.neighborKnown(N.PEER_IP, N.UPLINK));
  node.place(0, { port: N.UPLINK, frame: new Uint8Array(64) });
  assert.is(node.exports.buildArp(0, ip(N.PEER_IP), N.UPLINK), 42);
  const request = node.result(0);
  assert.is(request.port, N.UPLINK);
  assert.equal(readArp(request.frame), {
    operation: 1,
    senderMac: N.MAC_UPLINK,
    senderIp: N.NODE_IP,
    targetMac: NOBODY,
    targetIp: N.PEER_IP,
  });
  const reply = arp(2, N.MAC_PEER, N.PEER_IP, N.MAC_UPLINK, N.NODE_IP);
  assert.is(node.one(N.UPLINK, ethernet(N.MAC_UPLINK, N.MAC_PEER, 0x0806, reply)).outcome, L.OUT_ARP_LEARNED);
  assert.ok(node.neighborKnown(N.PEER_IP, N.UPLINK));
  node.now += 31_000;
  const packet = N.fromPod(N.POD1, N.tcpPacket(N.flow(N.POD1_IP, 1, N.REMOTE_POD_IP, 80)));
  assert.is(node.one(N.POD1, packet).outcome, L.OUT_FORWARD_TUNNEL);
  assert.is(node.exports.refreshNeighbor(0, node.now, L.NEIGHBOR_CAPACITY), 42);
  assert.is(readArp(node.result(0).frame).targetIp, N.PEER_IP);
  assert.is(node.exports.refreshNeighbor(0, node.now, L.NEIGHBOR_CAPACITY), 0, 'asked only once a second');
});

test('a neighbor nobody heard of for long is forgotten', () => {
  const node = N.startNode();
  node.now += 121_000;
  for (let i = 0; i < 20; i++) node.exports.sweep(node.now, 4096);
  assert.not(node.neighborKnown(N.PEER_IP, N.UPLINK));
});

test.run();
