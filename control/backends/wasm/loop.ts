/**
 * What the thread that runs the pipeline does besides packets: ages sessions and keeps next hops resolved, so that a tunnel's
 * or gateway's first packet is not lost to the question for it. The same for every feed; allocates nothing but for such questions.
 */
import * as L from '../../../dataplane-as/layout/index.js';
import type { Feed } from './feed.js';
import { activeImageAt, type MemoryPlan, wordsOf } from './memory.js';
import type { Pipeline } from './pipeline.js';
import type { Neighbor } from './routes.js';

const ASK_EVERY_MS = 500; // a neighbor that is not known
const REFRESH_EVERY_MS = 15_000; // one that is
/** Neighbors looked through for one to refresh each time. */
const REFRESH_LINES = L.NEIGHBOR_CAPACITY / 8;
const REFRESH_LINES6 = L.NEIGHBOR6_CAPACITY / 8;
const BLANK = new Uint8Array(42); // Ethernet and ARP
const BLANK6 = new Uint8Array(86); // Ethernet and a neighbor solicitation
const SWEEP_EVERY_MS = 100;
/** The whole session table is aged once in this time. */
const SWEEP_ROUND_MS = 5_000;

interface Asked {
  readonly neighbor: Neighbor;
  next: number;
}

export class PipelineLoop {
  readonly #words: Uint32Array;
  readonly #activeWord: number;
  #asked: Asked[] = [];
  #nextSweep = 0;
  #nextAsk = 0;
  /** Entries of the vector that wait for transmission. */
  #filled = 0;

  constructor(
    memory: WebAssembly.Memory,
    readonly plan: MemoryPlan,
    public pipeline: Pipeline,
    readonly feed: Feed,
  ) {
    this.#words = wordsOf(memory);
    this.#activeWord = activeImageAt(plan) >>> 2;
  }

  /** Replaces the next hops to keep resolved; new ones are asked for by the next `maintain`. */
  setNeighbors(neighbors: readonly Neighbor[]): void {
    const known = new Map(
      this.#asked.map((asked) => [`${asked.neighbor.port} ${asked.neighbor.address}`, asked]),
    );
    this.#asked = neighbors.map(
      (neighbor) => known.get(`${neighbor.port} ${neighbor.address}`) ?? { neighbor, next: 0 },
    );
    this.#nextAsk = 0;
  }

  /** Sends what the last round left, receives, runs the pipeline. Returns the number of packets received. */
  round(nowMs: number, timeoutMicros: number): number {
    const n = this.feed.step(this.#filled, timeoutMicros);
    this.#filled = n;
    if (n !== 0) this.pipeline.process(n, nowMs);
    return n;
  }

  /** Sends what the last round left, at once. */
  send(): void {
    const n = this.#filled;
    this.#filled = 0;
    if (n !== 0) this.feed.send(n);
  }

  /** True if the last round's answers still have to be sent. */
  get unsent(): boolean {
    return this.#filled > 0;
  }

  /** Between batches: tells the control plane which image is in use, ages sessions, asks for neighbors. */
  maintain(nowMs: number): void {
    const control = L.CONTROL_BASE >>> 2;
    const active = Atomics.load(this.#words, this.#activeWord);
    Atomics.store(this.#words, control + L.CTL_ACK_IMAGE / 4, active);
    if (nowMs >= this.#nextSweep) {
      this.#nextSweep = nowMs + SWEEP_EVERY_MS;
      // Several workers share the table, and the walk over it.
      const rounds = (SWEEP_ROUND_MS / SWEEP_EVERY_MS) * this.plan.workers;
      this.pipeline.sweep(nowMs, Math.ceil(2 ** this.plan.sessionsLog2 / rounds));
    }
    if (nowMs >= this.#nextAsk) this.#ask(nowMs);
  }

  #ask(nowMs: number): void {
    this.#nextAsk = nowMs + ASK_EVERY_MS;
    for (const asked of this.#asked) {
      const { address, port } = asked.neighbor;
      const six = typeof address !== 'number';
      if (six) this.#words.set(address, this.pipeline.askedAddress6() >>> 2);
      const known = six ? this.pipeline.neighborKnown6(port) : this.pipeline.neighborKnown(address, port);
      if (known !== 0 && nowMs < asked.next) continue;
      if (!this.#makeRoom(nowMs, port, six ? BLANK6 : BLANK)) return;
      const length = six
        ? this.pipeline.buildSolicitation(this.#filled, port)
        : this.pipeline.buildArp(this.#filled, address, port);
      if (this.#settle(length)) asked.next = nowMs + REFRESH_EVERY_MS;
    }
    // Neighbors that packets go to and that were not heard of for long.
    if (!this.#makeRoom(nowMs, L.PORT_NONE, BLANK)) return;
    this.#settle(this.pipeline.refreshNeighbor(this.#filled, nowMs, REFRESH_LINES));
    if (this.plan.sessions6Log2 === 0 || !this.#makeRoom(nowMs, L.PORT_NONE, BLANK6)) return;
    this.#settle(this.pipeline.refreshNeighbor6(this.#filled, nowMs, REFRESH_LINES6));
  }

  /** A blank frame as the next entry of the vector, for the pipeline to write a request into. */
  #makeRoom(nowMs: number, port: number, blank: Uint8Array): boolean {
    if (this.#filled === L.VECTOR_CAPACITY) this.round(nowMs, 0);
    return this.feed.inject(this.#filled, blank, port);
  }

  /** Takes the entry into the batch; true if there is a request in it, else its frame is given back with the batch. */
  #settle(length: number): boolean {
    if (length === 0)
      this.#words[(L.VECTOR_BASE + this.#filled * L.VECTOR_SIZE + L.V_TX_PORT) >>> 2] = L.PORT_NONE;
    this.#filled++;
    return length !== 0;
  }

  /** After a trap: gives the frames of the batch back unsent. */
  dropBatch(): void {
    for (let i = 0; i < this.#filled; i++) {
      this.#words[(L.VECTOR_BASE + i * L.VECTOR_SIZE + L.V_TX_PORT) >>> 2] = L.PORT_NONE;
    }
  }
}
