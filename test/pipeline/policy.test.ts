import { test } from 'uvu';
import * as assert from 'uvu/assert';
import * as L from '../../dataplane-as/layout/index.js';
import type { ImageSpec } from './image.js';
import * as N from './node.js';
import { ACK, echo, ICMP, ip4, SYN, TCP, UDP } from './packets.js';

const RULE_WEB = 16;
const RULE_DENY = 17;
const RULE_ANY = 18;

/** Pod 2 lets pod 1 in on TCP 80-81; pod 1 may only go to identity 2. */
function isolated(change: Partial<ImageSpec> = {}): Partial<ImageSpec> {
  const base = N.nodeImage();
  return {
    ports: base.ports.map((port, i) => {
      if (port === null) return null;
      return i === N.POD2 ? { ...port, ingress: 1 } : i === N.POD1 ? { ...port, egress: 2 } : port;
    }),
    portSets: [
      { intervals: [], allow: false, rule: RULE_DENY },
      {
        intervals: [{ protocol: TCP, from: 80, to: 81, allow: true, rule: RULE_WEB }],
        allow: false,
        rule: RULE_DENY,
      },
      { intervals: [], allow: true, rule: RULE_ANY },
    ],
    policies: [0, 0],
    pairs: [
      { policy: 1, identity: 1, portSet: 1 },
      { policy: 2, identity: 2, portSet: 2 },
    ],
    ...change,
  };
}

const web = (port: number) => N.fromPod(N.POD1, N.tcpPacket(N.flow(N.POD1_IP, 999, N.POD2_IP, port)));

test('ports of an interval pass, others do not, rules are counted', () => {
  const node = N.startNode(isolated());
  assert.is(node.one(N.POD1, web(80)).outcome, L.OUT_FORWARD_POD);
  assert.is(node.one(N.POD1, web(81)).outcome, L.OUT_FORWARD_POD);
  assert.is(node.one(N.POD1, web(79)).outcome, L.DROP_POLICY_INGRESS);
  assert.is(node.one(N.POD1, web(82)).outcome, L.DROP_POLICY_INGRESS);
  assert.is(node.ruleCount(RULE_WEB), 2);
  assert.is(node.ruleCount(RULE_DENY), 2);
  assert.is(node.ruleCount(RULE_ANY), 4);
  const udp = N.fromPod(N.POD1, N.udpPacket(N.flow(N.POD1_IP, 999, N.POD2_IP, 80)));
  assert.is(node.one(N.POD1, udp).outcome, L.DROP_POLICY_INGRESS);
  const ping = ip4({ src: N.POD1_IP, dst: N.POD2_IP, protocol: ICMP, payload: echo(1, 1) });
  assert.is(node.one(N.POD1, N.fromPod(N.POD1, ping)).outcome, L.DROP_POLICY_INGRESS);
});

test('egress: who is not named is not reached; answers need no rule', () => {
  const node = N.startNode(isolated());
  const far = N.tcpPacket(N.flow(N.POD1_IP, 1, N.REMOTE_POD_IP, 80));
  assert.is(node.one(N.POD1, N.fromPod(N.POD1, far)).outcome, L.DROP_POLICY_EGRESS);
  const call = N.flow(N.REMOTE_POD_IP, 1, N.POD1_IP, 80);
  assert.is(node.one(N.UPLINK, N.fromTunnel(N.tcpPacket(call))).outcome, L.OUT_FORWARD_POD);
  const answer = N.fromPod(N.POD1, N.tcpPacket(N.back(call), SYN | ACK));
  assert.is(node.one(N.POD1, answer).outcome, L.OUT_FORWARD_TUNNEL);
});

test('ICMP and protocols without ports are judged with port 0', () => {
  const node = N.startNode(
    isolated({
      portSets: [
        { intervals: [], allow: true, rule: RULE_ANY },
        {
          intervals: [{ protocol: ICMP, from: 0, to: 0, allow: true, rule: RULE_WEB }],
          allow: false,
          rule: RULE_DENY,
        },
        { intervals: [], allow: true, rule: RULE_ANY },
      ],
    }),
  );
  const ping = ip4({ src: N.POD1_IP, dst: N.POD2_IP, protocol: ICMP, payload: echo(77, 1) });
  assert.is(node.one(N.POD1, N.fromPod(N.POD1, ping)).outcome, L.OUT_FORWARD_POD);
  assert.is(node.one(N.POD1, web(80)).outcome, L.DROP_POLICY_INGRESS);
});

test('the node reaches its own pods, a pod itself, whatever policies say', () => {
  const node = N.startNode(isolated());
  const probe = N.tcpPacket(N.flow(N.NODE_IP, 1, N.POD2_IP, 9999));
  assert.is(node.one(N.HOST, N.fromHost(probe)).outcome, L.OUT_FORWARD_POD);
  assert.is(node.ruleCount(L.RULE_NODE), 1);
  const self = N.tcpPacket(N.flow(N.POD1_IP, 1, N.POD1_IP, 9999));
  assert.is(node.one(N.POD1, N.fromPod(N.POD1, self)).outcome, L.OUT_FORWARD_POD);
  assert.is(node.ruleCount(L.RULE_SELF), 1);
});

test('what the host passes on for others is judged by its source, and may not be the cluster’s', () => {
  const node = N.startNode(isolated());
  const send = (source: string, destination: string, dport: number) =>
    node.one(N.HOST, N.fromHost(N.udpPacket(N.flow(source, 4000, destination, dport)))).outcome;
  for (const own of [N.HOST_IP, N.NODE_IP]) assert.is(send(own, N.POD2_IP, 9999), L.OUT_FORWARD_POD, own);
  // A machine behind another link of the node, which forwards; a container of the host's own.
  for (const stranger of [N.OUTSIDE, '172.17.0.2', N.PEER_IP]) {
    assert.is(send(stranger, N.POD2_IP, 9999), L.DROP_POLICY_INGRESS, stranger);
    assert.is(send(stranger, N.POD1_IP, 9999), L.OUT_FORWARD_POD, stranger);
  }
  for (const forged of [N.POD1_IP, N.REMOTE_POD_IP, N.VIP, N.GATEWAY, '10.1.1.77']) {
    assert.is(send(forged, N.POD2_IP, 80), L.DROP_SPOOFED, forged);
  }
  const odd = ip4({ src: N.POD1_IP, dst: N.POD2_IP, protocol: ICMP, payload: echo(77, 1) });
  assert.is(node.one(N.HOST, N.fromHost(odd)).outcome, L.DROP_SPOOFED);
  // In a connection of the cluster no more than at the beginning of one.
  const open = N.startNode();
  const call = N.flow(N.POD1_IP, 40000, N.REMOTE_POD_IP, 53);
  assert.is(open.one(N.POD1, N.fromPod(N.POD1, N.udpPacket(call))).outcome, L.OUT_FORWARD_TUNNEL);
  assert.is(open.one(N.HOST, N.fromHost(N.udpPacket(N.back(call)))).outcome, L.DROP_SPOOFED);
});

test('a policy that is not in the image lets nothing through', () => {
  const base = N.nodeImage();
  const node = N.startNode({
    ports: base.ports.map((port, i) => (port !== null && i === N.POD2 ? { ...port, ingress: 7 } : port)),
  });
  assert.is(node.one(N.POD1, web(80)).outcome, L.DROP_POLICY_INGRESS);
});

test('a new policy stops an open connection that it forbids, from either end, and leaves the others', () => {
  for (const first of ['forth', 'back'] as const) {
    const node = N.startNode();
    const open = (port: number) => {
      const flow = N.flow(N.POD1_IP, 999, N.POD2_IP, port);
      const forth = (flags = ACK) => node.one(N.POD1, N.fromPod(N.POD1, N.tcpPacket(flow, flags))).outcome;
      const reply = () => node.one(N.POD2, N.fromPod(N.POD2, N.tcpPacket(N.back(flow), ACK))).outcome;
      return { forth, reply };
    };
    const good = open(80);
    const bad = open(443);
    for (const { forth, reply } of [good, bad]) {
      assert.is(forth(SYN), L.OUT_FORWARD_POD);
      assert.is(reply(), L.OUT_FORWARD_POD);
    }
    node.publish(N.nodeImage(isolated({ generation: 2 })));
    const step = first === 'forth' ? bad.forth : bad.reply;
    assert.is(step(), L.DROP_POLICY_INGRESS);
    assert.is(good.reply(), L.OUT_FORWARD_POD);
    assert.is(good.forth(), L.OUT_FORWARD_POD);
    assert.is(bad.forth(), L.DROP_POLICY_INGRESS);
    assert.is(node.sessionStat(L.SS_ACTIVE), first === 'forth' ? 1 : 1);
    assert.ok(node.sessionStat(L.SS_REJUDGED) >= 2);
  }
});

test('answers of the server do not bring back a connection that a policy ended', () => {
  const node = N.startNode();
  const flow = N.flow(N.POD1_IP, 999, N.POD2_IP, 443);
  const forth = () => node.one(N.POD1, N.fromPod(N.POD1, N.tcpPacket(flow, ACK))).outcome;
  const reply = () => node.one(N.POD2, N.fromPod(N.POD2, N.tcpPacket(N.back(flow), ACK))).outcome;
  node.one(N.POD1, N.fromPod(N.POD1, N.tcpPacket(flow, SYN)));
  assert.is(reply(), L.OUT_FORWARD_POD);
  node.publish(N.nodeImage(isolated({ generation: 2 })));
  for (let i = 0; i < 3; i++) {
    assert.is(forth(), L.DROP_POLICY_INGRESS);
    assert.is(reply(), L.DROP_POLICY_INGRESS);
  }
  assert.is(node.sessionStat(L.SS_ACTIVE), 0);
});

test('TCP met in the middle is picked up from either end if both ways are allowed, and judged so again', () => {
  for (const port of [80, 443]) {
    const node = N.startNode(isolated());
    const flow = N.flow(N.POD1_IP, 999, N.POD2_IP, port);
    const reply = () => node.one(N.POD2, N.fromPod(N.POD2, N.tcpPacket(N.back(flow), ACK))).outcome;
    assert.is(reply(), port === 80 ? L.OUT_FORWARD_POD : L.DROP_POLICY_INGRESS);
    node.publish(N.nodeImage(isolated({ generation: 2, pairs: [] })));
    assert.is(reply(), L.DROP_POLICY_INGRESS);
  }
});

test('a client nobody may connect to keeps its connection when the table was lost', () => {
  const base = N.nodeImage(isolated());
  const ports = base.ports.map((port, i) => (port !== null && i === N.POD1 ? { ...port, ingress: 3 } : port));
  const node = N.startNode({ ...isolated(), ports, policies: [0, 0, 0] });
  const flow = N.flow(N.POD1_IP, 40000, N.POD2_IP, 80);
  const reply = () => node.one(N.POD2, N.fromPod(N.POD2, N.tcpPacket(N.back(flow), ACK))).outcome;
  assert.is(reply(), L.DROP_POLICY_INGRESS, 'the server alone cannot tell who opened it');
  assert.is(node.one(N.POD1, N.fromPod(N.POD1, N.tcpPacket(flow, ACK))).outcome, L.OUT_FORWARD_POD);
  assert.is(reply(), L.OUT_FORWARD_POD);
  node.publish({ ...base, ports, generation: 2, policies: [0, 0, 0] });
  assert.is(reply(), L.OUT_FORWARD_POD);
  const forbidden = N.flow(N.POD1_IP, 40000, N.POD2_IP, 443);
  const packet = N.fromPod(N.POD1, N.tcpPacket(forbidden, ACK));
  assert.is(node.one(N.POD1, packet).outcome, L.DROP_POLICY_INGRESS);
});

test('a port that was taken by another pod ends its connections', () => {
  const node = N.startNode();
  const flow = N.flow(N.POD1_IP, 999, N.POD2_IP, 80);
  node.one(N.POD1, N.fromPod(N.POD1, N.udpPacket(flow)));
  const base = N.nodeImage();
  node.publish({
    ...base,
    generation: 2,
    ports: base.ports.map((port, i) => (port !== null && i === N.POD1 ? { ...port, ip: '10.1.1.9' } : port)),
  });
  const answer = N.fromPod(N.POD2, N.udpPacket(N.back(flow)));
  assert.is(node.one(N.POD2, answer).outcome, L.DROP_NO_ROUTE);
});

test('UDP is judged by its own protocol', () => {
  const node = N.startNode(
    isolated({
      portSets: [
        { intervals: [], allow: false, rule: RULE_DENY },
        {
          intervals: [
            { protocol: TCP, from: 0, to: 65535, allow: true, rule: RULE_WEB },
            { protocol: UDP, from: 53, to: 53, allow: true, rule: RULE_ANY },
          ],
          allow: false,
          rule: RULE_DENY,
        },
        { intervals: [], allow: true, rule: RULE_ANY },
      ],
    }),
  );
  const dns = (port: number) => N.fromPod(N.POD1, N.udpPacket(N.flow(N.POD1_IP, 1, N.POD2_IP, port)));
  assert.is(node.one(N.POD1, dns(53)).outcome, L.OUT_FORWARD_POD);
  assert.is(node.one(N.POD1, dns(54)).outcome, L.DROP_POLICY_INGRESS);
  assert.is(node.one(N.POD1, web(65535)).outcome, L.OUT_FORWARD_POD);
});

test.run();
