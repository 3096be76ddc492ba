/** The pairs of prefixes that a list has rules for: buckets of four in the list's words, and the lines of each one's rules. */
import { HASH_A, HASH_C, HASH_D, PORTSET_LINES } from '../../../../dataplane-as/layout/index.js';
import * as A from '../../../../dataplane-as/lists/layout.js';
import { keysOf, type Lane, laneOf, lanesIn, portSetLines, ruleLines } from './port-lines.js';
import type { ListRule } from './rule.js';
import { ListFullError, type ListWords } from './words.js';

const BUCKET = A.BUCKET_SIZE / 4;
const LINE = A.LINE_SIZE / 4;
const DST = A.BUCKET_DST / 4;
const WHERE = A.BUCKET_LINES / 4;
const LOWEST = A.BUCKET_LOWEST / 4;
const ROOM_IN_TABLE = 0.8;
/** More rules than this are looked for in a port set. */
const FEW = 2 * A.LINE_RULES;
const MOST_LINES = A.PAIR_COUNT;

/** Which rule belongs to which pair of prefixes; of equal length, in the rules' order. */
export interface Borne {
  readonly rule: Uint32Array;
  readonly src: Uint32Array;
  readonly dst: Uint32Array;
}

export interface PairRoom {
  /** Word offsets in the list, and how many buckets (log2) and lines there are. */
  readonly table: number;
  readonly log2: number;
  readonly lines: number;
  readonly lineCount: number;
}

export class Pairs {
  #used = 0;
  #nextLine = 0;
  /** Runs of lines that were given up, by length. */
  readonly #free = new Map<number, number[]>();
  /** All rules of the pairs that have a port set, in order. */
  readonly #many = new Map<number, Lane[]>();

  constructor(
    readonly list: ListWords,
    readonly room: PairRoom,
  ) {}

  /** Fills an empty table with all rules, numbered in steps of `gap`. */
  fill(rules: readonly ListRule[], { rule, src, dst }: Borne, gap: number): void {
    const { words } = this.list;
    const total = rule.length;
    // Pairs are numbered as they appear; until it has lines, a pair's number stands in their place.
    const pairs = new Uint32Array(total);
    const cells = new Uint32Array(total);
    const counts = new Uint32Array(total);
    for (let i = 0; i < total; i++) {
      const cell = this.#cellOf(src[i] ?? 0, dst[i] ?? 0);
      if (words[cell] === 0) {
        words[cell] = src[i] ?? 0;
        words[cell + DST] = dst[i] ?? 0;
        words[cell + WHERE] = this.#used;
        words[cell + LOWEST] = ((rule[i] ?? 0) + 1) * gap;
        cells[this.#used++] = cell;
      }
      const pair = words[cell + WHERE] ?? 0;
      pairs[i] = pair;
      counts[pair] = (counts[pair] ?? 0) + 1;
    }
    const many = this.#makeRoom(cells, counts);
    /** By pair: the u16 where its next rule goes. */
    const next = cells;
    const halves = new Uint16Array(words.buffer);
    for (let i = 0; i < total; i++) {
      const pair = pairs[i] ?? 0;
      const one = rules[rule[i] ?? 0] as ListRule;
      const number = ((rule[i] ?? 0) + 1) * gap;
      if ((counts[pair] ?? 0) > FEW) {
        many.get(pair)?.push(laneOf(one, number));
        continue;
      }
      const half = next[pair] ?? 0;
      halves[half] = one.srcPorts[0];
      halves[half + 4] = ~one.srcPorts[1];
      halves[half + 8] = one.dstPorts[0];
      halves[half + 12] = ~one.dstPorts[1];
      halves[half + 16] = one.protocols[0];
      halves[half + 20] = ~one.protocols[1];
      words[((half >> 5) << 4) + A.LINE_NUMBERS / 4 + (half & 3)] = number;
      next[pair] = (half & 3) < A.LINE_RULES - 1 ? half + 1 : half + 2 * LINE - A.LINE_RULES + 1;
    }
    for (const [pair, lanes] of many) this.#place(cells[pair] ?? 0, lanes);
  }

  /** Takes lines for all pairs with few rules and puts where their first rule goes in place of their cells; the others are returned. */
  #makeRoom(cells: Uint32Array, counts: Uint32Array): Map<number, Lane[]> {
    const { words } = this.list;
    const many = new Map<number, Lane[]>();
    for (let pair = 0; pair < this.#used; pair++) {
      const count = counts[pair] ?? 0;
      const cell = cells[pair] ?? 0;
      if (count > FEW) {
        many.set(pair, []);
        continue;
      }
      const lines = (count + A.LINE_RULES - 1) >> 2;
      const line = this.#take(lines);
      words[cell + WHERE] = line | (lines << A.PAIR_COUNT_SHIFT);
      cells[pair] = (this.room.lines + line * LINE) * 2;
    }
    words.fill(A.NO_RULE, this.room.lines, this.room.lines + this.#nextLine * LINE);
    return many;
  }

  /** Puts a rule among those of its pair. Throws ListFullError. */
  insert(src: number, dst: number, rule: ListRule, number: number): void {
    const cell = this.#cellOf(src, dst);
    const fresh = this.list.get(cell) === 0;
    const limit = ROOM_IN_TABLE * A.BUCKET_PAIRS * 2 ** this.room.log2;
    if (fresh && this.#used + 1 > limit) throw new ListFullError('pairs of prefixes');
    const lanes = fresh ? [] : [...this.#lanesOf(cell)];
    const behind = lanes.findIndex((lane) => lane.number > number);
    lanes.splice(behind < 0 ? lanes.length : behind, 0, laneOf(rule, number));
    if (fresh) {
      this.list.put(cell, src);
      this.list.put(cell + DST, dst);
      this.#used++;
    } else this.#give(cell);
    this.#place(cell, lanes);
  }

  /** Takes a rule away. */
  remove(src: number, dst: number, number: number): void {
    const cell = this.#cellOf(src, dst);
    if (this.list.get(cell) === 0) return;
    const lanes = this.#lanesOf(cell).filter((lane) => lane.number !== number);
    this.#give(cell);
    if (lanes.length > 0) this.#place(cell, lanes);
    else {
      this.#many.delete(keyOf(src, dst));
      this.#delete(cell);
    }
  }

  /** Writes the lines of a pair, whose cell has none. */
  #place(cell: number, lanes: Lane[]): void {
    const key = keyOf(this.list.get(cell), this.list.get(cell + DST));
    const keyed = lanes.length > FEW ? lanes.filter((lane) => keysOf(lane) !== null) : [];
    if (lanes.length > FEW) this.#many.set(key, lanes);
    else this.#many.delete(key);
    const others = ruleLines(lanes.length > FEW ? lanes.filter((lane) => keysOf(lane) === null) : lanes);
    const count = others.length / LINE;
    if (count > MOST_LINES) throw new ListFullError('rules of one pair of prefixes');
    const ports =
      keyed.length === 0 ? [] : portSetLines(keyed.map((lane) => [keysOf(lane) ?? [0, 0], lane.number]));
    const line = this.#take(count + ports.length / LINE);
    this.#write(line, others);
    this.#write(line + count, ports);
    const flag = keyed.length === 0 ? 0 : A.PAIR_PORTS;
    this.list.put(cell + WHERE, (line | (count << A.PAIR_COUNT_SHIFT) | flag) >>> 0);
    this.list.put(cell + LOWEST, lanes[0]?.number ?? 0);
  }

  #write(line: number, words: ArrayLike<number>): void {
    const at = this.room.lines + line * LINE;
    for (let i = 0; i < words.length; i++) this.list.put(at + i, words[i] ?? 0);
  }

  /** Word index of a pair's cell, or of the empty one where it would be. */
  #cellOf(src: number, dst: number): number {
    const { table, log2 } = this.room;
    const { words } = this.list;
    const mask = 2 ** log2 - 1;
    for (let bucket = homeOf(src, dst, log2); ; bucket = (bucket + 1) & mask) {
      const first = table + bucket * BUCKET;
      for (let cell = first; cell < first + A.BUCKET_PAIRS; cell++) {
        const found = words[cell] ?? 0;
        if (found === 0 || (found === src && words[cell + DST] === dst)) return cell;
      }
    }
  }

  /**
   * Empties a cell. The last pair of its bucket moves there; if the bucket was full, one that had gone past it comes back, so that a
   * search may stop at a bucket with an empty cell.
   */
  #delete(cell: number): void {
    const { table, log2 } = this.room;
    const mask = 2 ** log2 - 1;
    let hole = cell;
    this.#used--;
    for (;;) {
      const bucket = Math.floor((hole - table) / BUCKET);
      const first = table + bucket * BUCKET;
      let last = first + A.BUCKET_PAIRS - 1;
      const full = this.list.get(last) !== 0;
      while (this.list.get(last) === 0) last--;
      this.#move(last, hole);
      if (!full) return;
      const back = this.#strayBehind(bucket, mask);
      if (back < 0) return;
      this.#copy(back, last);
      hole = back;
    }
  }

  /** A pair beyond a bucket that would rather be in it or before it; -1 = none. */
  #strayBehind(bucket: number, mask: number): number {
    const { table, log2 } = this.room;
    for (let next = (bucket + 1) & mask; next !== bucket; next = (next + 1) & mask) {
      const first = table + next * BUCKET;
      for (let cell = first; cell < first + A.BUCKET_PAIRS; cell++) {
        const src = this.list.get(cell);
        if (src === 0) return -1;
        const home = homeOf(src, this.list.get(cell + DST), log2);
        // Its way from home to here leads over the bucket.
        if (((next - home) & mask) >= ((next - bucket) & mask)) return cell;
      }
    }
    return -1;
  }

  #copy(from: number, to: number): void {
    for (const word of [0, DST, WHERE, LOWEST]) this.list.put(to + word, this.list.get(from + word));
  }

  #move(from: number, to: number): void {
    this.#copy(from, to);
    for (const word of [0, DST, WHERE, LOWEST]) this.list.put(from + word, 0);
  }

  #take(count: number): number {
    if (count === 0) return 0;
    const reused = this.#free.get(count)?.pop();
    if (reused !== undefined) return reused;
    if (this.#nextLine + count > this.room.lineCount) throw new ListFullError('rules');
    this.#nextLine += count;
    return this.#nextLine - count;
  }

  /** Gives the lines of a pair up. */
  #give(cell: number): void {
    const where = this.list.get(cell + WHERE);
    const line = where & A.PAIR_LINE;
    let count = (where >>> A.PAIR_COUNT_SHIFT) & A.PAIR_COUNT;
    if (where >= A.PAIR_PORTS)
      count += this.list.get(this.room.lines + (line + count) * LINE + PORTSET_LINES / 4);
    if (count > 0) {
      const runs = this.#free.get(count) ?? [];
      runs.push(line);
      this.#free.set(count, runs);
    }
    this.list.put(cell + WHERE, 0);
  }

  #lanesOf(cell: number): readonly Lane[] {
    const many = this.#many.get(keyOf(this.list.get(cell), this.list.get(cell + DST)));
    if (many !== undefined) return many;
    const where = this.list.get(cell + WHERE);
    const first = this.room.lines + (where & A.PAIR_LINE) * LINE;
    return lanesIn(
      this.list.words.slice(first, first + ((where >>> A.PAIR_COUNT_SHIFT) & A.PAIR_COUNT) * LINE),
    );
  }
}

function keyOf(src: number, dst: number): number {
  return (src & A.PREFIX_NUMBER) * 2 ** 24 + (dst & A.PREFIX_NUMBER);
}

function homeOf(src: number, dst: number, log2: number): number {
  const h = Math.imul(src, HASH_A) ^ Math.imul(dst, HASH_C);
  return Math.imul(h ^ (h >>> 15), HASH_D) >>> (32 - log2);
}
