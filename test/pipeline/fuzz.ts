/** The fuzz itself: spoiled packets, and what must hold for each of them and for the memory afterwards. */
import * as assert from 'uvu/assert';
import * as L from '../../dataplane-as/layout/index.js';
import { templates } from './fuzz-templates.js';
import { templates6 } from './fuzz-templates6.js';
import type { Harness } from './harness.js';
import type { ImageSpec } from './image.js';
import * as N from './node.js';
import * as S from './node6.js';
import { TCP, UDP } from './packets.js';

export const BATCH = L.VECTOR_CAPACITY;
const FENCE = 64;
const CANARY = 0x5a;
const CANARY_WORD = 0x5a5a5a5a;

/** Images that the fuzz goes through: open, isolated, with and without services. */
function images(): ImageSpec[] {
  const base = S.nodeImage6();
  const services = [
    {
      frontends: [
        { ip: N.VIP, port: 80, protocol: TCP },
        { ip: N.VIP, port: 53, protocol: UDP },
        { ip: N.NODE_IP, port: 30080, protocol: TCP },
      ],
      backends: [
        { ip: N.POD1_IP, port: 8080, id: 1 },
        { ip: N.POD2_IP, port: 8080, id: 2 },
        { ip: N.REMOTE_POD_IP, port: 8080, id: 3 },
        { ip: N.PEER_IP, port: 6443, id: 4 },
      ],
    },
    {
      frontends: [
        { ip: S.VIP, port: 80, protocol: TCP },
        { ip: S.VIP, port: 53, protocol: UDP },
        { ip: S.NODE_IP, port: 30080, protocol: TCP },
      ],
      backends: [
        { ip: S.POD1_IP, port: 8080, id: 5 },
        { ip: S.POD2_IP, port: 8080, id: 6 },
        { ip: S.REMOTE_POD_IP, port: 8080, id: 7 },
        { ip: S.PEER_IP, port: 6443, id: 8 },
      ],
      affinity: 1,
    },
  ];
  const isolated: Partial<ImageSpec> = {
    ports: base.ports.map((port, i) =>
      port === null ? null : i === N.POD1 ? { ...port, ingress: 1, egress: 1 } : port,
    ),
    portSets: [
      { intervals: [{ protocol: TCP, from: 80, to: 8080, allow: true, rule: 16 }], allow: false, rule: 17 },
      { intervals: [], allow: true, rule: 18 },
    ],
    policies: [0],
    pairs: [{ policy: 1, identity: 2, portSet: 1 }],
  };
  const alone = base.ports.map((port, i) => (i === N.HOST ? null : port));
  return [
    base,
    { ...base, services },
    { ...base, ...isolated, services },
    { ...base, ports: alone, services },
  ];
}

/** Fast, for millions of packets. */
export class FuzzRandom {
  #state: number;
  constructor(seed: number) {
    this.#state = seed | 1;
  }
  next(): number {
    let x = this.#state;
    x ^= x << 13;
    x ^= x >>> 17;
    x ^= x << 5;
    this.#state = x;
    return x >>> 0;
  }
  below(n: number): number {
    return this.next() % n;
  }
}

/** Makes the IPv4 header checksum right again, so that deeper stages are reached. */
function repair(bytes: Uint8Array, l3: number, end: number): void {
  if (l3 + 20 > end) return;
  const header = Math.max(((bytes[l3] ?? 0) & 15) * 4, 20);
  if (l3 + header > end) return;
  bytes[l3 + 10] = 0;
  bytes[l3 + 11] = 0;
  let sum = 0;
  for (let i = l3; i < l3 + header; i += 2) sum += ((bytes[i] ?? 0) << 8) | (bytes[i + 1] ?? 0);
  sum = (sum & 0xffff) + (sum >>> 16);
  sum = (sum & 0xffff) + (sum >>> 16);
  bytes[l3 + 10] = (~sum >>> 8) & 255;
  bytes[l3 + 11] = ~sum & 255;
}

/** Stretches of the fixed map that belong to nothing. */
const UNUSED: readonly (readonly [number, number])[] = [
  [L.CONTROL_BASE + 0x1000, L.MARTIANS_BASE],
  [L.MARTIANS_BASE + 256, L.VECTOR_BASE],
  [L.VECTOR_BASE + L.VECTOR_CAPACITY * L.VECTOR_SIZE, L.OUTCOMES_BASE],
  [L.OUTCOMES_BASE + L.OUTCOME_COUNT * 8, L.SESSION_STATS_BASE],
  [L.SESSION_STATS_BASE + 0x100, L.PORT_COUNTERS_BASE],
  [L.PORT_COUNTERS_BASE + L.MAX_PORTS * L.PORT_COUNTER_SIZE, L.TRACE_BASE],
  [L.TUNNELS_BASE + L.TUNNEL_SLOTS * 8, L.NEIGHBORS6_BASE],
  [L.NEIGHBORS6_BASE + L.NEIGHBOR6_CAPACITY * L.NEIGHBOR6_SIZE, L.AFFINITY_BASE],
];

/** One pipeline under fuzz. */
export class Fuzz {
  readonly words: Uint32Array;
  readonly frames = [...templates(), ...templates6()];
  readonly lengths = new Uint32Array(BATCH);
  readonly #images = images();
  #copy: Uint8Array | null = null;
  #generation = 2;

  constructor(
    readonly node: Harness,
    readonly random: FuzzRandom,
  ) {
    this.words = new Uint32Array(node.memory.buffer);
    for (const [from, to] of UNUSED) this.node.bytes.fill(CANARY, from, to);
  }

  place(i: number): void {
    const { node, random } = this;
    const template = this.frames[random.below(this.frames.length)]!;
    const at = node.frameAt(i);
    const { bytes } = node;
    bytes.set(template.frame, at);
    let length = template.frame.length;
    const dice = random.next();
    for (let n = dice & 3; n > 0; n--) {
      const where = random.next();
      // Mostly in the headers, where it matters.
      const place = where & 1 ? (where >>> 1) % Math.min(length, 110) : (where >>> 1) % length;
      bytes[at + place] =
        where & 0x80000000 ? (where >>> 16) & 255 : (bytes[at + place] ?? 0) ^ (1 << ((where >>> 16) & 7));
    }
    if ((dice >>> 2) % 16 === 0) length = random.below(length + 1);
    if (((dice >>> 6) & 7) !== 0) {
      repair(bytes, at + 14, at + length);
      if (template.inner !== 0) repair(bytes, at + template.inner, at + length);
    }
    bytes.fill(CANARY, at + length, at + length + FENCE);
    bytes.fill(CANARY, at - L.HEADROOM - FENCE, at - L.HEADROOM);
    this.lengths[i] = length;
    const v = (L.VECTOR_BASE + i * L.VECTOR_SIZE) >> 2;
    const { words } = this;
    words[v + (L.V_ADDRESS >> 2)] = at;
    words[v + (L.V_LENGTH >> 2)] = length;
    words[v + (L.V_TOTAL >> 2)] = ((dice >>> 9) & 15) === 0 ? length + random.below(4000) : length;
    words[v + (L.V_RX_PORT >> 2)] = ((dice >>> 13) & 31) === 0 ? random.below(2000) : template.port;
    words[v + (L.V_OUTCOME >> 2)] = 0xffff;
  }

  check(i: number): void {
    const { node, words } = this;
    const v = (L.VECTOR_BASE + i * L.VECTOR_SIZE) >> 2;
    const outcome = words[v + (L.V_OUTCOME >> 2)] ?? 0;
    if (outcome === 0 || outcome >= L.OUTCOME_COUNT) assert.unreachable(`packet ${i}: outcome ${outcome}`);
    const at = node.frameAt(i);
    const end = at + (this.lengths[i] ?? 0);
    if (words[v + (L.V_TX_PORT >> 2)] !== L.PORT_NONE) {
      const from = words[v + (L.V_ADDRESS >> 2)] ?? 0;
      const to = from + (words[v + (L.V_LENGTH >> 2)] ?? 0);
      if (from < at - L.HEADROOM || to > end || to - from < 34)
        assert.unreachable(`packet ${i}: sends ${from}-${to}`);
      if (outcome >= L.OUT_FIRST_DROP) assert.unreachable(`packet ${i}: dropped as ${outcome} and sent`);
    } else if (outcome < L.OUT_FIRST_DROP && outcome !== L.OUT_ARP_LEARNED && outcome !== L.OUT_ND_LEARNED) {
      assert.unreachable(`packet ${i}: outcome ${outcome} without a port`);
    }
    for (let n = 0; n < FENCE; n++) {
      if (node.bytes[end + n] !== CANARY)
        assert.unreachable(`packet ${i}: wrote behind its end, outcome ${outcome}`);
    }
    const front = (at - L.HEADROOM - FENCE) >> 2;
    for (let n = 0; n < FENCE >> 2; n++) {
      if (words[front + n] !== CANARY_WORD) assert.unreachable(`packet ${i}: wrote before its headroom`);
    }
  }

  /** A new image now and then, as the control plane would; the one before must be as it was written. */
  turn(): void {
    this.checkImage();
    const { node } = this;
    this.#generation++;
    const spec = this.#images[this.#generation % this.#images.length]!;
    node.publish({ ...spec, generation: this.#generation });
    const base = node.activeImage();
    this.#copy = node.bytes.slice(base, base + node.control(L.CTL_IMAGE_SIZE));
  }

  checkImage(): void {
    if (this.#copy === null) return;
    const base = this.node.activeImage();
    const same = Buffer.from(this.#copy.buffer).equals(this.node.bytes.slice(base, base + this.#copy.length));
    assert.ok(same, 'the pipeline never writes an image');
  }

  checkRegions(): void {
    this.node.checkGaps();
    for (const [from, to] of UNUSED) {
      const bad = this.node.bytes.subarray(from, to).findIndex((byte) => byte !== CANARY);
      assert.is(bad, -1, `byte ${from + bad} belongs to nothing and was written`);
    }
  }
}

/** Both lines of each connection belong to each other, and there are as many as are counted. */
export function checkSessions(node: Harness, active = node.sessionStat(L.SS_ACTIVE)): void {
  let lines = 0;
  for (let i = 0; i < 1 << node.sessionsLog2; i++) {
    const line = node.sessionsBase + i * L.SESSION_SIZE;
    if (node.view.getUint32(line + L.S_SRC, true) === 0) continue;
    lines++;
    const peer = node.view.getUint32(line + L.S_PEER, true);
    assert.is(node.view.getUint32(peer + L.S_PEER, true), line);
  }
  for (let i = 0; i < 1 << node.sessionsLog2; i++) {
    const block = node.sessions6Base + i * L.SESSION6_SIZE + L.SESSION6_BLOCK;
    if (node.view.getUint32(block + L.S_SRC, true) === 0) continue;
    lines++;
    const peer = node.view.getUint32(block + L.S_PEER, true);
    assert.is(node.view.getUint32(peer + L.S_PEER, true), block);
  }
  assert.is(lines, 2 * active);
}
