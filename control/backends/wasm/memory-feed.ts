/**
 * A feed without any kernel: named links, each with a station that gets the frames the data plane sends there and may send
 * frames itself. Frames lie in the shared memory as with every feed. Order is kept, queues are bounded, drops are counted;
 * nothing happens but in `step`, so a run is the same each time.
 */
import * as L from '../../../dataplane-as/layout/index.js';
import { PortError } from './errors.js';
import type { Feed, FeedCounters, Link } from './feed.js';
import { bytesOf, type MemoryPlan, wordsOf } from './memory.js';

/** Gets each frame the data plane sends; the bytes are the station's own copy. */
export type Receive = (frame: Uint8Array) => void;

const QUEUE_LIMIT = 4096; // frames waiting on one feed

interface Waiting {
  readonly frame: number;
  readonly length: number;
  readonly port: number;
}

/** The stations of one feed. They outlive the ports: a station may be attached before its interface is there. */
export class MemoryLinks {
  /** Frames the stations sent that were not taken: no such port yet, queue or frames exhausted. */
  refused = 0;
  /** Set by the feed while it is open. */
  sink: ((link: string, frame: Uint8Array) => boolean) | null = null;

  constructor(readonly stations: Map<string, Receive> = new Map()) {}

  /** Attaches the station of a link, in place of one that was there. */
  attach(link: string, receive: Receive): void {
    this.stations.set(link, receive);
  }

  detach(link: string): void {
    this.stations.delete(link);
  }

  /** A frame from the station of a link into the data plane; false (and counted) when it was not taken. */
  send(link: string, frame: Uint8Array): boolean {
    const taken = this.sink?.(link, frame) ?? false;
    if (!taken) this.refused++;
    return taken;
  }
}

export class MemoryFeed implements Feed {
  readonly #words: Uint32Array;
  readonly #bytes: Uint8Array;
  readonly #free: number[] = [];
  readonly #ports = new Map<number, { readonly link: Link; rxDropped: number; txDropped: number }>();
  readonly #portOf = new Map<string, number>();
  #queue: Waiting[] = [];

  /** `wake` is called when a frame waits. */
  constructor(
    memory: WebAssembly.Memory,
    readonly plan: MemoryPlan,
    readonly links: MemoryLinks,
    readonly wake: () => void,
  ) {
    this.#words = wordsOf(memory);
    this.#bytes = bytesOf(memory);
    const step = plan.frameSize + L.FRAME_GAP;
    for (let i = plan.frameCount - 1; i >= 0; i--) this.#free.push(plan.framesBase + i * step);
    links.sink = (link, frame) => this.#take(link, frame);
  }

  openPort(port: number, link: Link): void {
    if (this.#portOf.has(link.name)) {
      throw new PortError('the link is in use by another interface', { object: link.name });
    }
    this.#ports.set(port, { link, rxDropped: 0, txDropped: 0 });
    this.#portOf.set(link.name, port);
  }

  closePort(port: number): void {
    const entry = this.#ports.get(port);
    if (entry === undefined) return;
    this.#ports.delete(port);
    this.#portOf.delete(entry.link.name);
    for (const { frame } of this.#queue.filter((waiting) => waiting.port === port)) this.#free.push(frame);
    this.#queue = this.#queue.filter((waiting) => waiting.port !== port);
  }

  step(transmit: number, _timeoutMicros: number): number {
    this.send(transmit);
    const taken = this.#queue.splice(0, L.BATCH);
    for (const [i, waiting] of taken.entries()) this.#fill(i, waiting.frame, waiting.length, waiting.port);
    return taken.length;
  }

  send(transmit: number): void {
    // Copies leave first: a station may answer at once, and its frame must find room.
    const leaving: [Receive, Uint8Array][] = [];
    for (let i = 0; i < transmit; i++) this.#leave(i, leaving);
    for (const [receive, frame] of leaving) receive(frame);
  }

  inject(at: number, bytes: Uint8Array, port: number): boolean {
    const frame = this.#store(bytes);
    if (frame === null) return false;
    this.#fill(at, frame, bytes.length, L.PORT_NONE);
    this.#words[lineOf(at) + L.V_TX_PORT / 4] = port;
    return true;
  }

  counters(port: number): FeedCounters {
    const { rxDropped = 0, txDropped = 0 } = this.#ports.get(port) ?? {};
    return { rxDropped, txDropped };
  }

  /** True if a step would receive something. */
  get pending(): boolean {
    return this.#queue.length > 0;
  }

  close(): void {
    this.links.sink = null;
    this.#ports.clear();
    this.#portOf.clear();
    this.#queue = [];
  }

  #take(link: string, frame: Uint8Array): boolean {
    const port = this.#portOf.get(link);
    const entry = port === undefined ? undefined : this.#ports.get(port);
    if (port === undefined || entry === undefined) return false;
    const at = this.#queue.length < QUEUE_LIMIT ? this.#store(frame) : null;
    if (at === null) {
      entry.rxDropped++;
      return false;
    }
    this.#queue.push({ frame: at, length: frame.length, port });
    this.wake();
    return true;
  }

  /** Copies a frame behind the headroom of a free one; null when none is free or it is too long. */
  #store(bytes: Uint8Array): number | null {
    if (bytes.length > this.plan.frameSize - L.HEADROOM) return null;
    const frame = this.#free.pop();
    if (frame === undefined) return null;
    this.#bytes.set(bytes, frame + L.HEADROOM);
    return frame;
  }

  #fill(at: number, frame: number, length: number, port: number): void {
    const line = lineOf(at);
    const words = this.#words;
    words[line + L.V_ADDRESS / 4] = frame + L.HEADROOM;
    words[line + L.V_LENGTH / 4] = length;
    words[line + L.V_TOTAL / 4] = length;
    words[line + L.V_RX_PORT / 4] = port;
    words[line + L.V_TX_PORT / 4] = L.PORT_NONE;
    words[line + L.V_HANDLE / 4] = frame;
    words[line + L.V_FLAGS / 4] = 0;
    words[line + L.V_OUTCOME / 4] = 0;
  }

  #leave(at: number, leaving: [Receive, Uint8Array][]): void {
    const line = lineOf(at);
    const port = this.#words[line + L.V_TX_PORT / 4] ?? L.PORT_NONE;
    const frame = this.#words[line + L.V_HANDLE / 4] ?? 0;
    const entry = this.#ports.get(port);
    if (entry !== undefined) {
      const address = this.#words[line + L.V_ADDRESS / 4] ?? 0;
      const length = this.#words[line + L.V_LENGTH / 4] ?? 0;
      const receive = this.links.stations.get(entry.link.name);
      if (receive === undefined) entry.txDropped++;
      else leaving.push([receive, this.#bytes.slice(address, address + length)]);
    }
    this.#free.push(frame);
  }
}

function lineOf(at: number): number {
  return (L.VECTOR_BASE + at * L.VECTOR_SIZE) >>> 2;
}
