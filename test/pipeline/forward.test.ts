import { test } from 'uvu';
import * as assert from 'uvu/assert';
import * as L from '../../dataplane-as/layout/index.js';
import * as N from './node.js';
import { ACK, echo, FIN, ICMP, ip4, RST, read, SCTP, SYN, sctp, TCP, tcp } from './packets.js';

const web = N.flow(N.POD1_IP, 40000, N.POD2_IP, 80);

test('a pod reaches another pod of its node, and the answer finds back', () => {
  const node = N.startNode();
  const sent = node.one(N.POD1, N.fromPod(N.POD1, N.tcpPacket(web)));
  assert.is(sent.outcome, L.OUT_FORWARD_POD);
  assert.is(sent.port, N.POD2);
  const seen = read(sent.frame);
  assert.equal(seen.ethernet, { dst: N.MAC_POD2, src: N.MAC_GW, type: 0x0800 });
  assert.is(seen.ip.ttl, 63);
  assert.ok(seen.ip.headerGood && seen.l4Good);
  const answer = node.one(N.POD2, N.fromPod(N.POD2, N.tcpPacket(N.back(web), SYN | ACK)));
  assert.is(answer.port, N.POD1);
  assert.is(node.sessionStat(L.SS_CREATED), 1);
});

test('pods of other nodes are reached through the tunnel, the world through the uplink', () => {
  const node = N.startNode({ snat: { ip: '0.0.0.0', first: 0, last: 0 } });
  const far = node.one(N.POD1, N.fromPod(N.POD1, N.tcpPacket(N.flow(N.POD1_IP, 1, N.REMOTE_POD_IP, 80))));
  assert.is(far.outcome, L.OUT_FORWARD_TUNNEL);
  assert.is(far.port, N.UPLINK);
  const out = node.one(N.POD1, N.fromPod(N.POD1, N.tcpPacket(N.flow(N.POD1_IP, 1, N.OUTSIDE, 80))));
  assert.is(out.outcome, L.OUT_FORWARD_UPLINK);
  assert.equal(read(out.frame).ethernet, { dst: N.MAC_ROUTER, src: N.MAC_UPLINK, type: 0x0800 });
});

test('the node itself: host to pod and back, uplink to host without losing a hop', () => {
  const node = N.startNode();
  const probe = N.flow(N.NODE_IP, 5000, N.POD1_IP, 8080);
  const out = node.one(N.HOST, N.fromHost(N.tcpPacket(probe)));
  assert.is(out.outcome, L.OUT_FORWARD_POD);
  const reply = node.one(N.POD1, N.fromPod(N.POD1, N.tcpPacket(N.back(probe), SYN | ACK)));
  assert.is(reply.outcome, L.OUT_FORWARD_HOST);
  const ssh = N.flow(N.OUTSIDE, 5000, N.NODE_IP, 22);
  const inbound = node.one(
    N.UPLINK,
    N.fromUplink(ip4({ ...ssh, protocol: TCP, payload: tcp(ssh, SYN), ttl: 1 })),
  );
  assert.is(inbound.outcome, L.OUT_FORWARD_HOST);
  assert.is(read(inbound.frame).ip.ttl, 1);
  assert.ok(read(inbound.frame).ip.headerGood);
  const answer = node.one(N.HOST, N.fromHost(N.tcpPacket(N.back(ssh), SYN | ACK)));
  assert.is(answer.outcome, L.OUT_FORWARD_UPLINK);
  assert.is(read(answer.frame).ip.ttl, 64);
});

test('without a route, with a drop route, with a reject route', () => {
  const node = N.startNode();
  const to = (dst: string) => node.one(N.POD1, N.fromPod(N.POD1, N.tcpPacket(N.flow(N.POD1_IP, 1, dst, 80))));
  assert.is(to('10.1.1.77').outcome, L.DROP_ROUTE_DROP);
  const refused = to('10.96.9.9');
  assert.is(refused.outcome, L.OUT_REJECT_SENT);
  assert.is(refused.port, N.POD1);
  const bare = N.startNode({ prefixes: [] });
  assert.is(bare.one(N.POD1, N.fromPod(N.POD1, N.tcpPacket(web))).outcome, L.DROP_NO_ROUTE);
});

test('an unknown next hop is asked for once, the next packet is dropped', () => {
  const node = N.startNode();
  const packet = (port: number) => N.fromHost(N.tcpPacket(N.flow(N.NODE_IP, port, '192.168.16.77', 80)));
  const asked = node.one(N.HOST, packet(1));
  assert.is(asked.outcome, L.OUT_ARP_REQUEST);
  assert.is(asked.port, N.UPLINK);
  assert.is(asked.frame.length, 42);
  assert.is(node.one(N.HOST, packet(2)).outcome, L.DROP_NO_NEIGHBOR);
  node.now += 101;
  assert.is(node.one(N.HOST, packet(3)).outcome, L.OUT_ARP_REQUEST);
});

test('SCTP and other protocols are forwarded too', () => {
  const node = N.startNode();
  const chunk = sctp(N.flow(N.POD1_IP, 7, N.POD2_IP, 9), new Uint8Array(20));
  const packet = ip4({ src: N.POD1_IP, dst: N.POD2_IP, protocol: SCTP, payload: chunk });
  assert.is(node.one(N.POD1, N.fromPod(N.POD1, packet)).outcome, L.OUT_FORWARD_POD);
  const gre = ip4({ src: N.POD1_IP, dst: N.POD2_IP, protocol: 47, payload: new Uint8Array(8) });
  assert.is(node.one(N.POD1, N.fromPod(N.POD1, gre)).outcome, L.OUT_FORWARD_POD);
});

test('TCP: SYN, established, closing; a new SYN on a closed connection is a new connection', () => {
  const node = N.startNode();
  const state = () => {
    for (let line = node.sessionsBase; ; line += L.SESSION_SIZE) {
      if (node.view.getUint32(line, true) !== 0) return node.bytes[line + L.S_STATE];
    }
  };
  const forth = (flags: number) => node.one(N.POD1, N.fromPod(N.POD1, N.tcpPacket(web, flags)));
  const answer = (flags: number) => node.one(N.POD2, N.fromPod(N.POD2, N.tcpPacket(N.back(web), flags)));
  forth(SYN);
  answer(SYN | ACK);
  assert.is(state(), L.ST_NEW, 'an answer alone does not make it established');
  forth(ACK);
  assert.is(state(), L.ST_ESTABLISHED);
  answer(FIN | ACK);
  assert.is(state(), L.ST_CLOSING);
  assert.is(forth(SYN).outcome, L.OUT_FORWARD_POD);
  assert.is(state(), L.ST_NEW);
  assert.is(node.sessionStat(L.SS_CREATED), 2);
  forth(RST);
  assert.is(state(), L.ST_CLOSING);
  assert.is(node.sessionStat(L.SS_ACTIVE), 1);
});

test('ping between pods; a reply nobody asked for is dropped', () => {
  const node = N.startNode();
  const ping = ip4({ src: N.POD1_IP, dst: N.POD2_IP, protocol: ICMP, payload: echo(0, 1) });
  const pong = ip4({ src: N.POD2_IP, dst: N.POD1_IP, protocol: ICMP, payload: echo(0, 1, true) });
  assert.is(node.one(N.POD2, N.fromPod(N.POD2, pong)).outcome, L.DROP_ICMP_ERROR);
  assert.is(node.one(N.POD1, N.fromPod(N.POD1, ping)).outcome, L.OUT_FORWARD_POD);
  assert.is(node.one(N.POD2, N.fromPod(N.POD2, pong)).outcome, L.OUT_FORWARD_POD);
  assert.is(node.sessionStat(L.SS_CREATED), 1);
  // The other side's own ping, with the same identifier, is a connection of its own.
  const theirs = ip4({ src: N.POD2_IP, dst: N.POD1_IP, protocol: ICMP, payload: echo(0, 1) });
  assert.is(node.one(N.POD2, N.fromPod(N.POD2, theirs)).outcome, L.OUT_FORWARD_POD);
  assert.is(node.sessionStat(L.SS_CREATED), 2);
});

test('a batch may hold the first packets of one flow twice', () => {
  const node = N.startNode();
  const frame = N.fromPod(N.POD1, N.tcpPacket(web));
  const sent = node.feed({ port: N.POD1, frame }, { port: N.POD1, frame }, { port: N.POD1, frame });
  assert.equal(
    sent.map(({ outcome }) => outcome),
    [L.OUT_FORWARD_POD, L.OUT_FORWARD_POD, L.OUT_FORWARD_POD],
  );
  assert.is(node.sessionStat(L.SS_CREATED), 1);
});

test('ports and outcomes are counted', () => {
  const node = N.startNode();
  const frame = N.fromPod(N.POD1, N.tcpPacket(web));
  node.one(N.POD1, frame);
  node.one(N.POD1, frame.slice(0, 10));
  const counter = (port: number, word: number) =>
    node.u64(L.PORT_COUNTERS_BASE + port * L.PORT_COUNTER_SIZE + word);
  assert.is(counter(N.POD1, L.PC_RX_PACKETS), 2);
  assert.is(counter(N.POD1, L.PC_RX_BYTES), frame.length + 10);
  assert.is(counter(N.POD1, L.PC_DROPS), 1);
  assert.is(counter(N.POD2, L.PC_TX_PACKETS), 1);
  assert.is(counter(N.POD2, L.PC_TX_BYTES), frame.length);
  assert.is(node.outcomeCount(L.OUT_FORWARD_POD), 1);
  assert.is(node.outcomeCount(L.DROP_SHORT), 1);
  assert.is(node.control(L.CTL_ACK_IMAGE), node.control(L.CTL_ACTIVE_IMAGE));
});

test.run();
