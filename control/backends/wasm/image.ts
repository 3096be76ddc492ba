/** One image in memory: plays operations into it and compares it with what should lie there. */
import * as L from '../../../dataplane-as/layout/index.js';
import type { Entry, KeyRest, Operation, Unit } from './cells.js';
import { HashTable } from './hash-table.js';
import { HashTable6 } from './hash-table6.js';
import type { HashName, ImagePlan } from './image-plan.js';

/** A key of the four-word tables has no rest. */
const NO_REST: KeyRest = [0, 0, 0];

/** A hash table has at least so many slots: a page of them. */
const LEAST_LOG2 = 8;
/** So many slots may be mostly empty: 2 MiB, and as much as a huge page. */
const SPARSE_LOG2 = 17;
/** Words looked at together before they are cleared: a page. */
const PAGE_WORDS = 1024;

export class Image {
  readonly #hashes: Readonly<Record<Exclude<HashName, 'addresses6'>, HashTable>>;
  readonly #addresses6: HashTable6;
  /** What IMG_TUNNELS should be. */
  #tunnels = 0;

  /** An empty image, whose header has to be written. @param base byte address of the image */
  constructor(
    readonly words: Uint32Array,
    readonly base: number,
    readonly plan: ImagePlan,
  ) {
    const table = (name: Exclude<HashName, 'addresses6'>): HashTable => {
      const { at, emptyWord } = plan.hashes[name];
      return new HashTable(words, (base + at) >>> 2, leastOf(plan, name), emptyWord);
    };
    const six = (base + plan.hashes.addresses6.at) >>> 2;
    this.#addresses6 = new HashTable6(words, six, leastOf(plan, 'addresses6'));
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
    clear(this.words, this.base >>> 2, (this.base + this.plan.bytes) >>> 2);
    for (const name of HASHES) this.#table(name).restart(leastOf(this.plan, name));
    this.writeHeader();
    this.generation = generation;
    this.#tunnels = 0;
  }

  /** Names the tables in memory that holds nothing yet. */
  writeHeader(): void {
    for (const [at, value] of this.plan.header) this.words[(this.base + at) >>> 2] = value;
    for (const name of HASHES) this.#writeLog2(name);
    this.words.fill(
      L.PORT_NONE,
      (this.base + L.IMG_HOST_PORT) >>> 2,
      (this.base + L.IMG_UPLINK_PORT + 4) >>> 2,
    );
  }

  /** Carries operations out, in memory that nobody reads meanwhile. */
  play(operations: readonly Operation[]): void {
    this.#makeRoom(operations);
    for (const op of operations) {
      if (op.type === 'write') this.words.set(op.words, (this.base + op.at) >>> 2);
      else if (op.type === 'insert') this.#insert(op.entry);
      else if (op.type === 'delete') this.#delete(op);
      else this.words.fill(0, (this.base + op.at) >>> 2, ((this.base + op.at) >>> 2) + op.count);
    }
    // What was deleted needs no room any more.
    this.#makeRoom([]);
  }

  /** Gives hash tables as many slots as their entries need. */
  #makeRoom(operations: readonly Operation[]): void {
    const more: Record<HashName, number> = { addresses: 0, addresses6: 0, pairs: 0, frontends: 0 };
    for (const op of operations) {
      if (op.type === 'insert') more[op.entry.table]++;
      else if (op.type === 'delete') more[op.table]--;
    }
    for (const name of HASHES) {
      const table = this.#table(name);
      const log2 = fittingLog2(table.log2, Math.max(table.used, table.used + more[name]));
      const most = this.plan.hashes[name].log2;
      const now = Math.min(Math.max(log2, leastOf(this.plan, name)), most);
      if (now === table.log2) continue;
      table.resize(now);
      this.#writeLog2(name);
    }
  }

  /** True if the header still names the tables as planned. */
  headerHolds(): boolean {
    if (this.word(L.IMG_TUNNELS) !== this.#tunnels) return false;
    return (
      this.plan.header.every(([at, value]) => this.word(at) === value) &&
      HASHES.every((name) => this.word(this.plan.hashes[name].log2At) === this.#table(name).log2)
    );
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

  #table(name: HashName): HashTable | HashTable6 {
    return name === 'addresses6' ? this.#addresses6 : this.#hashes[name];
  }

  #writeLog2(name: HashName): void {
    this.words[(this.base + this.plan.hashes[name].log2At) >>> 2] = this.#table(name).log2;
  }
}

const HASHES: readonly HashName[] = ['addresses', 'addresses6', 'pairs', 'frontends'];

function leastOf(plan: ImagePlan, name: HashName): number {
  return Math.min(LEAST_LOG2, plan.hashes[name].log2);
}

/**
 * log2 of the slots for so many entries. Four headers are judged with each instruction, which is as fast as the slowest of them: one that is
 * not in its home slot. So tables are mostly empty as long as that costs little memory. As it is, unless it is too small or much too large.
 */
function fittingLog2(log2: number, entries: number): number {
  const sparse = Math.min(SPARSE_LOG2, Math.ceil(Math.log2(Math.max(1, entries * 128))));
  const fitting = Math.max(sparse, Math.ceil(Math.log2(Math.max(1, entries * 2))));
  return log2 < fitting || log2 > fitting + 2 ? fitting : log2;
}

/** Writes only where something lies: pages that were never used stay so. */
function clear(words: Uint32Array, from: number, to: number): void {
  for (let at = from; at < to; at += PAGE_WORDS) {
    const end = Math.min(at + PAGE_WORDS, to);
    let i = at;
    while (i < end && words[i] === 0) i++;
    if (i < end) words.fill(0, i, end);
  }
}
