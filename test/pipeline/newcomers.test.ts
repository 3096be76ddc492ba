/**
 * First packets that come together are decided on together. Held against the way that takes each by itself, which a batch goes as long
 * as somebody traces: packets, sessions and every counter must be the same.
 */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { Random } from '../../control/oracle/random.js';
import * as L from '../../dataplane-as/layout/index.js';
import type { Fed, Harness } from './harness.js';
import type { ImageSpec, PortSpec } from './image.js';
import * as N from './node.js';
import { ACK, echo, ICMP, ip4, SYN, TCP, UDP } from './packets.js';

const port = (number: number, change: Partial<PortSpec>): PortSpec => {
  const spec = N.nodeImage().ports[number];
  if (spec === undefined || spec === null) throw new Error(`no port ${number}`);
  return { ...spec, ...change };
};

const interval = (protocol: number, from: number, to: number, allow: boolean, rule: number) => ({
  protocol,
  from,
  to,
  allow,
  rule,
});

/** Policies for both directions, and services of every kind. */
const CHANGE: Partial<ImageSpec> = {
  ports: [port(N.POD1, { egress: 1 }), port(N.POD2, { ingress: 2 }), port(N.UPLINK, {}), port(N.HOST, {})],
  portSets: [
    {
      intervals: [interval(TCP, 80, 95, true, 20), interval(UDP, 50, 60, true, 21)],
      allow: false,
      rule: 22,
    },
    { intervals: [interval(TCP, 85, 88, false, 23)], allow: true, rule: 24 },
    {
      intervals: [1, 2, 3, 4, 5, 6].map((i) => interval(TCP, i * 20, i * 20 + 10, i !== 5, 24 + i)),
      allow: false,
      rule: 31,
    },
    { intervals: [], allow: true, rule: L.RULE_OPEN },
  ],
  // Whom no pair names is judged by the first ones.
  policies: [0, 1],
  pairs: [
    { policy: 1, identity: 2, portSet: 1 },
    { policy: 1, identity: 3, portSet: 2 },
    { policy: 2, identity: 1, portSet: 2 },
    { policy: 2, identity: 2, portSet: 3 },
  ],
  services: [
    {
      frontends: [
        { ip: N.VIP, port: 80, protocol: TCP },
        { ip: N.VIP, port: 53, protocol: UDP },
      ],
      backends: [
        { ip: N.POD2_IP, port: 82, id: 1 },
        { ip: N.REMOTE_POD_IP, port: 83, id: 2 },
        { ip: N.POD1_IP, port: 84, id: 3 },
        { ip: N.PEER_IP, port: 4789, id: 4 },
      ],
    },
    {
      frontends: [{ ip: N.VIP, port: 81, protocol: TCP }],
      // Backends that are called by nobody directly: who comes first keeps its source port.
      backends: [{ ip: N.REMOTE_POD_IP, port: 91, id: 5 }],
      affinity: 60,
    },
    {
      frontends: [{ ip: N.VIP, port: 82, protocol: TCP }],
      backends: [{ ip: N.POD2_IP, port: 92, id: 6 }],
      ranges: ['10.1.1.2/32'],
    },
    { frontends: [{ ip: N.VIP, port: 83, protocol: TCP }], backends: [] },
  ],
};

const DESTINATIONS = [
  N.POD1_IP,
  N.POD2_IP,
  N.REMOTE_POD_IP,
  N.VIP,
  N.VIP,
  N.OUTSIDE,
  N.ROUTER_IP,
  N.HOST_IP,
  N.NODE_IP,
  '10.1.1.77', // nobody's
];
const PORTS = [53, 80, 81, 82, 83, 86, 125, 4789];

/** A packet of one of few connections, so that some come twice, and some meet their own answers. */
function packet(random: Random): Fed {
  const pod = random.below(2) === 0 ? N.POD1 : N.POD2;
  const source = pod === N.POD1 ? N.POD1_IP : N.POD2_IP;
  const destination = DESTINATIONS[random.below(DESTINATIONS.length)] ?? N.OUTSIDE;
  const service = PORTS[random.below(PORTS.length)] ?? 80;
  const flow = N.flow(source, 1000 + random.below(6), destination, service);
  const kind = random.below(20);
  if (kind < 8) return { port: pod, frame: N.fromPod(pod, N.tcpPacket(flow, SYN)) };
  if (kind < 13) return { port: pod, frame: N.fromPod(pod, N.udpPacket(flow)) };
  // Both ends of a connection at once.
  if (kind === 13) {
    const back = N.flow(source, 53, pod === N.POD1 ? N.POD2_IP : N.POD1_IP, 53);
    return { port: pod, frame: N.fromPod(pod, N.udpPacket(back)) };
  }
  if (kind === 14) {
    // In the middle of a connection: of ports that no SYN comes from.
    return {
      port: pod,
      frame: N.fromPod(pod, N.tcpPacket({ ...flow, sport: 40_000 + random.below(3) }, ACK)),
    };
  }
  if (kind === 15) {
    const payload = echo(random.below(3), 1);
    return {
      port: pod,
      frame: N.fromPod(pod, ip4({ src: source, dst: destination, protocol: ICMP, payload })),
    };
  }
  if (kind === 16) {
    const outside = N.flow(N.OUTSIDE, 2000 + random.below(4), N.NODE_IP, service);
    return { port: N.UPLINK, frame: N.fromUplink(N.tcpPacket(outside, SYN)) };
  }
  const peer = random.below(4) === 0 ? N.OUTSIDE : N.REMOTE_POD_IP;
  const inner = N.flow(peer, 3000 + random.below(6), pod === N.POD1 ? N.POD1_IP : N.POD2_IP, service);
  return {
    port: N.UPLINK,
    frame: N.fromTunnel(kind === 17 ? N.udpPacket(inner) : N.tcpPacket(inner, SYN)),
  };
}

const u64s = (node: Harness, at: number, n: number) =>
  Array.from({ length: n }, (_, i) => node.u64(at + 8 * i));

/** Session lines, but for where they lie. */
function lines(node: Harness): string[] {
  const all: string[] = [];
  for (let i = 0; i < 1 << node.sessionsLog2; i++) {
    const at = node.sessionsBase + i * L.SESSION_SIZE;
    if (node.view.getUint32(at + L.S_SRC, true) === 0) continue;
    const line = node.bytes.slice(at, at + L.SESSION_SIZE);
    const peer = new DataView(line.buffer).getUint32(L.S_PEER, true);
    line.set(node.bytes.subarray(peer, peer + L.S_GENERATION), L.S_GENERATION);
    all.push(Buffer.from(line).toString('hex'));
  }
  return all.sort();
}

function state(node: Harness): unknown {
  return {
    lines: lines(node),
    stats: u64s(node, L.SESSION_STATS_BASE, 6),
    rules: u64s(node, L.RULE_COUNTERS_BASE, 40),
    services: u64s(node, L.SERVICE_COUNTERS_BASE, 12),
    outcomes: u64s(node, L.OUTCOMES_BASE, L.OUTCOME_COUNT),
    ports: u64s(node, L.PORT_COUNTERS_BASE, (4 * L.PORT_COUNTER_SIZE) / 8),
  };
}

/** A trace that no packet belongs to: each is looked at by itself, and nothing is written about it. */
function oneByOne(node: Harness): Harness {
  node.setControl(L.CTL_TRACE_PROTOCOL, 254);
  node.setControl(L.CTL_TRACE_LEFT, 1);
  return node;
}

const created = (node: Harness): number => node.sessionStat(L.SS_CREATED);

test('first packets together are what they are one by one', () => {
  const random = new Random(5);
  let opened = 0;
  for (let round = 0; round < 150; round++) {
    const [together, alone] = [N.startNode(CHANGE), oneByOne(N.startNode(CHANGE))];
    for (let batch = 0; batch < 2; batch++) {
      const packets = Array.from({ length: round % 3 === 0 ? 200 : 64 }, () => packet(random));
      const [one, other] = [together.feed(...packets), alone.feed(...packets)];
      for (const [i, sent] of one.entries()) assert.equal(sent, other[i], `round ${round}, packet ${i}`);
      assert.equal(state(together), state(alone), `round ${round}`);
    }
    together.checkGaps();
    opened += created(together);
  }
  assert.ok(opened > 5000, `${opened} connections`);
});

test('what is denied by itself passes where the other end has just opened the connection', () => {
  const node = N.startNode({
    ...CHANGE,
    ports: [port(N.POD1, { egress: 1 }), port(N.POD2, { egress: 1 }), port(N.UPLINK, {}), port(N.HOST, {})],
  });
  const flow = N.flow(N.POD1_IP, 53, N.POD2_IP, 53);
  const packets = [
    // Pod 2 may not call pod 1 there, but answer.
    { port: N.POD2, frame: N.fromPod(N.POD2, N.udpPacket({ ...N.back(flow), dport: 99 })) },
    { port: N.POD1, frame: N.fromPod(N.POD1, N.udpPacket({ ...flow, sport: 100 })) },
    { port: N.POD2, frame: N.fromPod(N.POD2, N.udpPacket({ ...N.back(flow), dport: 100 })) },
  ];
  const outcomes = node.feed(...packets).map(({ outcome }) => outcome);
  assert.equal(outcomes, [L.DROP_POLICY_EGRESS, L.OUT_FORWARD_POD, L.OUT_FORWARD_POD]);
  assert.is(created(node), 1);
});

test('a table that is full gives up old connections for those that come together', () => {
  const node = N.startNode({}, { sessionsLog2: 6 });
  let next = 1;
  for (let batch = 0; batch < 50; batch++) {
    const packets = Array.from({ length: 64 }, () => {
      const flow = N.flow(N.POD1_IP, next++, N.POD2_IP, 80);
      return { port: N.POD1, frame: N.fromPod(N.POD1, N.tcpPacket(flow, SYN)) };
    });
    for (const { outcome } of node.feed(...packets)) {
      assert.ok(outcome === L.OUT_FORWARD_POD || outcome === L.DROP_SESSION_FULL, `outcome ${outcome}`);
    }
    node.checkGaps();
    const active = node.sessionStat(L.SS_ACTIVE);
    assert.is(lines(node).length, 2 * active);
    assert.is(created(node) - node.sessionStat(L.SS_EVICTED), active);
  }
  assert.ok(node.sessionStat(L.SS_EVICTED) > 1000);
});

test.run();
