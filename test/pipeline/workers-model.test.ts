/**
 * Several workers whose steps come in between each other by chance, over tables so small that connections are evicted and opened
 * anew all the time, against a plain observer who looks at the whole table after each step: a packet that leaves was rewritten by the one
 * connection that it was found for, from its first byte to its last; what one worker does late never touches a connection that another
 * one opened meanwhile; and the table is whole at every moment. Seeded. Needs the addon.
 */
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { buildAssembly } from '../../bench/peers/build.js';
import { Random } from '../../control/oracle/random.js';
import * as L from '../../dataplane-as/layout/index.js';
import { file, testIf } from '../support/requires.js';
import type { Fed, Harness, Sent } from './harness.js';
import type { ImageSpec } from './image.js';
import * as N from './node.js';
import * as S from './node6.js';
import { ACK, FIN, type Flow, RST, read, SYN, TCP, UDP } from './packets.js';
import { startWorkers, type Workers } from './workers.js';

const addon = fileURLToPath(new URL('../../../native/pteropus.node', import.meta.url));
const law = testIf(test, file(addon));
const STEPS = 6;
const SEEDS = 6;
/** A flag that the pipeline never sets: who finds a line without it sees a connection that is new. */
const SEEN_BEFORE = 0x8000;

interface StepExports {
  init(): void;
  step(which: number, n: number, nowMs: number): void;
  sweep(nowMs: number, lines: number): number;
}

/** One connection as one of its lines has it, from when it is opened until it is taken away. */
interface Known {
  readonly id: number;
  readonly key: string;
  readonly rewritten: string;
  state: number;
}

interface Running {
  readonly node: Harness;
  readonly steps: StepExports;
  batch: readonly (Fed & { readonly key: string })[];
  next: number;
  /** Lines that were taken away before it began. */
  since: number;
  /** The image it began under. */
  generation: number;
  /** By packet: the connection it was found for, once it was looked up. */
  held: readonly (Known | undefined)[];
}

const module = await WebAssembly.compile(readFileSync(buildAssembly('steps')));

/** Addresses, ports and protocol in the order of a session line. */
function lineKey(view: DataView, at: number): string {
  const word = (offset: number): number => view.getUint32(at + offset, true);
  return [word(L.S_SRC), word(L.S_DST), word(L.S_PORTS), view.getUint8(at + L.S_PROTOCOL)].join(' ');
}

function lineRewrites(view: DataView, at: number): string {
  const word = (offset: number): number => view.getUint32(at + offset, true);
  return [word(L.S_NEW_SRC), word(L.S_NEW_DST), word(L.S_NEW_PORTS), view.getUint8(at + L.S_PROTOCOL)].join(
    ' ',
  );
}

/** The same of an Ethernet frame with TCP or UDP. */
function frameKey(frame: Uint8Array): string {
  const view = new DataView(frame.buffer, frame.byteOffset);
  const word = (offset: number): number => view.getUint32(offset, true);
  return [word(26), word(30), word(34), frame[23]].join(' ');
}

class Observer {
  #ids = 0;
  /** By line. */
  readonly lines = new Map<number, Known>();

  constructor(readonly node: Harness) {}

  /** Looks at the whole table; returns the lines of connections whose state is another one than before. */
  look(): Known[] {
    const { view, sessionsBase, sessionsLog2 } = this.node;
    const changed: Known[] = [];
    const keys = new Set<string>();
    for (let i = 0; i < 2 ** sessionsLog2; i++) {
      const at = sessionsBase + i * L.SESSION_SIZE;
      if (view.getUint32(at + L.S_SRC, true) === 0) {
        this.lines.delete(at);
        continue;
      }
      const key = lineKey(view, at);
      assert.not(keys.has(key), `two lines for ${key}`);
      keys.add(key);
      const peer = view.getUint32(at + L.S_PEER, true);
      assert.is(view.getUint32(peer + L.S_PEER, true), at, 'each line is the other one of its other one');
      const flags = view.getUint16(at + L.S_FLAGS, true);
      const state = view.getUint8(at + L.S_STATE);
      assert.is(view.getUint8(peer + L.S_STATE), state);
      const known = this.lines.get(at);
      if (known !== undefined && (flags & SEEN_BEFORE) !== 0) {
        assert.is(lineRewrites(view, at), known.rewritten, 'a connection keeps its translation');
        if (known.state !== state) changed.push(known);
        known.state = state;
        continue;
      }
      view.setUint16(at + L.S_FLAGS, flags | SEEN_BEFORE, true);
      this.lines.set(at, { id: ++this.#ids, key, rewritten: lineRewrites(view, at), state });
    }
    return changed;
  }

  /** How many lines were taken away so far. */
  taken(): number {
    return this.node.view.getUint32(this.node.sharedBase + L.SH_REMOVALS, true);
  }

  /** Was the line at `at` taken from a connection after so many others? */
  wasTaken(at: number, since: number): boolean {
    const { view, sharedBase } = this.node;
    for (let i = since; i < this.taken(); i++) {
      const note = sharedBase + L.SH_REMOVED + 4 * (i % L.REMOVED_CAPACITY);
      if (view.getUint32(note, true) === at) return true;
    }
    return false;
  }
}

const BACKENDS = [
  { ip: N.POD2_IP, port: 8080, id: 101 },
  { ip: '203.0.113.9', port: 8080, id: 102 },
  { ip: N.POD1_IP, port: 8080, id: 103 },
];

function image(generation: number, backends: readonly (typeof BACKENDS)[number][]): ImageSpec {
  const base = generation % 2 === 0 ? S.nodeImage6() : swapped(S.nodeImage6());
  const frontends = [TCP, UDP].map((protocol) => ({ ip: N.VIP, port: 80, protocol }));
  const snat = { ip: N.NODE_IP, first: 40_000, last: 40_015 };
  return { ...base, generation, snat, services: [{ frontends, backends: [...backends] }] };
}

/** The same, with the places of the two pods' adjacencies changed: who mixes two images sends to the wrong one. */
function swapped(spec: ImageSpec): ImageSpec {
  const [one, two, ...others] = spec.adjacencies;
  const value = (space: number, old: number): number =>
    (space === L.SPACE_MAIN || space === L.SPACE_POD) && (old === 1 || old === 2) ? 3 - old : old;
  const prefixes = spec.prefixes.map((prefix) => ({ ...prefix, value: value(prefix.space, prefix.value) }));
  return { ...spec, adjacencies: [two, one, ...others] as ImageSpec['adjacencies'], prefixes };
}

/** Packets of a few flows from both pods, and answers to what left: so few that all workers have to do with each. */
class Traffic {
  readonly #left: Sent[] = [];

  constructor(readonly random: Random) {}

  note(sent: Sent): void {
    if (sent.outcome > L.OUT_FORWARD_HOST || sent.outcome === L.OUT_FORWARD_TUNNEL) return;
    this.#left.push(sent);
    if (this.#left.length > 30) this.#left.shift();
  }

  next(): Fed & { readonly key: string } {
    const { random } = this;
    const answered = random.chance(0.5) ? random.pick(this.#left.length === 0 ? [null] : this.#left) : null;
    const fed = answered === null ? this.#spoken() : this.#answer(answered);
    return { ...fed, key: frameKey(fed.frame) };
  }

  #spoken(): Fed {
    const { random } = this;
    const port = random.pick([N.POD1, N.POD2]);
    const src = port === N.POD1 ? N.POD1_IP : N.POD2_IP;
    const [dst, dport] = random.pick([
      [N.VIP, 80],
      [N.VIP, 80],
      [N.OUTSIDE, 443],
      [port === N.POD1 ? N.POD2_IP : N.POD1_IP, 8080],
    ] as const);
    return {
      port,
      frame: N.fromPod(port, this.#packet(N.flow(src, 5000 + random.below(8), dst, dport), true)),
    };
  }

  #answer(sent: Sent): Fed {
    const seen = read(sent.frame);
    const back = N.flow(seen.ip.dst, seen.dport, seen.ip.src, seen.sport);
    const packet = this.#packet(back, false, seen.ip.protocol);
    if (sent.port === N.UPLINK) return { port: N.UPLINK, frame: N.fromUplink(packet) };
    const port = sent.port === N.POD1 ? N.POD1 : N.POD2;
    return { port, frame: N.fromPod(port, packet) };
  }

  #packet(flow: Flow, opens: boolean, protocol = this.random.pick([TCP, TCP, UDP])): Uint8Array {
    if (protocol === UDP) return N.udpPacket(flow);
    const forth = [SYN, SYN, ACK, ACK, FIN | ACK, RST];
    return N.tcpPacket(flow, this.random.pick(opens ? forth : [SYN | ACK, ACK, FIN | ACK, RST]));
  }
}

class Model {
  readonly random: Random;
  readonly workers: Workers;
  readonly running: readonly Running[];
  readonly observer: Observer;
  readonly traffic: Traffic;
  readonly outcomes = new Map<number, number>();
  #generation = 2;

  constructor(seed: number, count: number, sessionsLog2: number) {
    this.random = new Random(seed);
    this.workers = startWorkers(image(2, BACKENDS), { count, seed, sessionsLog2, sessions6Log2: 4 });
    this.running = this.workers.all.map((node) => ({
      node,
      steps: stepsOf(node),
      batch: [],
      next: 0,
      since: 0,
      generation: 0,
      held: [],
    }));
    this.observer = new Observer(this.workers.at(0));
    this.traffic = new Traffic(this.random);
    this.observer.look();
  }

  run(turns: number): void {
    for (let turn = 0; turn < turns; turn++) {
      if (this.random.chance(0.03)) this.#publish();
      if (this.random.chance(0.05)) this.workers.now += this.random.below(10_000);
      const one = this.random.pick(this.running);
      if (one.next === 0 && this.random.chance(0.05)) this.#rest(one);
      else this.#advance(one);
    }
  }

  #publish(): void {
    // As the control plane does, which waits until nobody uses the image that it writes.
    if (this.running.some(({ next, generation }) => next !== 0 && generation !== this.#generation)) return;
    this.#generation++;
    const backends = BACKENDS.filter(() => this.random.chance(0.7));
    this.workers.publish(image(this.#generation, backends));
  }

  /** Between its batches a worker ages connections, or dies and comes back. */
  #rest({ steps, node }: Running): void {
    if (this.random.chance(0.5)) steps.init();
    else steps.sweep(node.now, 8);
    this.observer.look();
  }

  #advance(one: Running): void {
    const { node, steps } = one;
    if (one.next === 0) {
      one.batch = Array.from({ length: 1 + this.random.below(4) }, () => this.traffic.next());
      for (const [i, fed] of one.batch.entries()) node.place(i, fed);
      one.since = this.observer.taken();
      one.generation = this.#generation;
    }
    steps.step(one.next, one.batch.length, node.now);
    const changed = this.observer.look();
    // All it knows of lines it has now; a later step of another worker may take any of them away.
    if (one.next === 2) one.held = one.batch.map((_, i) => this.#heldBy(node, i));
    if (one.next !== 2 && one.next < 5) this.#mayChange(one, changed);
    one.next = (one.next + 1) % STEPS;
    if (one.next === 0) for (const [i] of one.batch.entries()) this.#leaves(one, i);
  }

  #heldBy(node: Harness, i: number): Known | undefined {
    const outcome = node.view.getUint32(L.VECTOR_BASE + i * L.VECTOR_SIZE + L.V_OUTCOME, true);
    return outcome === 0 ? this.observer.lines.get(sessionOf(node, i)) : undefined;
  }

  /** A state changes by a packet of that very connection. */
  #mayChange(one: Running, changed: readonly Known[]): void {
    const { view } = this.workers.at(0);
    const own = new Set<number>();
    for (const [at, known] of this.observer.lines) {
      if (!one.held.some((held) => held?.id === known.id)) continue;
      own.add(known.id);
      const other = this.observer.lines.get(view.getUint32(at + L.S_PEER, true));
      if (other !== undefined) own.add(other.id);
    }
    for (const known of changed) {
      assert.is(one.next, 3, 'only forwarding changes states');
      assert.ok(own.has(known.id), `the state of ${known.key} was changed by none of its packets`);
    }
  }

  #leaves(one: Running, i: number): void {
    const sent = one.node.result(i);
    const fed = one.batch[i];
    this.outcomes.set(sent.outcome, (this.outcomes.get(sent.outcome) ?? 0) + 1);
    const held = one.held[i];
    if (sent.outcome === L.DROP_WORKERS) {
      assert.ok(
        this.observer.wasTaken(sessionOf(one.node, i), one.since),
        'dropped although nobody took its line',
      );
      return;
    }
    if (sent.outcome > L.OUT_FORWARD_HOST) return;
    assert.ok(held !== undefined, 'left without a connection');
    assert.is(held?.key, fed?.key, 'left by the line of another tuple');
    assert.is(frameKey(sent.frame), held?.rewritten, 'left otherwise than its connection says');
    const seen = read(sent.frame);
    if (sent.outcome === L.OUT_FORWARD_POD) assert.is(sent.port, seen.ip.dst === N.POD1_IP ? N.POD1 : N.POD2);
    assert.ok(seen.ip.headerGood && seen.l4Good);
    this.traffic.note(sent);
  }
}

/** The line that packet `i` of the vector was found to have. */
function sessionOf(node: Harness, i: number): number {
  return node.view.getUint32(L.VECTOR_BASE + i * L.VECTOR_SIZE + L.V_SESSION, true);
}

function stepsOf(node: Harness): StepExports {
  const instance = new WebAssembly.Instance(module, { env: { memory: node.memory } });
  const steps = instance.exports as unknown as StepExports;
  steps.init();
  return steps;
}

for (const count of [2, 3, 4]) {
  law(
    `${count} workers step by step: every packet belongs to one connection, and no late step to another one`,
    () => {
      const outcomes = new Map<number, number>();
      let evicted = 0;
      for (let seed = 1; seed <= SEEDS; seed++) {
        const model = new Model(seed, count, 4 + (seed % 3));
        model.run(3000);
        for (const [outcome, n] of model.outcomes) outcomes.set(outcome, (outcomes.get(outcome) ?? 0) + n);
        for (const node of model.workers.all) evicted += node.sessionStat(L.SS_EVICTED);
        assert.is(model.workers.active() * 2, model.observer.lines.size);
        for (const node of model.workers.all) node.checkGaps();
      }
      // The laws are worth nothing if what they speak of does not happen.
      assert.ok(evicted > 500, `${evicted} were evicted`);
      assert.ok((outcomes.get(L.DROP_WORKERS) ?? 0) > 20, `${outcomes.get(L.DROP_WORKERS)} were dropped`);
      assert.ok((outcomes.get(L.OUT_FORWARD_POD) ?? 0) > 2000, `${outcomes.get(L.OUT_FORWARD_POD)} to pods`);
      assert.ok(
        (outcomes.get(L.OUT_FORWARD_UPLINK) ?? 0) > 500,
        `${outcomes.get(L.OUT_FORWARD_UPLINK)} left`,
      );
    },
  );
}

test.run();
