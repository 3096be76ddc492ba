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

/** There are so many connections, by the table and by what the workers counted. */
function agree(workers: Workers, count: number): void {
  assert.is(workers.connections().length, 2 * count);
  assert.is(workers.active(), count);
}

/** The state of the only connection, or that of the opener's source port, by worker: each looks into its own memory. */
function states(workers: Workers, port?: number): number[] {
  return workers.all.map((node) => {
    for (let i = 0; i < 2 ** node.sessionsLog2; i++) {
      const at = node.sessionsBase + i * L.SESSION_SIZE;
      if (node.view.getUint32(at + L.S_SRC, true) === 0) continue;
      if (port === undefined || node.view.getUint16(at + L.S_PORTS, false) === port)
        return node.view.getUint8(at + L.S_STATE);
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

law('source NAT at two workers never gives one tuple to two connections', () => {
  const workers = startWorkers({}, { count: 3 });
  const seen = new Set<number>();
  for (let i = 0; i < 30; i++) {
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

law('a client keeps its source port whichever worker it comes to', () => {
  const workers = startWorkers({}, { count: 3 });
  for (let port = 5000; port < 5050; port++) {
    const sent = pod1(workers, port % 3, N.flow(N.POD1_IP, port, N.OUTSIDE, 443));
    assert.is(read(sent.frame).sport, port);
  }
  agree(workers, 50);
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

law('affinity holds for connections that come to any worker', () => {
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
});

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

law(
  'a connection that another worker evicted is opened anew by its next packet, and is another one then',
  () => {
    const workers = startWorkers({}, { count: 3, sessionsLog2: 4 });
    pod1(workers, 0, POD_TO_POD);
    workers.now += 1000;
    for (let port = 5000; has(workers, 4000); port++) pod1(workers, 1, { ...POD_TO_POD, sport: port });
    assert.is(pod1(workers, 0, POD_TO_POD).outcome, L.OUT_FORWARD_POD);
    assert.ok(has(workers, 4000));
    pod2(workers, 1, N.back(POD_TO_POD), RST | ACK);
    assert.equal(states(workers, 4000), [L.ST_CLOSING, L.ST_CLOSING, L.ST_CLOSING]);
    pod1(workers, 2, POD_TO_POD);
    assert.equal(states(workers, 4000), [L.ST_NEW, L.ST_NEW, L.ST_NEW]);
  },
);

/** Is there a line of packets from this source port? */
function has(workers: Workers, port: number): boolean {
  const { view, sessionsBase, sessionsLog2 } = workers.at(0);
  for (let i = 0; i < 2 ** sessionsLog2; i++) {
    const at = sessionsBase + i * L.SESSION_SIZE;
    if (view.getUint32(at + L.S_SRC, true) !== 0 && view.getUint16(at + L.S_PORTS, false) === port)
      return true;
  }
  return false;
}

law('both ends speak first at two workers: one connection', () => {
  const workers = startWorkers();
  const flow = N.flow(N.POD1_IP, 4000, N.POD2_IP, 5000);
  workers.one(N.POD1, N.fromPod(N.POD1, N.udpPacket(flow)), 0);
  workers.one(N.POD2, N.fromPod(N.POD2, N.udpPacket(N.back(flow))), 1);
  agree(workers, 1);
});

law('a full table evicts as that of one worker does, and never stops', () => {
  const [one, several] = [1, 3].map((count) => startWorkers({}, { count, sessionsLog2: 6 })) as [
    Workers,
    Workers,
  ];
  for (let port = 1; port < 400; port++) {
    const flow = N.flow(N.POD1_IP, port, N.POD2_IP, 80);
    for (const workers of [one, several]) {
      workers.now += 1;
      assert.is(pod1(workers, port % workers.all.length, flow).outcome, L.OUT_FORWARD_POD);
      const answered = pod2(workers, (port + 1) % workers.all.length, N.back(flow), SYN | ACK);
      assert.is(answered.outcome, L.OUT_FORWARD_POD);
      if (port % 3 === 0) pod1(workers, (port + 2) % workers.all.length, flow, ACK);
    }
  }
  assert.equal(several.connections(), one.connections());
  assert.is(several.active() * 2, several.connections().length);
  assert.ok(several.active() > 20);
});

law('what one worker forwards keeps a connection from being forgotten by another one', () => {
  const workers = startWorkers();
  const flow = N.flow(N.POD1_IP, 4000, N.POD2_IP, 53);
  const send = (worker: number) => workers.one(N.POD1, N.fromPod(N.POD1, N.udpPacket(flow)), worker);
  send(0);
  for (let i = 0; i < 10; i++) {
    workers.now += 20_000;
    send(0);
    workers.sweep(ALL_LINES);
    assert.is(workers.active(), 1, `${20 * (i + 1)} s`);
  }
  workers.now += 30_001;
  workers.sweep(ALL_LINES);
  assert.is(workers.active(), 0);
  assert.is(
    workers.all.map((node) => node.sessionStat(L.SS_EXPIRED)).reduce((a, b) => a + b),
    1,
  );
});

law('a clock that is a little behind another worker’s takes nothing for silent', () => {
  const workers = startWorkers();
  const flow = N.flow(N.POD1_IP, 4000, N.POD2_IP, 53);
  workers.at(0).now += 3;
  workers.one(N.POD1, N.fromPod(N.POD1, N.udpPacket(flow)), 0);
  const behind = workers.at(1);
  behind.exports.sweep(behind.now, ALL_LINES);
  agree(workers, 1);
  assert.ok(behind.neighborKnown(N.PEER_IP, N.UPLINK));
});

law('each worker walks over a part of the table, and all of them over all of it', () => {
  const workers = startWorkers({}, { count: 4 });
  for (let port = 1; port <= 200; port++) pod1(workers, 0, { ...POD_TO_POD, sport: port });
  workers.now += 30_001;
  workers.sweep(ALL_LINES / 4);
  assert.is(workers.active(), 0);
});

/** Makes it look as if the worker had ended while it held the lock. */
function dieInLock(workers: Workers, worker: number): void {
  const { view, sharedBase } = workers.at(worker);
  view.setUint32(sharedBase + L.SH_LOCK, (77 << L.LOCK_HOLDER_BITS) | (worker + 1), true);
}

law(
  'a worker that ends in the midst of a change keeps others from changes only, until another one takes its place',
  () => {
    const workers = startWorkers({}, { count: 3 });
    pod1(workers, 0, POD_TO_POD);
    pod2(workers, 1, N.back(POD_TO_POD), SYN | ACK);
    pod1(workers, 0, POD_TO_POD, ACK);
    dieInLock(workers, 2);
    const other = { ...POD_TO_POD, sport: 4001 };
    assert.is(pod1(workers, 0, other).outcome, L.DROP_WORKERS);
    assert.is(pod1(workers, 0, POD_TO_POD, ACK).outcome, L.OUT_FORWARD_POD);
    assert.is(pod2(workers, 1, N.back(POD_TO_POD), FIN | ACK).outcome, L.OUT_FORWARD_POD);
    const took = Array.from({ length: 20 }, () => {
      const began = performance.now();
      assert.is(pod1(workers, 0, other).outcome, L.DROP_WORKERS);
      return performance.now() - began;
    });
    assert.ok(Math.min(...took) < 3, `it is waited for once, not each time: ${took.join(' ')} ms`);
    workers.at(2).exports.init();
    assert.is(pod1(workers, 0, other).outcome, L.OUT_FORWARD_POD);
    assert.is(pod1(workers, 1, { ...POD_TO_POD, sport: 4002 }).outcome, L.OUT_FORWARD_POD);
    agree(workers, 3);
  },
);

law('half a connection that a worker left behind is cleared by the one that takes its place', () => {
  for (const half of [0, 1]) {
    const workers = startWorkers();
    pod1(workers, 0, { ...POD_TO_POD, sport: 1 });
    pod1(workers, 0, POD_TO_POD);
    const { view, bytes, sessionsBase } = workers.at(0);
    const mine = Array.from({ length: ALL_LINES }, (_, i) => sessionsBase + i * L.SESSION_SIZE).filter(
      (at) =>
        view.getUint32(at + L.S_SRC, true) !== 0 &&
        [4000, 80].includes(view.getUint16(at + L.S_PORTS, false)),
    );
    const [forth = 0] = mine.filter((at) => view.getUint16(at + L.S_PORTS, false) === 4000);
    const reply = view.getUint32(forth + L.S_PEER, true);
    // One line is there, and the other is empty or not in use yet.
    if (half === 0) bytes.fill(0, reply, reply + L.SESSION_SIZE);
    else view.setUint32(reply + L.S_SRC, 0, true);
    dieInLock(workers, 1);
    workers.at(1).exports.init();
    assert.is(workers.connections().length, 2);
    assert.is(pod1(workers, 0, POD_TO_POD).outcome, L.OUT_FORWARD_POD);
    assert.is(pod2(workers, 1, N.back(POD_TO_POD), SYN | ACK).outcome, L.OUT_FORWARD_POD);
    assert.is(workers.connections().length, 4);
  }
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
