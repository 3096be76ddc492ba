/** IPv6 through the pipeline, packet by packet: what is proved, forwarded, translated and refused. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import * as L from '../../dataplane-as/layout/index.js';
import * as N from './node.js';
import * as S from './node6.js';
import { ACK, readIp, SCTP, SYN, sctp, TCP, UDP } from './packets.js';
import * as P from './packets6.js';

const web = N.flow(S.POD1_IP, 40000, S.POD2_IP, 80);
const pod1 = (packet: Uint8Array) => S.fromPod(N.POD1, packet);
const pod2 = (packet: Uint8Array) => S.fromPod(N.POD2, packet);

test('pods of one node, both ways, one hop less, checksums right', () => {
  const node = S.startNode6();
  const sent = node.one(N.POD1, pod1(P.tcp6(web, SYN)));
  assert.equal([sent.outcome, sent.port], [L.OUT_FORWARD_POD, N.POD2]);
  const seen = P.read6(sent.frame);
  assert.equal([seen.hops, seen.good, seen.dport], [63, true, 80]);
  const reply = node.one(N.POD2, pod2(P.tcp6(N.back(web), SYN | ACK)));
  assert.equal([reply.outcome, reply.port], [L.OUT_FORWARD_POD, N.POD1]);
  assert.is(node.sessionStat(L.SS_CREATED), 1);
});

test('both families in one batch, each by its own stages', () => {
  const node = S.startNode6();
  const four = N.fromPod(N.POD1, N.tcpPacket(N.flow(N.POD1_IP, 40000, N.POD2_IP, 80)));
  const six = pod1(P.tcp6(web, SYN));
  const out = node.feed(...[four, six, four, six].map((frame) => ({ port: N.POD1, frame })), {
    port: N.POD1,
    frame: pod1(P.udp6(N.flow(S.POD2_IP, 1, S.POD1_IP, 2))),
  });
  assert.equal(
    out.map(({ outcome }) => outcome),
    [...new Array(4).fill(L.OUT_FORWARD_POD), L.DROP_SPOOFED],
  );
  assert.is(node.sessionStat(L.SS_CREATED), 2);
});

test('the other node through the tunnel, and out of it', () => {
  const node = S.startNode6();
  const sent = node.one(N.POD1, pod1(P.udp6(N.flow(S.POD1_IP, 5, S.REMOTE_POD_IP, 53))));
  assert.is(sent.outcome, L.OUT_FORWARD_TUNNEL);
  assert.ok(readIp(sent.frame.subarray(14)).ip.headerGood);
  const view = new DataView(sent.frame.buffer);
  assert.equal([view.getUint16(12), view.getUint16(36), view.getUint16(62)], [0x0800, 4789, 0x86dd]);
  const inner = P.readIp6(sent.frame.subarray(64));
  assert.equal([inner.src, inner.hops, inner.good], [P.full(S.POD1_IP), 63, true]);
  const back = node.one(N.UPLINK, S.fromTunnel(P.udp6(N.flow(S.REMOTE_POD_IP, 53, S.POD1_IP, 5))));
  assert.equal([back.outcome, back.port], [L.OUT_FORWARD_POD, N.POD1]);
});

test('what leaves the cluster has the node’s address; TCP, UDP, ping, SCTP and their answers', () => {
  const node = S.startNode6();
  const flow = N.flow(S.POD1_IP, 7000, S.OUTSIDE, 80);
  const data = Uint8Array.from({ length: 40 }, (_, i) => i);
  for (const packet of [
    P.tcp6(flow, SYN),
    P.udp6(flow, data),
    P.echo6(S.POD1_IP, S.OUTSIDE, 77),
    P.ip6({ ...flow, protocol: SCTP, payload: sctp(flow, data) }),
  ]) {
    const sent = node.one(N.POD1, pod1(packet));
    assert.equal([sent.outcome, sent.port], [L.OUT_FORWARD_UPLINK, N.UPLINK]);
    const seen = P.read6(sent.frame);
    assert.equal([seen.src, seen.dst, seen.good], [P.full(S.NODE_IP), P.full(S.OUTSIDE), true]);
  }
  const answer = N.flow(S.OUTSIDE, 80, S.NODE_IP, 7000);
  const replies = [
    P.tcp6(answer, SYN | ACK),
    P.udp6(answer, data),
    P.echo6(S.OUTSIDE, S.NODE_IP, 77, true),
    P.ip6({ ...answer, protocol: SCTP, payload: sctp(answer, data) }),
  ];
  for (const packet of replies) {
    const got = node.one(N.UPLINK, S.fromUplink(packet));
    assert.equal([got.outcome, got.port], [L.OUT_FORWARD_POD, N.POD1]);
    const seen = P.read6(got.frame);
    assert.equal([seen.dst, seen.good], [P.full(S.POD1_IP), true]);
  }
});

test('two pods with one port: the second gets another', () => {
  const node = S.startNode6();
  const first = node.one(N.POD1, pod1(P.udp6(N.flow(S.POD1_IP, 7000, S.OUTSIDE, 80))));
  const second = node.one(N.POD2, pod2(P.udp6(N.flow(S.POD2_IP, 7000, S.OUTSIDE, 80))));
  assert.is(P.read6(first.frame).sport, 7000);
  const port = P.read6(second.frame).sport;
  assert.ok(port >= 40000 && port <= 40999);
  const back = node.one(N.UPLINK, S.fromUplink(P.udp6(N.flow(S.OUTSIDE, 80, S.NODE_IP, port))));
  assert.equal([back.port, P.read6(back.frame).dport], [N.POD2, 7000]);
});

test('a service: its address outside, the backend’s inside; errors are translated with what they quote', () => {
  const services = [
    { frontends: [{ ip: S.VIP, port: 80, protocol: UDP }], backends: [{ ip: S.POD2_IP, port: 8080, id: 1 }] },
  ];
  const node = S.startNode6({ services });
  const sent = node.one(N.POD1, pod1(P.udp6(N.flow(S.POD1_IP, 4000, S.VIP, 80))));
  const seen = P.read6(sent.frame);
  assert.equal([sent.port, seen.dst, seen.dport, seen.good], [N.POD2, P.full(S.POD2_IP), 8080, true]);
  const refusal = P.error6(S.POD2_IP, S.POD1_IP, 1, 4, 0, sent.frame.subarray(14));
  const error = node.one(N.POD2, pod2(refusal));
  assert.equal([error.outcome, error.port], [L.OUT_FORWARD_POD, N.POD1]);
  const told = P.read6(error.frame);
  const quoted = P.readIp6(told.l4.subarray(8));
  assert.equal([told.src, told.good], [P.full(S.VIP), true]);
  assert.equal([quoted.src, quoted.dst, quoted.dport], [P.full(S.POD1_IP), P.full(S.VIP), 80]);
  assert.ok(quoted.good, 'the quoted checksum too');
  const stray = P.error6(S.POD2_IP, S.POD1_IP, 1, 4, 0, P.udp6(N.flow(S.POD1_IP, 9, S.POD2_IP, 9)));
  assert.is(node.one(N.POD2, pod2(stray)).outcome, L.DROP_ICMP_ERROR);
});

test('who may not use a service any more loses the connections through it', () => {
  const at = (ranges?: readonly string[]) => ({
    frontends: [{ ip: S.VIP, port: 80, protocol: UDP }],
    backends: [{ ip: S.POD2_IP, port: 8080, id: 1 }],
    ...(ranges === undefined ? {} : { ranges }),
  });
  const node = S.startNode6({ services: [at()] });
  const call = pod1(P.udp6(N.flow(S.POD1_IP, 4000, S.VIP, 80)));
  assert.is(node.one(N.POD1, call).outcome, L.OUT_FORWARD_POD);
  node.publish(S.nodeImage6({ generation: 3, services: [at()] }));
  assert.is(node.one(N.POD1, call).outcome, L.OUT_FORWARD_POD);
  node.publish(S.nodeImage6({ generation: 4, services: [at([])] }));
  assert.is(node.one(N.POD1, call).outcome, L.DROP_SERVICE_SOURCE);
});

test('policies by identity and port, for first packets and for connections under way', () => {
  const portSets = [
    { intervals: [{ protocol: TCP, from: 80, to: 80, allow: true, rule: 16 }], allow: false, rule: 17 },
    { intervals: [], allow: false, rule: 18 },
  ];
  const closed = (generation: number) => {
    const ports = S.nodeImage6().ports.map((port, i) =>
      i === N.POD2 && port ? { ...port, ingress: 1 } : port,
    );
    return { generation, ports, portSets, policies: [1], pairs: [{ policy: 1, identity: 1, portSet: 0 }] };
  };
  const node = S.startNode6();
  const other = N.flow(S.POD1_IP, 40001, S.POD2_IP, 81);
  assert.is(node.one(N.POD1, pod1(P.tcp6(other, SYN))).outcome, L.OUT_FORWARD_POD);
  assert.is(node.one(N.POD1, pod1(P.tcp6(web, SYN))).outcome, L.OUT_FORWARD_POD);
  node.publish(S.nodeImage6(closed(3)));
  assert.is(node.one(N.POD1, pod1(P.tcp6(web, ACK))).outcome, L.OUT_FORWARD_POD);
  assert.is(node.one(N.POD1, pod1(P.tcp6(other, ACK))).outcome, L.DROP_POLICY_INGRESS);
  assert.is(node.one(N.POD1, pod1(P.echo6(S.POD1_IP, S.POD2_IP, 3))).outcome, L.DROP_POLICY_INGRESS);
  assert.ok(node.ruleCount(17) >= 2);
  const remote = S.fromTunnel(P.tcp6(N.flow(S.REMOTE_POD_IP, 1, S.POD2_IP, 80), SYN));
  assert.is(node.one(N.UPLINK, remote).outcome, L.DROP_POLICY_INGRESS);
});

test('headers that cannot be, or that nobody may send', () => {
  const node = S.startNode6();
  const good = P.udp6(N.flow(S.POD1_IP, 1, S.POD2_IP, 2));
  const change = (at: number, value: number): Uint8Array => {
    const copy = good.slice();
    copy[at] = value;
    return copy;
  };
  const cases: readonly (readonly [Uint8Array, number])[] = [
    [good.slice(0, 39), L.DROP_SHORT],
    [change(0, 0x50), L.DROP_IP_VERSION],
    [change(4, 0xff), L.DROP_IP_HEADER],
    [change(7, 0), L.DROP_TTL],
    [change(6, 1), L.DROP_L4_HEADER],
    [P.extended(good, P.HOP_BY_HOP), L.DROP_OPTIONS],
    [P.extended(good, P.ROUTING, Uint8Array.of(0, 0, 0, 0, 0, 0)), L.DROP_OPTIONS],
    [P.extended(good, P.ROUTING, Uint8Array.of(4, 1, 0, 0, 0, 0)), L.DROP_OPTIONS],
    [P.extended(good, P.ROUTING, Uint8Array.of(4, 0, 0, 0, 0, 0)), L.OUT_FORWARD_POD],
    [P.extended(good, P.DESTINATION), L.OUT_FORWARD_POD],
    [P.extended(good, P.DESTINATION).slice(0, 44), L.DROP_IP_HEADER],
    [[...Array(6)].reduce((packet: Uint8Array) => P.extended(packet, P.DESTINATION), good), L.DROP_OPTIONS],
    [P.udp6(N.flow('::', 1, S.POD2_IP, 2)), L.DROP_MARTIAN],
    [P.udp6(N.flow('::1', 1, S.POD2_IP, 2)), L.DROP_MARTIAN],
    [P.udp6(N.flow('0:0:0:0:0:ffff:a01:102', 1, S.POD2_IP, 2)), L.DROP_MARTIAN],
    [P.udp6(N.flow('ff02::1', 1, S.POD2_IP, 2)), L.DROP_MARTIAN],
    [P.udp6(N.flow('fe80::1', 1, S.POD2_IP, 2)), L.DROP_MARTIAN],
    [P.udp6(N.flow(S.POD1_IP, 1, 'ff05::2', 2)), L.DROP_MULTICAST],
    [P.udp6(N.flow(S.REMOTE_POD_IP, 1, S.POD2_IP, 2)), L.DROP_SPOOFED],
    [
      P.ip6({
        src: S.POD1_IP,
        dst: S.POD2_IP,
        protocol: 58,
        payload: P.icmp6(S.POD1_IP, S.POD2_IP, 143, 0, new Uint8Array(8)),
      }),
      L.DROP_ICMP_ERROR,
    ],
    [P.echo6(S.POD1_IP, S.POD2_IP, 9, true), L.DROP_ICMP_ERROR],
  ];
  for (const [packet, outcome] of cases) {
    assert.is(node.one(N.POD1, pod1(packet)).outcome, outcome, `${outcome} for ${packet.slice(0, 48)}`);
  }
  const padded = Uint8Array.from([...pod1(good), 0, 0, 0, 0]);
  assert.is(node.one(N.POD1, padded).frame.length, padded.length - 4);
});

test('fragments: by the ports of the first one, through NAT too', () => {
  const node = S.startNode6();
  const flow = N.flow(S.POD1_IP, 6000, S.OUTSIDE, 53);
  const whole = P.udp6(
    flow,
    Uint8Array.from({ length: 2000 }, (_, i) => i & 255),
  );
  const parts = P.pieces(whole, 1000, 0xabcdef01);
  const [first, ...later] = parts;
  for (const piece of later) assert.is(node.one(N.POD1, pod1(piece)).outcome, L.DROP_FRAGMENT_UNKNOWN);
  assert.is(node.one(N.POD1, pod1(first!)).outcome, L.OUT_FORWARD_UPLINK);
  for (const piece of later) {
    const sent = node.one(N.POD1, pod1(piece));
    assert.is(sent.outcome, L.OUT_FORWARD_UPLINK);
    assert.is(P.readIp6(sent.frame.subarray(14)).src, P.full(S.NODE_IP));
  }
  assert.is(node.one(N.POD1, pod1(P.pieces(whole, 1000, 2)[1]!)).outcome, L.DROP_FRAGMENT_UNKNOWN);
  const tiny = first!.slice(0, 52);
  new DataView(tiny.buffer).setUint16(4, 12);
  assert.is(node.one(N.POD1, pod1(tiny)).outcome, L.DROP_FRAGMENT_TINY);
  const overwriting = P.pieces(whole, 8, 0xabcdef01)[0]!;
  new DataView(overwriting.buffer).setUint16(42, 1);
  assert.is(
    node.one(N.POD1, pod1(overwriting)).outcome,
    L.OUT_FORWARD_UPLINK,
    'a first piece of 8 bytes is all of UDP’s header',
  );
  const atomic = P.pieces(P.udp6(N.flow(S.POD1_IP, 1, S.POD2_IP, 2)), 1000, 9)[0]!;
  assert.is(node.one(N.POD1, pod1(atomic)).outcome, L.OUT_FORWARD_POD, 'a fragment that is all there is');
  const hidden = P.extended(first!, P.DESTINATION);
  hidden[40] = 17;
  assert.is(node.one(N.POD1, pod1(hidden)).outcome === L.OUT_FORWARD_POD, false);
});

test('a pod that forges another one’s first fragment does not change what its later ones are taken for', () => {
  const node = S.startNode6();
  const datagram = (dport: number) =>
    P.pieces(P.udp6(N.flow(S.POD1_IP, 6000, S.OUTSIDE, dport), new Uint8Array(2000)), 1000, 7);
  const [first, second] = datagram(53);
  assert.is(node.one(N.POD1, pod1(first!)).outcome, L.OUT_FORWARD_UPLINK);
  assert.is(node.one(N.POD2, pod2(datagram(54)[0]!)).outcome, L.DROP_SPOOFED);
  assert.is(node.one(N.UPLINK, S.fromUplink(datagram(54)[0]!)).outcome, L.DROP_SPOOFED);
  assert.is(node.one(N.HOST, S.fromHost(datagram(54)[0]!)).outcome, L.DROP_SPOOFED);
  assert.is(node.one(N.POD1, pod1(second!)).outcome, L.OUT_FORWARD_UPLINK);
});

test('nobody on the underlay speaks in a connection of the cluster, nor from an address of the host or a service', () => {
  const node = S.startNode6();
  const flow = N.flow(S.POD1_IP, 40000, S.REMOTE_POD_IP, 53);
  assert.is(node.one(N.POD1, pod1(P.udp6(flow))).outcome, L.OUT_FORWARD_TUNNEL);
  assert.is(node.one(N.UPLINK, S.fromUplink(P.udp6(N.back(flow)))).outcome, L.DROP_SPOOFED);
  assert.is(node.one(N.UPLINK, S.fromTunnel(P.udp6(N.back(flow)))).outcome, L.OUT_FORWARD_POD);
  for (const source of [S.HOST_IP, S.VIP, S.POD2_IP, S.GATEWAY]) {
    const packet = P.udp6(N.flow(source, 99, S.POD1_IP, 40001));
    assert.is(node.one(N.UPLINK, S.fromUplink(packet)).outcome, L.DROP_SPOOFED, source);
  }
});

test('what the host passes on for others is judged by its source, and may not be the cluster’s', () => {
  const ports = S.nodeImage6().ports.map((port, i) =>
    i === N.POD2 && port ? { ...port, ingress: 1 } : port,
  );
  const node = S.startNode6({ ports, portSets: [{ intervals: [], allow: false, rule: 18 }], policies: [0] });
  const send = (source: string) =>
    node.one(N.HOST, S.fromHost(P.udp6(N.flow(source, 4000, S.POD2_IP, 53)))).outcome;
  for (const own of [S.HOST_IP, S.NODE_IP]) assert.is(send(own), L.OUT_FORWARD_POD, own);
  assert.is(send('2001:db8::99'), L.DROP_POLICY_INGRESS);
  for (const forged of [S.POD1_IP, S.REMOTE_POD_IP, S.VIP, S.GATEWAY])
    assert.is(send(forged), L.DROP_SPOOFED, forged);
});

test('too long, too many hops: the sender is told, in 1,280 bytes at most', () => {
  const node = S.startNode6();
  const long = node.one(N.POD1, pod1(P.udp6(N.flow(S.POD1_IP, 1, S.REMOTE_POD_IP, 2), new Uint8Array(1440))));
  assert.equal([long.outcome, long.port], [L.OUT_FRAG_NEEDED_SENT, N.POD1]);
  const told = P.read6(long.frame);
  assert.equal([told.src, told.dst, told.good], [P.full(S.GATEWAY), P.full(S.POD1_IP), true]);
  assert.equal([...told.l4.subarray(0, 2), new DataView(told.l4.slice().buffer).getUint32(4)], [2, 0, 1450]);
  assert.is(long.frame.length, 14 + 1280);
  const last = P.ip6({ src: S.POD1_IP, dst: S.POD2_IP, protocol: 47, payload: new Uint8Array(8), hops: 1 });
  const dead = node.one(N.POD1, pod1(last));
  assert.is(dead.outcome, L.OUT_TTL_EXCEEDED_SENT);
  assert.equal([P.read6(dead.frame).l4[0], P.read6(dead.frame).good], [3, true]);
  const refused = node.one(N.POD1, pod1(P.tcp6(N.flow(S.POD1_IP, 1, S.VIP, 2), SYN)));
  assert.equal([refused.outcome, ...P.read6(refused.frame).l4.subarray(0, 2)], [L.OUT_REJECT_SENT, 1, 4]);
});

test('echo for our own addresses: the gateway from a pod, the BVI out of the tunnel', () => {
  const node = S.startNode6();
  const pong = node.one(N.POD1, pod1(P.echo6(S.POD1_IP, S.GATEWAY, 5)));
  assert.is(pong.outcome, L.OUT_ECHO_REPLY);
  const seen = P.read6(pong.frame);
  assert.equal([seen.src, seen.l4[0], seen.good], [P.full(S.GATEWAY), 129, true]);
  const bvi = node.one(N.UPLINK, S.fromTunnel(P.echo6(S.PEER_BVI, S.BVI, 5)));
  assert.is(bvi.outcome, L.OUT_ECHO_REPLY);
  assert.equal([bvi.frame[62], bvi.frame[63]], [0x86, 0xdd]);
  assert.ok(P.readIp6(bvi.frame.subarray(64)).good);
});

test('sessions end by age, and a flood of connections gives old ones up', () => {
  const node = S.startNode6({}, { sessionsLog2: 6 });
  for (let i = 0; i < 500; i++) node.one(N.POD1, pod1(P.udp6(N.flow(S.POD1_IP, 1000 + i, S.POD2_IP, 53))));
  assert.ok(node.sessionStat(L.SS_EVICTED) > 300);
  assert.ok(node.sessionStat(L.SS_ACTIVE) <= 32);
  node.now += 600_000;
  for (let i = 0; i < 8; i++) node.exports.sweep(node.now, 64);
  assert.is(node.sessionStat(L.SS_ACTIVE), 0);
});

test('without an address of its own an interface takes no IPv6', () => {
  const node = N.startNode();
  assert.is(node.one(N.POD1, pod1(P.tcp6(web, SYN))).outcome, L.DROP_IPV6);
  assert.is(node.one(N.UPLINK, S.fromTunnel(P.tcp6(web, SYN))).outcome, L.DROP_IPV6);
});

test.run();
