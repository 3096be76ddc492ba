/**
 * The same conversations through one worker and through several, each packet given to one by chance: the same verdicts and the same
 * bytes, but for source ports that the node chose. Seeded. Needs the addon.
 */
import { fileURLToPath } from 'node:url';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { Random } from '../../control/oracle/random.js';
import * as L from '../../dataplane-as/layout/index.js';
import { file, testIf } from '../support/requires.js';
import type { Sent } from './harness.js';
import type { ImageSpec } from './image.js';
import * as N from './node.js';
import * as S from './node6.js';
import { ACK, echo, FIN, ICMP, icmp, ip4, RST, read, SYN, TCP, tcp, UDP, udp } from './packets.js';
import { startWorkers, type Workers } from './workers.js';

const addon = fileURLToPath(new URL('../../../native/pteropus.node', import.meta.url));

/** No client has such a port. */
const FIRST_CHOSEN = 40_000;

/** What is said next in a conversation: who speaks, and the packet in terms of what the listener saw last. */
interface Talk {
  readonly client: 'pod1' | 'pod2' | 'outside';
  readonly port: number;
  readonly destination: string;
  readonly to: number;
  readonly protocol: number;
}

/** One side of the comparison: where its conversations are. */
interface Side {
  readonly workers: Workers;
  /** By conversation: the frame as the far end got it last. */
  readonly heard: Map<string, Sent>;
}

const CLIENTS = { pod1: N.POD1_IP, pod2: N.POD2_IP, outside: N.OUTSIDE } as const;
const PORTS = { pod1: N.POD1, pod2: N.POD2, outside: N.UPLINK } as const;

function images(): ImageSpec[] {
  const base = S.nodeImage6({ snat: { ip: N.NODE_IP, first: FIRST_CHOSEN, last: 65_000 } });
  const backends = [
    { ip: N.POD1_IP, port: 8080, id: 1 },
    { ip: N.POD2_IP, port: 8080, id: 2 },
    { ip: N.REMOTE_POD_IP, port: 8080, id: 3 },
    { ip: '203.0.113.9', port: 8080, id: 4 },
  ];
  const frontends = [TCP, UDP].flatMap((protocol) => [
    { ip: N.VIP, port: 80, protocol },
    { ip: N.NODE_IP, port: 30080, protocol },
  ]);
  const policies = {
    ports: base.ports.map((port, i) => (port === null || i !== N.POD1 ? port : { ...port, ingress: 1 })),
    portSets: [
      { intervals: [{ protocol: TCP, from: 80, to: 8080, allow: true, rule: 16 }], allow: false, rule: 17 },
    ],
    policies: [0],
  };
  return [
    { ...base, services: [{ frontends, backends }] },
    { ...base, ...policies, services: [{ frontends, backends }] },
    { ...base, services: [{ frontends, backends: backends.slice(1) }] },
  ];
}

function frameOf(talk: Talk, packet: Uint8Array): Uint8Array {
  if (talk.client === 'outside') return N.fromUplink(packet);
  return N.fromPod(PORTS[talk.client], packet);
}

function packetOf(
  talk: Talk,
  src: string,
  dst: string,
  sport: number,
  dport: number,
  flags: number,
): Uint8Array {
  const flow = { src, dst, sport, dport };
  if (talk.protocol === TCP) return ip4({ ...flow, protocol: TCP, payload: tcp(flow, flags) });
  if (talk.protocol === UDP) return ip4({ ...flow, protocol: UDP, payload: udp(flow, Uint8Array.of(7, 7)) });
  const id = flags === SYN ? sport : dport;
  return ip4({ ...flow, protocol: ICMP, payload: echo(id, 1, flags !== SYN) });
}

/** A frame back by the port that `sent` left by; null when that is nobody's. */
function answerFrame(sent: Sent, packet: Uint8Array): { port: number; frame: Uint8Array } | null {
  if (sent.outcome === L.OUT_FORWARD_TUNNEL) return { port: N.UPLINK, frame: N.fromTunnel(packet) };
  if (sent.port === N.UPLINK) return { port: N.UPLINK, frame: N.fromUplink(packet) };
  if (sent.port === N.POD1 || sent.port === N.POD2)
    return { port: sent.port, frame: N.fromPod(sent.port, packet) };
  if (sent.port === N.HOST) return { port: N.HOST, frame: N.fromHost(packet) };
  return null;
}

function insideOf({ frame, outcome }: Sent): Uint8Array {
  return outcome === L.OUT_FORWARD_TUNNEL ? frame.subarray(50) : frame;
}

/** The client speaks. */
function say(side: Side, talk: Talk, flags: number): Sent {
  const packet = packetOf(talk, CLIENTS[talk.client], talk.destination, talk.port, talk.to, flags);
  const sent = side.workers.one(PORTS[talk.client], frameOf(talk, packet));
  if (sent.outcome < L.OUT_ARP_REPLY) side.heard.set(JSON.stringify(talk), sent);
  return sent;
}

/** Whoever got the client's last packet answers it, or an error about it comes from the way. */
function reply(side: Side, talk: Talk, flags: number, error: boolean): Sent | null {
  const heard = side.heard.get(JSON.stringify(talk));
  if (heard === undefined) return null;
  const inside = insideOf(heard);
  const seen = read(inside);
  const id = seen.icmpRest >>> 16;
  const payload = icmp(3, 1, 0, inside.slice(14));
  const packet = error
    ? ip4({ src: seen.ip.dst, dst: seen.ip.src, protocol: ICMP, payload })
    : packetOf(talk, seen.ip.dst, seen.ip.src, seen.dport, talk.protocol === ICMP ? id : seen.sport, flags);
  const back = answerFrame(heard, packet);
  return back === null ? null : side.workers.one(back.port, back.frame);
}

/** All that both sides must agree in: a source port that the node may have chosen, and what depends on it, is left out. */
function comparable(sent: Sent | null): unknown {
  if (sent === null) return null;
  const { outcome, port } = sent;
  const frame = Buffer.from(sent.frame);
  if (outcome >= L.OUT_FIRST_DROP) return { outcome, port };
  const inside = insideOf({ ...sent, frame });
  const seen = read(inside);
  const source = [N.NODE_IP, N.HAIRPIN].includes(seen.ip.src) || seen.sport >= FIRST_CHOSEN;
  const towards = [N.NODE_IP, N.HAIRPIN].includes(seen.ip.dst) || seen.dport >= FIRST_CHOSEN;
  if (outcome === L.OUT_FORWARD_TUNNEL) frame.writeUInt16BE(0, 34); // chosen by the inner ports
  if (source || towards) {
    const l4 = 14 + 20;
    const { protocol } = seen.ip;
    const at = protocol === ICMP ? 4 : source ? 0 : 2;
    inside.fill(0, l4 + at, l4 + at + 2);
    const sum = { [TCP]: 16, [UDP]: 6, [ICMP]: 2 }[protocol] ?? 0;
    inside.fill(0, l4 + sum, l4 + sum + 2);
    if (seen.icmpType === 3) inside.fill(0, l4 + 8);
  }
  return { outcome, port, good: seen.ip.headerGood && seen.l4Good, frame: frame.toString('hex') };
}

function newTalk(random: Random): Talk {
  const client = random.pick(['pod1', 'pod2', 'outside'] as const);
  const inside = [N.VIP, N.POD1_IP, N.POD2_IP, N.REMOTE_POD_IP, N.OUTSIDE];
  const destination = client === 'outside' ? N.NODE_IP : random.pick(inside);
  const protocol = client === 'outside' ? random.pick([TCP, UDP]) : random.pick([TCP, UDP, ICMP]);
  const to = protocol === ICMP ? 0 : client === 'outside' ? 30080 : random.pick([80, 8080, 53]);
  // Nobody else has the port: with one worker it is kept, so what answers an older packet finds nobody else with any number of them.
  const port = 1024 + 3 * random.below(400) + ['pod1', 'pod2', 'outside'].indexOf(client);
  return { client, port, destination, to, protocol };
}

function converse(count: number, seed: number, steps: number): void {
  const random = new Random(seed);
  const specs = images();
  const sides: readonly Side[] = [1, count].map((workers) => ({
    workers: startWorkers(specs[0], { count: workers, seed }),
    heard: new Map(),
  }));
  let generation = 2;
  const talks: Talk[] = [];
  for (let step = 0; step < steps; step++) {
    if (random.chance(0.002)) {
      generation++;
      const spec = random.pick(specs);
      for (const { workers } of sides) workers.publish({ ...spec, generation });
    }
    if (random.chance(0.02)) {
      const later = random.below(3_000);
      for (const { workers } of sides) {
        workers.now += later;
        workers.sweep(1);
      }
    }
    if (talks.length < 300 || random.chance(0.05)) talks.push(newTalk(random));
    const talk = talks[random.below(talks.length)] as Talk;
    const dice = random.next();
    const flags = talk.protocol === TCP ? random.pick([SYN, ACK, ACK, ACK, FIN | ACK, RST]) : SYN;
    const [one, several] = sides.map((side) => {
      if (dice < 0.5) return comparable(say(side, talk, flags));
      return comparable(reply(side, talk, dice < 0.8 ? SYN | ACK : ACK, dice > 0.95));
    });
    assert.equal(several, one, `seed ${seed}, step ${step}: ${JSON.stringify(talk)} ${dice} ${flags}`);
  }
  const [one, several] = sides.map(({ workers }) => [workers.active(), workers.connections().length]);
  assert.equal(several, one, `seed ${seed}: connections and lines`);
}

for (const count of [2, 3]) {
  testIf(test, file(addon))(`one worker and ${count} give the same verdicts and bytes`, () => {
    for (let seed = 1; seed <= 8; seed++) converse(count, seed, 3000);
  });
}

test.run();
