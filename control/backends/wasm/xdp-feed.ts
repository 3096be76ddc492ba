/**
 * The feed over the kernel: adapts the native addon's AF_XDP sockets and TAPs (native/index.ts). Runs in the worker that runs the
 * pipeline.
 */

import * as L from '../../../dataplane-as/layout/index.js';
import { loadNative, type Native, type Netns, type Xdp, type XdpPortSpec } from '../../../native/index.js';
import type { ReceiveMode, SendMode } from '../backend.js';
import type { Feed, FeedCounters, Link } from './feed.js';
import { bytesOf, type MemoryPlan, wordsOf } from './memory.js';

/** Bytes of a packet that is none of bulk data. */
const SMALL = 1024;
export const NO_TAP = -1;

export class XdpFeed implements Feed {
  readonly #native: Native;
  readonly #xdp: Xdp;
  readonly #netns: Netns | null;
  readonly #words: Uint32Array;
  /** Whether a step that waits does so on the core whose packets end its pauses. */
  bound = false;
  /** Ports that are open, or being opened: then it is not known how. */
  readonly #open = new Map<number, ReceiveMode | null>();

  /** By port: 1 = it is a TAP. */
  readonly #taps = new Uint8Array(L.MAX_PORTS);

  /** @param netns path of the network namespace the links are in; null = the process's own */
  constructor(memory: WebAssembly.Memory, plan: MemoryPlan, netns: string | null) {
    const native = loadNative();
    this.#native = native;
    this.#words = wordsOf(memory);
    this.#netns = netns === null ? null : native.openNetns(netns);
    this.#xdp = native.openXdp({
      memory: bytesOf(memory),
      vectorOffset: L.VECTOR_BASE,
      vectorCapacity: L.VECTOR_CAPACITY,
      framesOffset: plan.framesBase,
      frameSize: plan.frameSize,
      frameCount: plan.frameCount,
      batch: L.BATCH,
      worker: this.#words[(L.CONTROL_BASE + L.CTL_WORKER) >>> 2] ?? 0,
      workers: plan.workers,
    });
  }

  /** Makes a waiting `step` return when it is signalled; callable from any thread (native.wake). */
  get wakeFd(): number {
    return this.#xdp.wakeFd;
  }

  openPort(port: number, link: Link): void {
    this.#withSpec(link, (spec) => {
      this.#open.set(port, this.#xdp.addPort(port, spec).mode);
    });
    this.#taps[port] = link.tap === undefined ? 0 : 1;
  }

  /** Same as openPort, in the background: packets of other ports do not wait. The end is told by `opened`. */
  startOpening(port: number, link: Link): void {
    this.#withSpec(link, (spec) => this.#xdp.openPort(port, spec));
    this.#open.set(port, null);
    this.#taps[port] = link.tap === undefined ? 0 : 1;
  }

  /** Ports whose opening ended since the last call; a waiting `step` returns when there is one. */
  opened(): readonly { readonly port: number; readonly error: Error | null }[] {
    const ended = this.#xdp.opened();
    for (const { port, error, mode } of ended) {
      if (error !== null) this.#open.delete(port);
      // One that was closed meanwhile stays closed.
      else if (this.#open.has(port)) this.#open.set(port, mode);
    }
    return ended;
  }

  closePort(port: number): void {
    if (this.#open.delete(port)) this.#xdp.removePort(port);
  }

  step(transmit: number, timeoutMicros: number): number {
    return this.#xdp.step(transmit, timeoutMicros, this.bound);
  }

  send(transmit: number): void {
    this.#xdp.send(transmit);
  }

  /** The TAP that the packet at the vector's begin came from, if it is a small one; else NO_TAP. */
  get smallFromTap(): number {
    const port = this.#smallFrom;
    return this.#taps[port] === 1 ? port : NO_TAP;
  }

  /** The packet at the vector's begin is a small one that came from no TAP. */
  get smallFromLink(): boolean {
    return this.#taps[this.#smallFrom] === 0;
  }

  get #smallFrom(): number {
    const line = L.VECTOR_BASE >>> 2;
    const small = (this.#words[line + L.V_TOTAL / 4] ?? SMALL) < SMALL;
    return small ? (this.#words[line + L.V_RX_PORT / 4] ?? NO_TAP) : NO_TAP;
  }

  inject(at: number, bytes: Uint8Array, port: number): boolean {
    if (!this.#xdp.inject(at, bytes, L.PORT_NONE)) return false;
    this.#words[(L.VECTOR_BASE + at * L.VECTOR_SIZE + L.V_TX_PORT) >>> 2] = port;
    return true;
  }

  counters(port: number): FeedCounters {
    const mode = this.#open.get(port);
    if (mode === undefined) return { rxDropped: 0, txDropped: 0 };
    const { rxDropped, fillEmpty, txFull, invalid } = this.#xdp.counters(port);
    const lost = { rxDropped: rxDropped + fillEmpty, txDropped: txFull + invalid };
    return mode === null ? lost : { ...lost, mode, sends: this.#sends(port, mode) };
  }

  #sends(port: number, mode: ReceiveMode): SendMode {
    if (mode === 'tap') return mode;
    return this.#xdp.injects(port) ? 'batch' : 'xdp';
  }

  /** A TAP is in a namespace of its own; the addon keeps what it needs of it. */
  #withSpec(link: Link, open: (spec: XdpPortSpec) => void): void {
    const { name, mtu, pod, tap } = link;
    if (tap === undefined) {
      open({ netns: this.#netns, link: name, mode: pod === true ? 'copy' : 'auto', mtu });
      return;
    }
    const netns = this.#native.openNetns(tap.netns);
    try {
      open({ netns, link: tap.ifname, mode: 'tap', mtu });
    } finally {
      netns.close();
    }
  }

  close(): void {
    this.#open.clear();
    this.#xdp.close();
    this.#netns?.close();
  }
}
