/**
 * Stations on the far ends of veth pairs, over AF_XDP sockets of their own: the test process sends and receives whole frames,
 * and no kernel stack answers in between.
 */
import { setTimeout as wait } from 'node:timers/promises';
import { bytesOf, openMemory, planMemory, wordsOf } from '../../control/backends/wasm/memory.js';
import { XdpFeed } from '../../control/backends/wasm/xdp-feed.js';
import { Random } from '../../control/oracle/random.js';
import * as L from '../../dataplane-as/layout/index.js';

const POLL_MS = 1;
const BATCH = 32;
const SMALL = {
  ...{ adjacencies: 16, lpm4Log2: 4, pairsLog2: 4, policies: 16, trieLines: 64, portLines: 16 },
  ...{ frontendsLog2: 4, services: 16, backends: 16, slots: 16, ranges: 16 },
};

export class XdpStations {
  readonly #feed: XdpFeed;
  readonly #words: Uint32Array;
  readonly #bytes: Uint8Array;
  readonly #receivers: ((frame: Uint8Array) => void)[] = [];
  readonly #ports = new Map<string, number>();
  readonly #waiting: { readonly port: number; readonly frame: Uint8Array }[] = [];
  readonly #random = new Random(1);
  #open = true;
  readonly #ended: Promise<void>;

  /** @param netns path of the namespace of the far ends */
  constructor(netns: string) {
    const plan = planMemory({ image: SMALL, sessionsLog2: 4, frameCount: 2048 });
    const memory = openMemory(plan);
    this.#words = wordsOf(memory);
    this.#bytes = bytesOf(memory);
    this.#feed = new XdpFeed(memory, plan, netns);
    this.#ended = this.#poll();
  }

  attach(name: string, link: string, receive: (frame: Uint8Array) => void): void {
    const port = this.#receivers.push(receive) - 1;
    this.#feed.openPort(port, { name: link, mtu: 1500 });
    this.#ports.set(name, port);
  }

  send(name: string, frame: Uint8Array): void {
    const port = this.#ports.get(name);
    if (port !== undefined) this.#waiting.push({ port, frame });
  }

  async close(): Promise<void> {
    this.#open = false;
    await this.#ended;
    this.#feed.close();
  }

  async #poll(): Promise<void> {
    while (this.#open) {
      await wait(POLL_MS);
      for (let n = this.#round(); n > 0; n = this.#round());
    }
  }

  /** Sends what waits, hands out what came; returns how much that was. */
  #round(): number {
    let entries = 0;
    for (const { port, frame } of this.#waiting.splice(0, BATCH)) {
      if (!this.#feed.inject(entries, frame, port)) continue;
      // By which queue of its link a frame comes is chance: another worker may serve each.
      this.#words[(L.VECTOR_BASE + entries * L.VECTOR_SIZE + L.V_HASH) >>> 2] = this.#random.below(2 ** 16);
      entries++;
    }
    let total = entries;
    const taken: [number, Uint8Array][] = [];
    // Each step also gives back the frames of what the one before received.
    do {
      entries = this.#feed.step(entries, 0);
      for (let i = 0; i < entries; i++) taken.push(this.#take(i));
      total += entries;
    } while (entries > 0);
    for (const [port, frame] of taken) this.#receivers[port]?.(frame);
    return total;
  }

  #take(entry: number): [number, Uint8Array] {
    const at = (L.VECTOR_BASE + entry * L.VECTOR_SIZE) >>> 2;
    const address = this.#words[at + L.V_ADDRESS / 4] ?? 0;
    const frame = this.#bytes.slice(address, address + (this.#words[at + L.V_LENGTH / 4] ?? 0));
    this.#words[at + L.V_TX_PORT / 4] = L.PORT_NONE;
    return [this.#words[at + L.V_RX_PORT / 4] ?? 0, frame];
  }
}
