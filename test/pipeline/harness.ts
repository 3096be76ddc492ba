/** Runs the pipeline on hand-made packets: memory, image, feed and look at what came out. */
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import * as L from '../../dataplane-as/layout/index.js';
import { type ImageSpec, ImageWriter } from './image.js';
import { ip } from './words.js';

/** The compiled pipeline; tests run from build/js. */
export const WASM_PATH = fileURLToPath(new URL('../../../dataplane.wasm', import.meta.url));

export const PIPELINE = await WebAssembly.compile(readFileSync(WASM_PATH));

export interface PipelineExports {
  init(): void;
  process(n: number, nowMs: number): void;
  sweep(nowMs: number, lines: number): number;
  buildArp(at: number, address: number, port: number): number;
  neighborKnown(address: number, port: number): number;
  refreshNeighbor(at: number, nowMs: number, count: number): number;
  askedAddress6(): number;
  neighborKnown6(port: number): number;
  buildSolicitation(at: number, port: number): number;
  refreshNeighbor6(at: number, nowMs: number, count: number): number;
}

export interface Sent {
  readonly outcome: number;
  /** Port it leaves by, null = dropped or consumed. */
  readonly port: number | null;
  readonly frame: Uint8Array;
}

export interface Fed {
  readonly port: number;
  readonly frame: Uint8Array;
  /** Bytes in the first buffer, when the packet has more than one. */
  readonly first?: number;
}

const IMAGE_SIZE = 0x80000;
const FRAME_SIZE = 4096;
const FRAMES = L.VECTOR_CAPACITY;
/** Between regions; must stay as it is. */
const GAP = 4096;
const CANARY = 0xa5;

export interface HarnessOptions {
  readonly sessionsLog2?: number;
  /** As many lines as for IPv4 when absent. */
  readonly sessions6Log2?: number;
  /** Bytes of each of the two images. */
  readonly imageSize?: number;
  /** Memory behind all regions, for the caller's own use. */
  readonly extraBytes?: number;
  /** One of several workers: which, and of how many (workers.ts). */
  readonly worker?: { readonly index: number; readonly count: number };
  /** Gets the memory before it is first touched. */
  readonly prepare?: (bytes: Uint8Array) => void;
}

export class Harness {
  readonly memory: WebAssembly.Memory;
  readonly exports: PipelineExports;
  readonly bytes: Uint8Array;
  readonly view: DataView;
  /** What several workers share beside images and sessions; 0 = nothing is shared. */
  readonly sharedBase: number;
  readonly sessionsBase: number;
  readonly sessionsLog2: number;
  readonly sessions6Log2: number;
  readonly sessions6Base: number;
  readonly framesBase: number;
  readonly extraBase: number;
  readonly frameSize = FRAME_SIZE;
  readonly imageSize: number;
  /** The clock, milliseconds. */
  now = 1_000_000;
  #active = 0;

  constructor(options: HarnessOptions = {}) {
    this.sessionsLog2 = options.sessionsLog2 ?? 12;
    this.sessions6Log2 = options.sessions6Log2 ?? this.sessionsLog2;
    this.imageSize = options.imageSize ?? IMAGE_SIZE;
    const imagesEnd = L.IMAGES_BASE + 2 * this.imageSize;
    const { count = 1 } = options.worker ?? {};
    this.sharedBase = count === 1 ? 0 : imagesEnd;
    this.sessionsBase = imagesEnd + (count === 1 ? 0 : L.SH_SIZE) + GAP;
    this.sessions6Base = this.sessionsBase + L.SESSION_SIZE * 2 ** this.sessionsLog2 + GAP;
    const tablesEnd = this.sessions6Base + L.SESSION6_SIZE * 2 ** this.sessions6Log2;
    this.framesBase = Math.ceil((tablesEnd + GAP) / GAP) * GAP;
    this.extraBase = this.framesBase + FRAMES * FRAME_SIZE + GAP;
    const end = this.extraBase + (options.extraBytes ?? 0);
    const pages = Math.ceil(end / 65536);
    this.memory = new WebAssembly.Memory({ initial: pages, maximum: pages, shared: true });
    this.bytes = new Uint8Array(this.memory.buffer);
    options.prepare?.(this.bytes);
    this.view = new DataView(this.memory.buffer);
    this.fillGaps();
    this.#writeControl(pages * 65536, options);
    const instance = new WebAssembly.Instance(PIPELINE, { env: { memory: this.memory } });
    this.exports = instance.exports as unknown as PipelineExports;
    this.exports.init();
  }

  /** Starts of the stretches between regions that nothing may write. */
  gaps(): number[] {
    return [
      this.sessionsBase - GAP,
      this.sessions6Base - GAP,
      this.framesBase - GAP,
      this.framesBase + FRAMES * FRAME_SIZE,
    ];
  }

  fillGaps(): void {
    for (const at of this.gaps()) this.bytes.fill(CANARY, at, at + GAP);
  }

  /** Throws if a byte between regions changed. */
  checkGaps(): void {
    for (const at of this.gaps()) {
      const bad = this.bytes.subarray(at, at + GAP).findIndex((byte) => byte !== CANARY);
      if (bad >= 0) throw new Error(`byte ${at + bad} between regions was written`);
    }
  }

  control(word: number): number {
    return this.view.getUint32(L.CONTROL_BASE + word, true);
  }

  setControl(word: number, value: number): void {
    this.view.setUint32(L.CONTROL_BASE + word, value, true);
  }

  #writeControl(end: number, { worker }: HarnessOptions): void {
    this.setControl(L.CTL_MAGIC, L.LAYOUT_MAGIC);
    this.setControl(L.CTL_VERSION, L.LAYOUT_VERSION);
    this.setControl(L.CTL_IMAGE_SIZE, this.imageSize);
    this.setControl(L.CTL_SESSIONS_BASE, this.sessionsBase);
    this.setControl(L.CTL_SESSIONS_LOG2, this.sessionsLog2);
    this.setControl(L.CTL_SESSIONS6_BASE, this.sessions6Base);
    this.setControl(L.CTL_SESSIONS6_LOG2, this.sessions6Log2);
    this.setControl(L.CTL_FRAMES_BASE, this.framesBase);
    this.setControl(L.CTL_FRAME_SIZE, FRAME_SIZE);
    this.setControl(L.CTL_FRAME_COUNT, FRAMES);
    this.setControl(L.CTL_SEED, 0x12345678);
    this.setControl(L.CTL_MEMORY_END, end);
    this.setControl(L.CTL_WORKERS, worker?.count ?? 1);
    this.setControl(L.CTL_WORKER, worker?.index ?? 0);
    this.setControl(L.CTL_SHARED_BASE, this.sharedBase);
    const timeouts: [number, number][] = [
      [L.CTL_TIMEOUT_TCP_SYN, 30_000],
      [L.CTL_TIMEOUT_TCP_ESTABLISHED, 7_200_000],
      [L.CTL_TIMEOUT_TCP_CLOSING, 60_000],
      [L.CTL_TIMEOUT_UDP, 30_000],
      [L.CTL_TIMEOUT_UDP_STREAM, 180_000],
      [L.CTL_TIMEOUT_ICMP, 30_000],
      [L.CTL_TIMEOUT_SCTP, 300_000],
      [L.CTL_TIMEOUT_OTHER, 60_000],
      [L.CTL_TIMEOUT_FRAGMENT, 5_000],
    ];
    for (const [word, value] of timeouts) this.setControl(word, value);
  }

  /** Writes the spare image and publishes it. */
  publish(spec: ImageSpec): void {
    this.#active = 1 - this.#active;
    const base = L.IMAGES_BASE + this.#active * this.imageSize;
    new ImageWriter(this.memory, base, this.imageSize).write(spec);
    Atomics.store(new Int32Array(this.memory.buffer), this.#activeAt >> 2, base);
  }

  /** Address of the image in force. */
  activeImage(): number {
    return this.view.getUint32(this.#activeAt, true);
  }

  get #activeAt(): number {
    return this.sharedBase === 0 ? L.CONTROL_BASE + L.CTL_ACTIVE_IMAGE : this.sharedBase + L.SH_ACTIVE_IMAGE;
  }

  /** Address where the frame of vector entry `i` starts. */
  frameAt(i: number): number {
    return this.framesBase + i * FRAME_SIZE + 512;
  }

  /** Puts a packet into vector entry `i`. */
  place(i: number, { port, frame, first }: Fed): void {
    const v = L.VECTOR_BASE + i * L.VECTOR_SIZE;
    const at = this.frameAt(i);
    this.bytes.set(first === undefined ? frame : frame.subarray(0, first), at);
    this.view.setUint32(v + L.V_ADDRESS, at, true);
    this.view.setUint32(v + L.V_LENGTH, first ?? frame.length, true);
    this.view.setUint32(v + L.V_TOTAL, frame.length, true);
    this.view.setUint32(v + L.V_RX_PORT, port, true);
    this.view.setUint32(v + L.V_OUTCOME, 0xffff, true);
  }

  /** What became of vector entry `i`. */
  result(i: number): Sent {
    const v = L.VECTOR_BASE + i * L.VECTOR_SIZE;
    const at = this.view.getUint32(v + L.V_ADDRESS, true);
    const length = this.view.getUint32(v + L.V_LENGTH, true);
    const port = this.view.getUint32(v + L.V_TX_PORT, true);
    return {
      outcome: this.view.getUint32(v + L.V_OUTCOME, true),
      port: port === L.PORT_NONE ? null : port,
      frame: this.bytes.slice(at, at + length),
    };
  }

  /** One pass over these packets. */
  feed(...packets: Fed[]): Sent[] {
    for (const [i, packet] of packets.entries()) this.place(i, packet);
    this.exports.process(packets.length, this.now);
    return packets.map((_, i) => this.result(i));
  }

  /** One pass over one packet. */
  one(port: number, frame: Uint8Array): Sent {
    return this.feed({ port, frame })[0] as Sent;
  }

  u64(at: number): number {
    return Number(this.view.getBigUint64(at, true));
  }

  outcomeCount(code: number): number {
    return this.u64(L.OUTCOMES_BASE + code * 8);
  }

  sessionStat(word: number): number {
    return this.u64(L.SESSION_STATS_BASE + word);
  }

  ruleCount(rule: number): number {
    return this.u64(L.RULE_COUNTERS_BASE + rule * 8);
  }

  neighborKnown(address: string, port: number): boolean {
    return this.exports.neighborKnown(ip(address), port) !== 0;
  }
}
