/** What several workers owe a connection: whichever of them meets its packets, it is one connection. Needs the addon. */
import { fileURLToPath } from 'node:url';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import * as L from '../../dataplane-as/layout/index.js';
import { file, testIf } from '../support/requires.js';
import type { Sent } from './harness.js';
import type { ServiceSpec } from './image.js';
import * as N from './node.js';
import * as S from './node6.js';
import { ACK, FIN, type Flow, ICMP, icmp, ip4, RST, read, readIp, SYN, TCP, UDP, udp } from './packets.js';
import { udp6 } from './packets6.js';
import { startWorkers, type Workers } from './workers.js';

const addon = fileURLToPath(new URL('../../../native/pteropus.node', import.meta.url));
const law = testIf(test, file(addon));

const ALL_LINES = 1 << 12;
const POD_TO_POD = N.flow(N.POD1_IP, 4000, N.POD2_IP, 80);

function pod1(workers: Workers, worker: number, flow: Flow, flags = SYN): Sent {
  return workers.one(N.POD1, N.fromPod(N.POD1, N.tcpPacket(flow, flags)), worker);
}

function pod2(workers: Workers, worker: number, flow: Flow, flags: number): Sent {
  return workers.one(N.POD2, N.fromPod(N.POD2, N.tcpPacket(flow, flags)), worker);
}

/** All workers know the same, and this many connections. */
function agree(workers: Workers, count: number): void {
  workers.sweep();
  const [first, ...others] = workers.connections();
  for (const other of others) assert.equal(other, first);
  assert.is(first?.length, 2 * count);
  assert.equal(
    workers.active(),
    workers.all.map(() => count),
  );
}

/** The state of the only connection, by worker. */
function states(workers: Workers): number[] {
  return workers.all.map((node) => {
    for (let i = 0; i < ALL_LINES; i++) {
      const at = node.sessionsBase + i * L.SESSION_SIZE;
      if (node.view.getUint32(at + L.S_SRC, true) !== 0) return node.view.getUint8(at + L.S_STATE);
    }
    return 0;
  });
}

law(
  'both directions meet different workers, and the handshake establishes the connection at all of them',
  () => {
    const workers = startWorkers({}, { count: 3 });
    assert.is(pod1(workers, 0, POD_TO_POD).outcome, L.OUT_FORWARD_POD);
    assert.is(pod2(workers, 1, N.back(POD_TO_POD), SYN | ACK).outcome, L.OUT_FORWARD_POD);
    assert.is(pod1(workers, 2, POD_TO_POD, ACK).outcome, L.OUT_FORWARD_POD);
    agree(workers, 1);
    assert.equal(states(workers), [L.ST_ESTABLISHED, L.ST_ESTABLISHED, L.ST_ESTABLISHED]);
    assert.is(
      workers.all.map((node) => node.sessionStat(L.SS_CREATED)).reduce((a, b) => a + b),
      1,
    );
    pod2(workers, 2, N.back(POD_TO_POD), FIN | ACK);
    workers.sweep();
    assert.equal(states(workers), [L.ST_CLOSING, L.ST_CLOSING, L.ST_CLOSING]);
    // Opened again, at one that did not see its end.
    assert.is(pod1(workers, 0, POD_TO_POD).outcome, L.OUT_FORWARD_POD);
    workers.sweep();
    assert.equal(states(workers), [L.ST_NEW, L.ST_NEW, L.ST_NEW]);
    agree(workers, 1);
  },
);

law('an answer finds its connection although nobody else may speak to the opener', () => {
  const ports = N.nodeImage().ports.map((port, i) =>
    port === null || i !== N.POD1 ? port : { ...port, ingress: 1 },
  );
  const policy = { portSets: [{ intervals: [], allow: false, rule: 17 }], policies: [0] };
  const workers = startWorkers({ ports, ...policy });
  assert.is(pod2(workers, 1, N.back(POD_TO_POD), SYN | ACK).outcome, L.DROP_POLICY_INGRESS);
  pod1(workers, 0, POD_TO_POD);
  assert.is(pod2(workers, 1, N.back(POD_TO_POD), SYN | ACK).outcome, L.OUT_FORWARD_POD);
});

law('source NAT at the same time at two workers never gives one tuple to two connections', () => {
  const workers = startWorkers({}, { count: 3 });
  const seen = new Set<number>();
  for (let i = 0; i < 30; i++) {
    // No worker reads what the others tell: each has one pass for all its packets.
    const flows = [N.POD1_IP, N.POD2_IP].map((ip) => N.flow(ip, 5000 + i, N.OUTSIDE, 443));
    const [a, b] = flows.map((flow, pod) =>
      workers.one(pod, N.fromPod(pod, N.tcpPacket(flow)), (i + pod) % 3),
    ) as [Sent, Sent];
    for (const sent of [a, b]) {
      const { ip, sport, l4Good } = read(sent.frame);
      assert.is(ip.src, N.NODE_IP);
      assert.ok(l4Good && ip.headerGood);
      assert.not(seen.has(sport), `port ${sport} is given twice`);
      seen.add(sport);
      const answer = N.tcpPacket(N.flow(N.OUTSIDE, 443, N.NODE_IP, sport), SYN | ACK);
      const back = workers.one(N.UPLINK, N.fromUplink(answer));
      assert.is(back.port, sent === a ? N.POD1 : N.POD2);
      assert.is(read(back.frame).dport, 5000 + i);
    }
  }
  agree(workers, 60);
});

law('source NAT of two workers in one moment: ports are of different classes', () => {
  const workers = startWorkers({}, { count: 2 });
  const packet = (ip: string, port: number) => N.tcpPacket(N.flow(ip, port, N.OUTSIDE, 443));
  const batch = (pod: number, ip: string) =>
    Array.from({ length: 50 }, (_, i) => ({ port: pod, frame: N.fromPod(pod, packet(ip, 5000 + i)) }));
  const ports = [
    workers.feed(batch(N.POD1, N.POD1_IP), 0),
    // Worker 1 hears of the first ones only before its batch: these are its first.
    workers.feed(batch(N.POD2, N.POD2_IP), 1),
  ].map((sent) => sent.map(({ frame }) => read(frame).sport));
  for (const [worker, list] of ports.entries()) for (const port of list) assert.is(port % 2, worker);
  agree(workers, 100);
});

const BACKENDS = [
  { ip: N.POD2_IP, port: 8080, id: 101 },
  { ip: N.REMOTE_POD_IP, port: 8080, id: 102 },
  { ip: '10.1.2.3', port: 8080, id: 103 },
];
const shop = (change: Partial<ServiceSpec> = {}): ServiceSpec => ({
  frontends: [
    { ip: N.VIP, port: 80, protocol: TCP },
    { ip: N.VIP, port: 53, protocol: UDP },
  ],
  backends: BACKENDS,
  ...change,
});

function target({ frame, outcome }: Sent): string {
  return read(outcome === L.OUT_FORWARD_TUNNEL ? frame.subarray(50) : frame).ip.dst;
}

law('a service’s connection goes to one backend, and a pod that is its own backend reaches itself', () => {
  const workers = startWorkers({ services: [shop()] });
  for (let port = 1; port < 100; port++) {
    const flow = N.flow(N.POD1_IP, port, N.VIP, 80);
    const chosen = target(pod1(workers, 0, flow));
    assert.is(target(pod1(workers, 1, flow)), chosen);
    assert.is(target(pod1(workers, 0, flow, ACK)), chosen);
  }
  agree(workers, 99);
  const own = startWorkers({ services: [shop({ backends: [{ ip: N.POD1_IP, port: 8080, id: 1 }] })] });
  const sent = pod1(own, 0, N.flow(N.POD1_IP, 4000, N.VIP, 80));
  const seen = read(sent.frame);
  const answer = pod1(own, 1, N.flow(N.POD1_IP, 8080, N.HAIRPIN, seen.sport), SYN | ACK);
  const heard = read(answer.frame);
  assert.equal([heard.ip.src, heard.sport, heard.ip.dst, heard.dport], [N.VIP, 80, N.POD1_IP, 4000]);
});

law(
  'affinity holds for first connections that come to two workers at once, and for later ones anywhere',
  () => {
    const workers = startWorkers({ services: [shop({ affinity: 60 })] }, { count: 3 });
    const batch = (first: number) =>
      Array.from({ length: 20 }, (_, i) => ({
        port: N.POD1,
        frame: N.fromPod(N.POD1, N.tcpPacket(N.flow(N.POD1_IP, first + i, N.VIP, 80))),
      }));
    const chosen = new Set<string>();
    for (const worker of [0, 1, 2, 1, 0]) {
      for (const sent of workers.feed(batch(1000 * (1 + chosen.size + worker)), worker))
        chosen.add(target(sent));
    }
    assert.is(chosen.size, 1);
    // The first backends leave and come back: who had one keeps what was chosen then, at whichever worker.
    const [kept] = [...chosen];
    const left = BACKENDS.filter(({ ip }) => ip !== kept);
    workers.publish(S.nodeImage6({ generation: 3, services: [shop({ affinity: 60, backends: left })] }));
    const moved = target(pod1(workers, 2, N.flow(N.POD1_IP, 9000, N.VIP, 80)));
    assert.is.not(moved, kept);
    workers.publish(S.nodeImage6({ generation: 4, services: [shop({ affinity: 60 })] }));
    assert.is(target(pod1(workers, 0, N.flow(N.POD1_IP, 9001, N.VIP, 80))), moved);
    assert.is(target(pod1(workers, 1, N.flow(N.POD1_IP, 9002, N.VIP, 80))), moved);
  },
);

law('a router’s error about a translated connection reaches the pod from any worker', () => {
  const workers = startWorkers();
  const out = pod1(workers, 0, N.flow(N.POD1_IP, 5001, N.OUTSIDE, 443));
  const payload = icmp(3, 4, 1400, out.frame.slice(14));
  const error = ip4({ src: '198.51.100.9', dst: N.NODE_IP, protocol: ICMP, payload });
  const sent = workers.one(N.UPLINK, N.fromUplink(error), 1);
  assert.is(sent.port, N.POD1);
  const quoted = readIp(read(sent.frame).payload);
  assert.equal([quoted.ip.src, quoted.sport], [N.POD1_IP, 5001]);
});

law('a later fragment follows its first one that another worker met', () => {
  const workers = startWorkers({ services: [shop({ backends: [BACKENDS[0] as never] })] });
  const flow = N.flow(N.POD1_IP, 4000, N.VIP, 53);
  const whole = udp(flow, new Uint8Array(1500));
  const piece = (offset: number, end: number) =>
    ip4({
      ...{ src: flow.src, dst: flow.dst, protocol: UDP, id: 9, offset },
      ...{ payload: whole.slice(offset, end), moreFragments: end < whole.length },
    });
  assert.is(workers.one(N.POD1, N.fromPod(N.POD1, piece(0, 1000)), 0).outcome, L.OUT_FORWARD_POD);
  const later = workers.one(N.POD1, N.fromPod(N.POD1, piece(1000, whole.length)), 1);
  assert.is(later.outcome, L.OUT_FORWARD_POD);
  assert.is(read(later.frame).ip.dst, N.POD2_IP);
});

law('what a new image forbids ends for all, wherever its next packet comes', () => {
  const workers = startWorkers({}, { count: 3 });
  pod1(workers, 0, POD_TO_POD);
  pod2(workers, 1, N.back(POD_TO_POD), SYN | ACK);
  pod1(workers, 0, POD_TO_POD, ACK);
  const base = S.nodeImage6();
  const closed = {
    ports: base.ports.map((port, i) => (port === null || i !== N.POD2 ? port : { ...port, ingress: 1 })),
    portSets: [{ intervals: [], allow: false, rule: 17 }],
    policies: [0],
  };
  workers.publish({ ...base, ...closed, generation: 3 });
  assert.is(pod2(workers, 2, N.back(POD_TO_POD), ACK).outcome, L.DROP_POLICY_INGRESS);
  agree(workers, 0);
  assert.is(pod1(workers, 0, POD_TO_POD, ACK).outcome, L.DROP_POLICY_INGRESS);
  workers.publish({ ...base, generation: 4 });
  assert.is(pod1(workers, 1, POD_TO_POD).outcome, L.OUT_FORWARD_POD);
  agree(workers, 1);
});

law('a UDP connection whose backend left goes on at one other, the same for all', () => {
  const services = [shop()];
  const workers = startWorkers({ services }, { count: 3 });
  const flow = N.flow(N.POD1_IP, 4000, N.VIP, 53);
  const send = (worker: number) => workers.one(N.POD1, N.fromPod(N.POD1, N.udpPacket(flow)), worker);
  const before = target(send(0));
  const left = BACKENDS.filter(({ ip }) => ip !== before);
  workers.publish(S.nodeImage6({ generation: 3, services: [shop({ backends: left })] }));
  const after = target(send(1));
  assert.is.not(after, before);
  assert.is(target(send(0)), after);
  assert.is(target(send(2)), after);
  agree(workers, 1);
});

law('one tuple opened at two workers in one moment is one connection in the end', () => {
  for (const [first, second] of [
    [0, 1],
    [1, 0],
    [2, 0],
  ] as const) {
    const workers = startWorkers({}, { count: 3 });
    // Outside, so that each takes another source port.
    const flow = N.flow(N.POD1_IP, 5000, N.OUTSIDE, 443);
    const [a, b] = [first, second].map((worker) => {
      const node = workers.at(worker);
      // Rings are read at the start of a pass: told to nobody yet means that both write before either reads.
      const tails = freeze(workers, worker);
      const sent = node.one(N.POD1, N.fromPod(N.POD1, N.tcpPacket(flow)));
      tails();
      return read(sent.frame).sport;
    });
    assert.is.not(a, b);
    workers.sweep();
    agree(workers, 1);
    const again = workers.all.map((_, worker) => read(pod1(workers, worker, flow).frame).sport);
    assert.is(new Set(again).size, 1, 'all translate alike');
    assert.ok(again[0] === a || again[0] === b);
  }
});

/** Hides from a worker what the others wrote; returns what shows it again. */
function freeze(workers: Workers, worker: number): () => void {
  const { view, sharedBase } = workers.at(worker);
  const count = workers.all.length;
  const size = L.RING_SLOTS + L.RECORD_SIZE * 1024;
  const rings = workers.all.flatMap((_, from) =>
    from === worker ? [] : [sharedBase + L.SH_RINGS + (from * count + worker) * size],
  );
  const heads = rings.map((ring) => view.getUint32(ring + L.RING_HEAD, true));
  for (const ring of rings) {
    view.setUint32(ring + L.RING_HEAD, view.getUint32(ring + L.RING_TAIL, true), true);
  }
  return () => {
    for (const [i, ring] of rings.entries()) view.setUint32(ring + L.RING_HEAD, heads[i] ?? 0, true);
  };
}

law('a connection that is opened again meets neither the end nor the state of the one before it', () => {
  const evicting = startWorkers({}, { count: 3, sessionsLog2: 4 });
  pod1(evicting, 0, POD_TO_POD);
  evicting.sweep();
  evicting.now += 1000;
  // Others take its place at worker 1; worker 2 hears of nothing until it is there again.
  const has = (worker: number) => portsAt(evicting, worker).has(4000);
  for (let port = 5000; has(1); port++) pod1(evicting, 1, { ...POD_TO_POD, sport: port });
  assert.is(pod1(evicting, 0, POD_TO_POD).outcome, L.OUT_FORWARD_POD);
  evicting.sweep();
  assert.equal([0, 1, 2].map(has), [true, true, true]);

  const resetting = startWorkers({}, { count: 3 });
  pod1(resetting, 0, POD_TO_POD);
  resetting.sweep();
  pod2(resetting, 1, N.back(POD_TO_POD), RST | ACK);
  pod1(resetting, 0, POD_TO_POD);
  resetting.sweep();
  assert.equal(states(resetting), [L.ST_NEW, L.ST_NEW, L.ST_NEW]);
  agree(resetting, 1);
});

/** Source ports of the lines that a worker has. */
function portsAt(workers: Workers, worker: number): ReadonlySet<number> {
  const { view, sessionsBase, sessionsLog2 } = workers.at(worker);
  const found = new Set<number>();
  for (let i = 0; i < 2 ** sessionsLog2; i++) {
    const at = sessionsBase + i * L.SESSION_SIZE;
    if (view.getUint32(at + L.S_SRC, true) !== 0) found.add(view.getUint16(at + L.S_PORTS, false));
  }
  return found;
}

law('both ends speak first at two workers: one connection', () => {
  const workers = startWorkers();
  const flow = N.flow(N.POD1_IP, 4000, N.POD2_IP, 5000);
  workers.one(N.POD1, N.fromPod(N.POD1, N.udpPacket(flow)), 0);
  const shown = freeze(workers, 1);
  workers.at(1).one(N.POD2, N.fromPod(N.POD2, N.udpPacket(N.back(flow))));
  shown();
  workers.sweep();
  agree(workers, 1);
});

law('a table that is full gives up the same connections everywhere', () => {
  const workers = startWorkers({}, { count: 2, sessionsLog2: 6, ringLog2: 12 });
  for (let port = 1; port < 400; port++) {
    const flow = N.flow(N.POD1_IP, port, N.POD2_IP, 80);
    assert.is(pod1(workers, port % 2, flow).outcome, L.OUT_FORWARD_POD);
    assert.is(pod2(workers, (port + 1) % 2, N.back(flow), SYN | ACK).outcome, L.OUT_FORWARD_POD);
  }
  workers.sweep();
  const [first = [], second = []] = workers.connections();
  assert.equal(first, second);
  assert.ok(first.length > 32);
});

law('silent here, alive there: nobody forgets it before all are asked', () => {
  const workers = startWorkers();
  const flow = N.flow(N.POD1_IP, 4000, N.POD2_IP, 53);
  const send = (worker: number) => workers.one(N.POD1, N.fromPod(N.POD1, N.udpPacket(flow)), worker);
  send(0);
  for (let i = 0; i < 10; i++) {
    workers.now += 20_000;
    send(0);
    workers.sweep(ALL_LINES);
    assert.equal(workers.active(), [1, 1], `${20 * (i + 1)} s`);
  }
  workers.now += 30_001;
  workers.sweep(ALL_LINES);
  assert.equal(workers.active(), [1, 1], 'asked');
  workers.sweep(ALL_LINES);
  workers.sweep();
  assert.equal(workers.active(), [0, 0]);
  assert.is(
    workers.all.map((node) => node.sessionStat(L.SS_EXPIRED)).reduce((a, b) => a + b),
    1,
  );
});

law('a ring that is full drops what opens a connection, and nothing else', () => {
  const workers = startWorkers({}, { ringLog2: 6 });
  const known = N.flow(N.POD1_IP, 1, N.POD2_IP, 80);
  pod1(workers, 0, known);
  let opened = 1;
  for (let port = 2; port < 100; port++) {
    const { outcome } = pod1(workers, 0, N.flow(N.POD1_IP, port, N.POD2_IP, 80));
    if (outcome === L.OUT_FORWARD_POD) opened++;
    else assert.is(outcome, L.DROP_WORKERS);
  }
  assert.ok(opened > 30 && opened < 64, `${opened} were opened`);
  assert.is(pod1(workers, 0, known, ACK).outcome, L.OUT_FORWARD_POD);
  agree(workers, opened);
  assert.is(pod1(workers, 0, N.flow(N.POD1_IP, 99, N.POD2_IP, 80)).outcome, L.OUT_FORWARD_POD);
  agree(workers, opened + 1);
});

law('a limit is one for all workers', () => {
  const ports = S.nodeImage6().ports.map((port, i) =>
    port !== null && i === N.POD2 ? { ...port, toPod: [1000, 2000] as const } : port,
  );
  const workers = startWorkers({ ports }, { count: 3 });
  const data = new Uint8Array(500);
  const send = () =>
    workers.one(N.POD1, N.fromPod(N.POD1, N.udpPacket(N.flow(N.POD1_IP, 4000, N.POD2_IP, 53), data))).outcome;
  let burst = 0;
  while (send() === L.OUT_FORWARD_POD) burst++;
  assert.is(burst, Math.ceil(2000 / 542));
  let passed = 0;
  for (let i = 0; i < 1000; i++) {
    workers.now += 100;
    if (send() === L.OUT_FORWARD_POD) passed++;
  }
  assert.ok(Math.abs(passed * 542 - 100_000) < 3000, `${passed * 542} bytes in 100 s`);
  // A clock that wraps, and a bucket that nobody used for weeks.
  workers.now = 2 ** 32 - 10;
  for (let i = 0; i < 20; i++) send();
  workers.now = 1_000_000;
  assert.is(send(), L.OUT_FORWARD_POD);
});

law('what one worker learns of neighbors all know', () => {
  const workers = startWorkers({}, { count: 3 });
  for (const node of workers.all) {
    assert.ok(node.neighborKnown(N.PEER_IP, N.UPLINK));
    assert.ok(node.neighborKnown(N.ROUTER_IP, N.UPLINK));
  }
  const out = workers.one(N.POD1, S.fromPod(N.POD1, udp6({ ...N.flow(S.POD1_IP, 1, S.OUTSIDE, 53) })), 2);
  assert.is(out.outcome, L.OUT_FORWARD_UPLINK);
});

law('IPv6: told line by line as it is made', () => {
  const workers = startWorkers({}, { count: 3 });
  for (let port = 1; port < 50; port++) {
    const there = N.flow(S.POD1_IP, port, port % 2 ? S.OUTSIDE : S.POD2_IP, 53);
    const out = workers.one(N.POD1, S.fromPod(N.POD1, udp6(there)));
    assert.ok(out.outcome === L.OUT_FORWARD_UPLINK || out.outcome === L.OUT_FORWARD_POD);
  }
  agree(workers, 49);
});

law('a pipeline that starts anew over its memory goes on where it was', () => {
  const workers = startWorkers();
  pod1(workers, 0, POD_TO_POD);
  workers.at(0).exports.init();
  workers.at(1).exports.init();
  assert.is(pod2(workers, 1, N.back(POD_TO_POD), SYN | ACK).outcome, L.OUT_FORWARD_POD);
  assert.is(pod1(workers, 0, POD_TO_POD, ACK).outcome, L.OUT_FORWARD_POD);
  pod1(workers, 1, POD_TO_POD, RST);
  agree(workers, 1);
});

test.run();
