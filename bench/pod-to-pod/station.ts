/**
 * The generator: a worker with AF_XDP sockets on the ends of two links. It first opens every flow, one packet there and one back,
 * until all answers came; then it sends the packets of one direction as fast as the kernel takes them. The socket of whoever
 * receives is closed before, so that the receiver is a plain link, whose packets are counted and dropped.
 */
import { parentPort, workerData } from 'node:worker_threads';
import * as L from '../../dataplane-as/layout.js';
import { loadNative, type Xdp } from '../../native/index.js';
import { answer, answered, type Case, call } from './cases.js';

export interface StationSpec {
  /** Namespace files of the client's and the receiver's end; the link is eth0 in both. */
  readonly client: string;
  readonly exit: string;
  readonly case: Case;
  readonly flows: number;
  readonly core: number;
  /** False: nobody answers, so nothing is opened. */
  readonly open: boolean;
  /** How long it sends. */
  readonly millis: number;
}

/** Told when sending starts, and how many packets a second were sent when it ends. */
export type StationReport = { readonly type: 'sending' } | { readonly type: 'sent'; readonly rate: number };

const BATCH = 64;
const PAGES = 400;
const FRAMES_OFFSET = 1 << 20;
const CLIENT_PORT = 0;
const EXIT_PORT = 1;
/** How often all flows without an answer are tried, and how long to wait for answers in between. */
const TRIES = 40;
const PATIENCE_MS = 100;

class Station {
  readonly #memory = new WebAssembly.Memory({ initial: PAGES, maximum: PAGES, shared: true });
  readonly #words = new Uint32Array(this.#memory.buffer);
  readonly #bytes = new Uint8Array(this.#memory.buffer);
  readonly #xdp: Xdp;
  /** Flows whose answer reached the client, and the answers as they were sent. */
  readonly #seen = new Set<number>();
  readonly #answers = new Map<string, Uint8Array>();
  #entries = 0;

  constructor(readonly spec: StationSpec) {
    const native = loadNative();
    native.pinThread(spec.core);
    this.#xdp = native.openXdp({
      memory: this.#bytes,
      vectorOffset: 0,
      vectorCapacity: L.VECTOR_CAPACITY,
      framesOffset: FRAMES_OFFSET,
      frameSize: 2048,
      frameCount: 8192,
      batch: BATCH,
    });
    [spec.client, spec.exit].forEach((path, port) => {
      const netns = native.openNetns(path);
      this.#xdp.addPort(port, { netns, link: 'eth0', mode: 'native', mtu: 1500 });
      netns.close();
    });
  }

  run(report: (report: StationReport) => void): void {
    const { spec } = this;
    const calls = Array.from({ length: spec.flows }, (_, flow) => call(flow, spec.case));
    if (spec.open) this.#open(calls);
    const counted = spec.case.counted === 'calls';
    this.#xdp.removePort(counted ? EXIT_PORT : CLIENT_PORT);
    const frames = counted ? calls : [...this.#answers.values()];
    const settled = performance.now() + PATIENCE_MS;
    while (performance.now() < settled) this.#step(1000);
    report({ type: 'sending' });
    report({ type: 'sent', rate: this.#send(counted ? CLIENT_PORT : EXIT_PORT, frames) });
    this.#xdp.close();
  }

  /** Packets a second that the kernel took. */
  #send(port: number, frames: readonly Uint8Array[]): number {
    const start = performance.now();
    let next = 0;
    let sent = 0;
    let now = start;
    while (now < start + this.spec.millis) {
      for (let i = 0; i < BATCH; i++) {
        if (!this.#put(frames[next]!, port)) break;
        next = next + 1 === frames.length ? 0 : next + 1;
        sent++;
      }
      this.#step(0);
      now = performance.now();
    }
    return ((sent - this.#xdp.counters(port).txFull) * 1000) / (now - start);
  }

  #open(calls: readonly Uint8Array[]): void {
    for (let tries = 0; tries < TRIES && this.#seen.size < calls.length; tries++) {
      let waiting = 0;
      for (const [flow, frame] of calls.entries()) {
        if (this.#seen.has(flow)) continue;
        this.#put(frame, CLIENT_PORT);
        if (++waiting % 16 === 0) this.#exchange(200);
      }
      const until = performance.now() + PATIENCE_MS;
      while (performance.now() < until) this.#exchange(1000);
    }
    if (this.#seen.size < calls.length)
      throw new Error(`${this.#seen.size} of ${calls.length} flows got an answer`);
  }

  /** Sends what waits, and answers what comes out at the other end. */
  #exchange(micros: number): void {
    const received = this.#step(micros);
    // Frames in hand are given back by the next step, so what is put goes behind them.
    for (let i = 0; i < received; i++) {
      const frame = this.#frame(i);
      if (this.#word(i, L.V_RX_PORT) === EXIT_PORT) {
        const back = answer(frame);
        if (back === null) continue;
        this.#answers.set(text(back), back);
        this.#put(back, EXIT_PORT);
      } else {
        const flow = answered(frame, this.spec.flows);
        if (flow >= 0) this.#seen.add(flow);
      }
    }
  }

  #put(frame: Uint8Array, port: number): boolean {
    if (this.#entries === L.VECTOR_CAPACITY || !this.#xdp.inject(this.#entries, frame, L.PORT_NONE))
      return false;
    this.#words[(this.#entries * L.VECTOR_SIZE + L.V_TX_PORT) >>> 2] = port;
    this.#entries++;
    return true;
  }

  #step(micros: number): number {
    this.#entries = this.#xdp.step(this.#entries, micros);
    return this.#entries;
  }

  #word(entry: number, offset: number): number {
    return this.#words[(entry * L.VECTOR_SIZE + offset) >>> 2] ?? 0;
  }

  #frame(entry: number): Uint8Array {
    const address = this.#word(entry, L.V_ADDRESS);
    return this.#bytes.slice(address, address + this.#word(entry, L.V_LENGTH));
  }
}

const text = (frame: Uint8Array): string => Buffer.from(frame).toString('latin1');

if (parentPort !== null) {
  const port = parentPort;
  new Station(workerData as StationSpec).run((report) => port.postMessage(report));
}
