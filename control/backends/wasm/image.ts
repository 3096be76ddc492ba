/** One image in memory: plays operations into it and compares it with what should lie there. */
import * as L from '../../../dataplane-as/layout/index.js';
import type { Entry, KeyRest, Operation, Unit } from './cells.js';
import { HashTable } from './hash-table.js';
import { HashTable6 } from './hash-table6.js';
import type { HashName, ImagePlan } from './image-plan.js';

/** A key of the four-word tables has no rest. */
const NO_REST: KeyRest = [0, 0, 0];

export class Image {
  readonly #hashes: Readonly<Record<Exclude<HashName, 'addresses6'>, HashTable>>;
  readonly #addresses6: HashTable6;
  /** What IMG_TUNNELS should be. */
  #tunnels = 0;

  /** @param base byte address of the image */
  constructor(
    readonly words: Uint32Array,
    readonly base: number,
    readonly plan: ImagePlan,
  ) {
    const table = (name: Exclude<HashName, 'addresses6'>): HashTable => {
      const { at, log2, emptyWord } = plan.hashes[name];
      return new HashTable(words, (base + at) >>> 2, log2, emptyWord);
    };
    const six = plan.hashes.addresses6;
    this.#addresses6 = new HashTable6(words, (base + six.at) >>> 2, six.log2);
    this.#hashes = { addresses: table('addresses'), pairs: table('pairs'), frontends: table('frontends') };
  }

  get generation(): number {
    return this.words[(this.base + L.IMG_GENERATION) >>> 2] ?? 0;
  }

  set generation(value: number) {
    this.words[(this.base + L.IMG_GENERATION) >>> 2] = value;
  }

  /** Notes in which generation an adjacency changed last, if one of `operations` changes any. */
  noteTunnels(operations: readonly Operation[], generation: number): void {
    const { adjacencies, size } = this.plan;
    const end = adjacencies + size.adjacencies * L.ADJ_SIZE;
    const changes = operations.some((op) => 'at' in op && op.at >= adjacencies && op.at < end);
    if (!changes) return;
    this.#tunnels = generation;
    this.words[(this.base + L.IMG_TUNNELS) >>> 2] = generation;
  }

  /** Makes the image empty: a header that names the tables, and no entry. The generation stays. */
  reset(): void {
    const { generation } = this;
    this.words.fill(0, this.base >>> 2, (this.base + this.plan.bytes) >>> 2);
    for (const [at, value] of this.plan.header) this.words[(this.base + at) >>> 2] = value;
    this.words.fill(
      L.PORT_NONE,
      (this.base + L.IMG_HOST_PORT) >>> 2,
      (this.base + L.IMG_UPLINK_PORT + 4) >>> 2,
    );
    this.generation = generation;
    this.#tunnels = 0;
  }

  play(operations: readonly Operation[]): void {
    for (const op of operations) {
      if (op.type === 'write') this.words.set(op.words, (this.base + op.at) >>> 2);
      else if (op.type === 'insert') this.#insert(op.entry);
      else if (op.type === 'delete') this.#delete(op);
      else this.words.fill(0, (this.base + op.at) >>> 2, ((this.base + op.at) >>> 2) + op.count);
    }
  }

  /** True if the header still names the tables as planned. */
  headerHolds(): boolean {
    if (this.word(L.IMG_TUNNELS) !== this.#tunnels) return false;
    return this.plan.header.every(([at, value]) => this.words[(this.base + at) >>> 2] === value);
  }

  /** True if everything of the unit lies here as it should. */
  holds(unit: Unit): boolean {
    for (const { at, words } of unit.rows ?? []) {
      const from = (this.base + at) >>> 2;
      for (let i = 0; i < words.length; i++) if (this.words[from + i] !== words[i]) return false;
    }
    for (const { table, a, b, rest, value } of unit.entries ?? []) {
      if (this.lookup(table, a, b, rest) !== value) return false;
    }
    return true;
  }

  lookup(table: HashName, a: number, b: number, rest = NO_REST): number | undefined {
    return table === 'addresses6' ? this.#addresses6.get([a, ...rest], b) : this.#hashes[table].get(a, b);
  }

  #insert({ table, a, b, rest = NO_REST, value }: Entry): void {
    if (table === 'addresses6') this.#addresses6.set([a, ...rest], b, value);
    else this.#hashes[table].set(a, b, value);
  }

  #delete({ table, a, b, rest = NO_REST }: Omit<Entry, 'value'>): void {
    if (table === 'addresses6') this.#addresses6.delete([a, ...rest], b);
    else this.#hashes[table].delete(a, b);
  }

  /** The word at a byte offset from the image's start. */
  word(at: number): number {
    return this.words[(this.base + at) >>> 2] ?? 0;
  }
}
