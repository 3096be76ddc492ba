/**
 * Opens the flows of a case before they are measured: a worker with AF_XDP sockets on the ends of two links sends one packet of each
 * there and its answer back, until all answers came. Its sockets are closed then, so that both ends are plain links again.
 */
import { parentPort, workerData } from 'node:worker_threads';
import * as L from '../../dataplane-as/layout/index.js';
import { loadNative, type Xdp } from '../../native/index.js';
import { answer, answered, type Case, call } from './cases.js';

export interface StationSpec {
  /** Namespace files of the client's and the receiver's end; the link is eth0 in both. */
  readonly client: string;
  readonly exit: string;
  readonly case: Case;
  readonly flows: number;
}

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

  /** The packets of the direction that is counted. */
  run(): readonly Uint8Array[] {
    const { spec } = this;
    const calls = Array.from({ length: spec.flows }, (_, flow) => call(flow, spec.case));
    this.#open(calls);
    this.#xdp.close();
    return spec.case.counted === 'calls' ? calls : [...this.#answers.values()];
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
    this.#entries = this.#xdp.step(this.#entries, micros);
    const received = this.#entries;
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

  #put(frame: Uint8Array, port: number): void {
    if (this.#entries === L.VECTOR_CAPACITY || !this.#xdp.inject(this.#entries, frame, L.PORT_NONE)) return;
    this.#words[(this.#entries * L.VECTOR_SIZE + L.V_TX_PORT) >>> 2] = port;
    this.#entries++;
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

if (parentPort !== null) parentPort.postMessage(new Station(workerData as StationSpec).run());
