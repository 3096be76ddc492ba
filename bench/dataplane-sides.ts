/**
 * One scenario on both sides: the pipeline in WebAssembly and its peer in C start from the same bytes, get the same packets,
 * must leave the same bytes behind, and are then timed in turns, so that a disturbance meets both.
 */
import { closeSync, existsSync, openSync, readFileSync, rmSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import * as L from '../dataplane-as/layout/index.js';
import type { Harness, HarnessOptions } from '../test/pipeline/harness.js';
import type { Feed, Packets } from './dataplane-passes.js';
import { preferHugePages } from './huge-pages.js';
import type { Peer } from './peers/peer.js';
import type { Scenario } from './pipeline-scenarios.js';

/** Bytes between two prepared packets at most (dataplane-as/bench/feed.ts). */
const RECORD = 128;
/** Bytes from one frame to the next: the data plane's default. */
export const FRAME_SPACING = 2048 + L.FRAME_GAP;
/** How often a stage alone works on a vector before it gets the next (dataplane-as/bench/stages.ts). */
const REPEATS = 8;
/** The stages that `run` may stop after; 0 = the feed alone. */
export const STAGES = ['feed', 'parse', 'hash', 'lookup', 'forward', 'output', 'tally'] as const;
export const LAST = STAGES.length - 1;

type Loops = typeof import('./dataplane-passes.js');
let loaded = 0;

/** Loads the loops anew: dataplane-passes.ts says why. */
function freshLoops(): Promise<Loops> {
  loaded++;
  return import(`./dataplane-passes.js?${loaded}`);
}

interface StageExports {
  init(): void;
  feed: Feed;
  feedReset(): void;
  clear(from: number, to: number): void;
  keep(
    batches: number,
    n: number,
    before: number,
    source: number,
    flows: number,
    frames: number,
    size: number,
    length: number,
    port: number,
    now: number,
    kept: number,
  ): void;
  again(
    rounds: number,
    last: number,
    works: boolean,
    kept: number,
    count: number,
    n: number,
    now: number,
  ): void;
}

export class Sides {
  readonly #stages: StageExports;
  readonly #loops: Loops;
  readonly #file: string;
  /** Another process took the core while one of the sides was timed; for the caller to reset. */
  disturbed = false;
  /** Which packets are prepared. */
  #written: boolean | null = null;
  /** All packets of a scenario have one length and come by one port. */
  readonly #length: number;
  readonly #port: number;

  private constructor(
    readonly node: Harness,
    readonly scenario: Scenario,
    readonly flows: number,
    stages: WebAssembly.Module,
    readonly peer: Peer | null,
    /** Both sides' memory is of huge pages. */
    readonly huge: boolean,
    loops: Loops,
  ) {
    this.#loops = loops;
    const instance = new WebAssembly.Instance(stages, { env: { memory: node.memory } });
    this.#stages = instance.exports as unknown as StageExports;
    const folder = existsSync('/dev/shm') ? '/dev/shm' : tmpdir();
    const { frame, port } = scenario.packet(0, true);
    this.#length = frame.length;
    this.#port = port;
    this.#file = `${folder}/pteropus-bench-${process.pid}.mem`;
  }

  /** Opens every connection on both sides, compares what they did, and makes the connections established. */
  static async start(
    make: (options: HarnessOptions) => Harness,
    scenario: Scenario,
    flows: number,
    stages: WebAssembly.Module,
    peer: Peer | null,
  ): Promise<Sides> {
    const sides = await Sides.#inNewMemory(make, scenario, flows, stages, peer);
    const { node } = sides;
    sides.#write(true);
    await sides.#share();
    const batches = sides.#vectors;
    await sides.#both(batches);
    await sides.#compare('new connections');
    sides.#establish();
    // With many flows some windows are full and a few connections are opened again, which takes a SYN.
    if (flows <= 10_000) sides.#write(false);
    sides.#stages.feedReset();
    await sides.#share();
    await sides.#both(batches);
    await sides.#compare('established connections');
    // A few windows of the table are full; what was taken there is opened again.
    const missing = flows - node.sessionStat(L.SS_ACTIVE);
    if (missing > flows / 100) throw new Error(`${scenario.name}: ${missing} connections are missing`);
    sides.#warm();
    return sides;
  }

  /** The same packets and connections in other memory, on both sides. */
  async moved(
    make: (options: HarnessOptions) => Harness,
    stages: WebAssembly.Module,
    peer: Peer | null,
  ): Promise<Sides> {
    const sides = await Sides.#inNewMemory(make, this.scenario, this.flows, stages, peer);
    sides.node.bytes.set(this.node.bytes);
    sides.#written = this.#written;
    await sides.#share();
    sides.#warm();
    return sides;
  }

  static async #inNewMemory(
    make: (options: HarnessOptions) => Harness,
    scenario: Scenario,
    flows: number,
    stages: WebAssembly.Module,
    peer: Peer | null,
  ): Promise<Sides> {
    let huge = false;
    const prepare = (bytes: Uint8Array): void => {
      huge = preferHugePages(bytes);
    };
    const sessionsLog2 = flows > 100_000 ? 22 : flows > 10_000 ? 19 : 18; // 18 is the data plane's default
    const kept = Math.ceil(flows / L.BATCH) * L.BATCH * L.VECTOR_SIZE;
    const node = make({ sessionsLog2, sessions6Log2: 4, extraBytes: flows * RECORD + kept, prepare });
    scenario.prepare(node);
    const sides = new Sides(node, scenario, flows, stages, peer, huge, await freshLoops());
    sides.#stages.init();
    return sides;
  }

  /** Prepared packets: those that open connections, or those that follow. */
  #write(opening: boolean): void {
    const { node } = this;
    if (this.#written === opening) return;
    this.#written = opening;
    const record = this.#length > 64 ? RECORD : 64;
    for (let i = 0; i < this.flows; i++) {
      const { frame, port } = this.scenario.packet(i, opening);
      if (frame.length !== this.#length || port !== this.#port) throw new Error('packets of several kinds');
      node.bytes.set(frame, node.extraBase + i * record);
    }
  }

  /** Connections see no answer here; what is measured is those that did. */
  #establish(): void {
    const { node } = this;
    for (let i = 0; i < 1 << node.sessionsLog2; i++) {
      const line = node.sessionsBase + i * L.SESSION_SIZE;
      if (node.view.getUint32(line, true) !== 0) node.bytes[line + L.S_STATE] = L.ST_ESTABLISHED;
    }
  }

  async #share(): Promise<void> {
    if (this.peer === null) return;
    const file = openSync(this.#file, 'w', 0o600);
    const { bytes } = this.node;
    for (let at = 0; at < bytes.length; )
      at += writeSync(file, bytes, at, Math.min(bytes.length - at, 1 << 26));
    closeSync(file);
    await this.peer.ask(`load ${this.huge ? 'huge' : 'small'} ${this.#file}`);
    rmSync(this.#file);
  }

  async #both(batches: number): Promise<void> {
    this.wasm(LAST, batches);
    await this.native(LAST, batches);
  }

  /** Everything but the modules' own static data must be equal: packets, vector, sessions, counters. */
  #compare(what: string): Promise<void> {
    return this.#equal(what, L.CONTROL_BASE, this.node.extraBase);
  }

  async #equal(what: string, from: number, to: number): Promise<void> {
    if (this.peer === null) return;
    await this.peer.ask(`save ${this.#file} ${from} ${to}`);
    const theirs = readFileSync(this.#file);
    rmSync(this.#file);
    const ours = Buffer.from(this.node.memory.buffer, from, theirs.length);
    if (ours.equals(theirs)) return;
    const at = ours.findIndex((byte, i) => byte !== theirs[i]);
    throw new Error(`${this.scenario.name}, ${what}: the peer differs at ${(from + at).toString(16)}`);
  }

  /** Nanoseconds a packet in WebAssembly: the pipeline as it is delivered, or (`last` 0) the feed alone, entered from JavaScript. */
  wasm(last: 0 | typeof LAST, batches: number): number {
    return this.#timed(batches, () => this.#passes(last, batches, L.BATCH));
  }

  #passes(last: 0 | typeof LAST, batches: number, n: number): void {
    const { node, flows } = this;
    const [frames, length, port] = [node.frameAt(0), this.#length, this.#port];
    const packets: Packets = [node.extraBase, flows, n, frames, FRAME_SPACING, length, port];
    this.#loops.passes(
      this.#stages.feed,
      last === 0 ? null : node.exports.process,
      batches,
      packets,
      node.now,
    );
  }

  /** Runs the loops in JavaScript until V8 has optimised them, as a worker's is soon. Batches without packets change nothing. */
  #warm(): void {
    for (let i = 0; i < 100; i++) {
      this.#passes(0, 1000, 0);
      this.#passes(LAST, 1000, 0);
      this.wasmEmpty(1000);
    }
    this.disturbed = false;
  }

  /** Keeps the vectors that a stage finds, on both sides, as many as hold all flows; they must be equal. */
  async keep(stage: number): Promise<void> {
    const { node, flows } = this;
    this.#stages.feedReset();
    this.#stages.keep(
      this.#vectors,
      L.BATCH,
      stage,
      node.extraBase,
      flows,
      node.frameAt(0),
      FRAME_SPACING,
      this.#length,
      this.#port,
      node.now,
      this.#keptBase,
    );
    if (this.peer === null) return;
    const kept = this.#keptBase;
    await this.peer.ask(`${this.#command('keep', this.#vectors, L.BATCH, stage)} ${kept}`);
    await this.#equal(`what ${STAGES[stage]} finds`, kept, kept + this.#vectors * L.BATCH * L.VECTOR_SIZE);
  }

  /** Nanoseconds a packet of a stage over kept vectors, as often as makes some `batches`; without `works`, of making these ready alone. */
  wasmAgain(stage: number, works: boolean, batches: number): number {
    const again = (rounds: number) =>
      this.#stages.again(rounds, stage, works, this.#keptBase, this.#vectors, L.BATCH, this.node.now);
    // What the stage needs is in the cache by then.
    again(1);
    const rounds = this.#rounds(batches);
    return this.#timed(rounds * this.#vectors * REPEATS, () => again(rounds));
  }

  #rounds(batches: number): number {
    return Math.ceil(batches / this.#vectors / REPEATS);
  }

  /** Passes without packets, each from JavaScript. */
  wasmEmpty(batches: number): number {
    const { node } = this;
    return this.#timed(batches, () => this.#loops.emptyPasses(node.exports.process, batches, node.now));
  }

  /** Nanoseconds a packet of full batches. */
  #timed(batches: number, work: () => void): number {
    const switches = process.resourceUsage().involuntaryContextSwitches;
    const start = process.hrtime.bigint();
    work();
    const time = Number(process.hrtime.bigint() - start);
    if (process.resourceUsage().involuntaryContextSwitches !== switches) this.disturbed = true;
    return time / batches / L.BATCH;
  }

  /** The first `last` stages in C. */
  native(last: number, batches: number): Promise<number> {
    return this.#ask('run', batches, L.BATCH, last);
  }

  /** Passes without packets in C. */
  nativeEmpty(batches: number): Promise<number> {
    return this.#ask('run', batches, 0, LAST);
  }

  /** The same in C. */
  async nativeAgain(stage: number, works: boolean, batches: number): Promise<number> {
    if (this.peer === null) return Number.NaN;
    const rest = `${stage} ${works ? 1 : 0} ${this.#keptBase} ${this.#vectors} ${L.BATCH} ${this.node.now}`;
    await this.peer.ask(`again 1 ${rest}`);
    const rounds = this.#rounds(batches);
    return (
      this.#noted(await this.peer.ask(`again ${rounds} ${rest}`)) /
      (rounds * this.#vectors * REPEATS) /
      L.BATCH
    );
  }

  async #ask(command: string, batches: number, n: number, last: number, passes = 1): Promise<number> {
    if (this.peer === null) return Number.NaN;
    const time = this.#noted(await this.peer.ask(this.#command(command, batches, n, last)));
    return time / batches / L.BATCH / passes;
  }

  #command(command: string, batches: number, n: number, last: number): string {
    const { node, flows } = this;
    const packets = `${node.extraBase} ${flows} ${node.frameAt(0)} ${FRAME_SPACING} ${this.#length} ${this.#port}`;
    return `${command} ${batches} ${n} ${last} ${packets} ${node.now}`;
  }

  /** The time that the peer answered. */
  #noted(answer: string): number {
    const [time, switches] = answer.split(' ').map(Number);
    if (switches !== 0) this.disturbed = true;
    return time ?? Number.NaN;
  }

  /** The packets from now on are those that open connections. */
  prepareOpening(): void {
    this.#write(true);
  }

  /** All connections anew in `passes` passes, each over an empty table, after one that is not timed. */
  wasmOpening(passes: number, batches: number): number {
    let sum = 0;
    for (let pass = 0; pass <= passes; pass++) {
      this.#stages.clear(this.node.sessionsBase, this.#sessionsEnd);
      this.#stages.feedReset();
      const disturbed = this.disturbed;
      const time = this.wasm(LAST, batches);
      if (pass > 0) sum += time;
      else this.disturbed = disturbed;
    }
    return sum / passes;
  }

  /** The same in C. */
  nativeOpening(passes: number, batches: number): Promise<number> {
    const command = `open ${passes} ${this.node.sessionsBase} ${this.#sessionsEnd}`;
    return this.#ask(command, batches, L.BATCH, LAST, passes);
  }

  /** Vectors that hold all flows. */
  get #vectors(): number {
    return Math.ceil(this.flows / L.BATCH);
  }

  /** Where they are kept: behind the prepared packets. */
  get #keptBase(): number {
    return this.node.extraBase + this.flows * RECORD;
  }

  get #sessionsEnd(): number {
    return this.node.sessionsBase + (L.SESSION_SIZE << this.node.sessionsLog2);
  }
}
