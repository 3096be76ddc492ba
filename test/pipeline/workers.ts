/** Several pipelines as the workers of one data plane: memories of their own, images and rings shared. */
import { Random } from '../../control/oracle/random.js';
import * as L from '../../dataplane-as/layout/index.js';
import { loadNative } from '../../native/index.js';
import { type Fed, Harness, type HarnessOptions, type Sent } from './harness.js';
import type { ImageSpec } from './image.js';
import * as S from './node6.js';

export interface WorkersOptions extends HarnessOptions {
  readonly count?: number;
  readonly seed?: number;
}

export class Workers {
  readonly all: readonly Harness[];
  readonly #random: Random;

  constructor({ count = 2, seed = 1, ...options }: WorkersOptions = {}) {
    this.#random = new Random(seed);
    this.all = Array.from({ length: count }, (_, index) => {
      return new Harness({ ...options, worker: { index, count } });
    });
    if (count > 1) this.#share();
  }

  #share(): void {
    const { framesBase } = this.at(0);
    const stretches = [
      [L.SMALL_BASE, L.SMALL_END],
      [L.SMALL6_BASE, L.SMALL6_END],
      [L.IMAGES_BASE, framesBase],
    ] as const;
    for (const [from, to] of stretches) {
      loadNative().shareMemory(this.all.map(({ bytes }) => bytes.subarray(from, to)));
    }
    this.at(0).fillGaps();
  }

  at(index: number): Harness {
    return this.all[index] as Harness;
  }

  /** The images are one memory: one writes them for all. */
  publish(spec: ImageSpec): void {
    this.at(0).publish(spec);
  }

  set now(value: number) {
    for (const node of this.all) node.now = value;
  }

  get now(): number {
    return this.at(0).now;
  }

  /** One pass of one worker, by chance when not said, over these packets. */
  feed(packets: readonly Fed[], worker = this.#random.below(this.all.length)): Sent[] {
    return this.at(worker).feed(...packets);
  }

  one(port: number, frame: Uint8Array, worker?: number): Sent {
    return this.feed([{ port, frame }], worker)[0] as Sent;
  }

  /** All look at `lines` lines each. */
  sweep(lines = 0): void {
    for (const node of this.all) node.exports.sweep(node.now, lines);
  }

  /** How many connections there are, by the statistics of all workers. */
  active(): number {
    const sum = this.all
      .map(({ view }) => view.getBigUint64(L.SESSION_STATS_BASE + L.SS_ACTIVE, true))
      .reduce((a, b) => a + b);
    return Number(BigInt.asIntN(64, sum));
  }

  /** The lines of all connections, in one order, but for their places and what an observer with other clocks would see. */
  connections(): string[] {
    return linesOf(this.at(0)).sort();
  }
}

/** Lines of both families: all but the places of lines, times and counts. */
function linesOf(node: Harness): string[] {
  const found: string[] = [];
  const own = [L.S_PEER, L.S_SEEN, L.S_PACKETS, L.S_GENERATION];
  const text = (at: number, block: number, length: number): string => {
    const bytes = Buffer.from(node.bytes.slice(at, at + length));
    for (const offset of own) bytes.writeUInt32LE(0, block + offset);
    const flags = bytes.readUInt16LE(block + L.S_FLAGS);
    bytes.writeUInt16LE(flags & ~L.SF_ANSWERED, block + L.S_FLAGS);
    return bytes.toString('hex');
  };
  for (let i = 0; i < 2 ** node.sessionsLog2; i++) {
    const at = node.sessionsBase + i * L.SESSION_SIZE;
    if (node.view.getUint32(at + L.S_SRC, true) !== 0) found.push(text(at, 0, L.SESSION_SIZE));
  }
  for (let i = 0; i < 2 ** node.sessions6Log2; i++) {
    const at = node.sessions6Base + i * L.SESSION6_SIZE;
    const block = L.SESSION6_BLOCK;
    if (node.view.getUint32(at + block + L.S_SRC, true) !== 0) found.push(text(at, block, L.SESSION6_SIZE));
  }
  return found;
}

/** Workers that are ready for packets, with both families. */
export function startWorkers(change: Partial<ImageSpec> = {}, options: WorkersOptions = {}): Workers {
  const workers = new Workers(options);
  S.start6(workers.at(0), change);
  workers.sweep();
  return workers;
}

export { S };
