/** One image in memory: plays operations into it and compares it with what should lie there. */
import * as L from '../../../dataplane-as/layout.js';
import type { Operation, Unit } from './cells.js';
import { HashTable } from './hash-table.js';
import type { HashName, ImagePlan } from './image-plan.js';

export class Image {
  readonly #hashes: Readonly<Record<HashName, HashTable>>;

  /** @param base byte address of the image */
  constructor(
    readonly words: Uint32Array,
    readonly base: number,
    readonly plan: ImagePlan,
  ) {
    const table = (name: HashName): HashTable => {
      const { at, log2, emptyWord } = plan.hashes[name];
      return new HashTable(words, (base + at) >>> 2, log2, emptyWord);
    };
    this.#hashes = { addresses: table('addresses'), pairs: table('pairs'), frontends: table('frontends') };
  }

  get generation(): number {
    return this.words[(this.base + L.IMG_GENERATION) >>> 2] ?? 0;
  }

  set generation(value: number) {
    this.words[(this.base + L.IMG_GENERATION) >>> 2] = value;
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
  }

  play(operations: readonly Operation[]): void {
    for (const op of operations) {
      if (op.type === 'write') this.words.set(op.words, (this.base + op.at) >>> 2);
      else if (op.type === 'insert') this.#hashes[op.entry.table].set(op.entry.a, op.entry.b, op.entry.value);
      else if (op.type === 'delete') this.#hashes[op.table].delete(op.a, op.b);
      else this.words.fill(0, (this.base + op.at) >>> 2, ((this.base + op.at) >>> 2) + op.count);
    }
  }

  /** True if the header still names the tables as planned. */
  headerHolds(): boolean {
    return this.plan.header.every(([at, value]) => this.words[(this.base + at) >>> 2] === value);
  }

  /** True if everything of the unit lies here as it should. */
  holds(unit: Unit): boolean {
    for (const { at, words } of unit.rows ?? []) {
      const from = (this.base + at) >>> 2;
      for (let i = 0; i < words.length; i++) if (this.words[from + i] !== words[i]) return false;
    }
    for (const { table, a, b, value } of unit.entries ?? []) {
      if (this.#hashes[table].get(a, b) !== value) return false;
    }
    return true;
  }

  lookup(table: HashName, a: number, b: number): number | undefined {
    return this.#hashes[table].get(a, b);
  }

  /** The word at a byte offset from the image's start. */
  word(at: number): number {
    return this.words[(this.base + at) >>> 2] ?? 0;
  }
}
