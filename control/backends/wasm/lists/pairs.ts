/** The pairs of prefixes that a list has rules for: buckets of four in the list's words, and the lines of those with more than one rule. */
import { PORTSET_LINES } from '../../../../dataplane-as/layout/index.js';
import * as A from '../../../../dataplane-as/lists/layout.js';
import { homeKeyOf, homeOf, type PairPlan } from './pair-plan.js';
import {
  keysOf,
  type Lane,
  LineWriter,
  laneOf,
  lanesIn,
  portSetLines,
  RANGES,
  ruleLines,
} from './port-lines.js';
import type { ListRule } from './rule.js';
import { ListFullError, type ListWords } from './words.js';

const BUCKET = A.BUCKET_SIZE / 4;
const LINE = A.LINE_SIZE / 4;
const NUMBERS = A.BUCKET_NUMBERS / 4;
const FLAGS = A.BUCKET_FLAGS / 4;
const UPPER_PORTS = A.BUCKET_DST_PORTS + 2 * A.BUCKET_PAIRS;
const UPPER_PROTOCOLS = A.BUCKET_PROTOCOLS + A.BUCKET_PAIRS;
/** As the lowest protocol and as the complement of the highest: none. */
const NO_PROTOCOL = 0xff;
/** The range of source ports that a cell need not say. */
const ANY_PORTS = 0;
const ROOM_IN_TABLE = 0.9;
/** More rules than this are looked for in a port set. */
const FEW = 2 * A.LINE_RULES;
const MOST_LINES = A.LINES_COUNT;

export interface PairRoom {
  /** Word offsets in the list, and how many buckets (log2) and lines there are. */
  readonly table: number;
  readonly log2: number;
  readonly lines: number;
  readonly lineCount: number;
}

/** A cell: its bucket's first word in the list, and which of the four it is. */
interface Cell {
  readonly bucket: number;
  readonly lane: number;
}

/** Lines that the pairs of a plan need, at most. */
export function linesOf(ranges: Uint32Array, { count, starts, rules }: PairPlan): number {
  let lines = 0;
  for (let pair = 0; pair < count; pair++) {
    const first = starts[pair] ?? 0;
    const total = (starts[pair + 1] ?? 0) - first;
    if (total === 1 && ranges[(rules[first] ?? 0) * RANGES] === ANY_PORTS) continue;
    // Of n ranges there are at most 2n + 1 stretches.
    lines += total > FEW ? Math.ceil((3 * total + 1) / A.LINE_RULES) + 1 : Math.ceil(total / A.LINE_RULES);
  }
  return lines;
}

export class Pairs {
  #used = 0;
  #nextLine = 0;
  /** Runs of lines that were given up, by length. */
  readonly #free = new Map<number, number[]>();
  /** All rules of the pairs that have a port set, in order, by their cells. */
  readonly #many = new Map<number, Lane[]>();

  constructor(
    readonly list: ListWords,
    readonly room: PairRoom,
  ) {}

  /** Fills an empty table as planned with rules that have these ranges (packRanges) and are numbered in steps of `gap`. */
  fill(ranges: Uint32Array, plan: PairPlan, gap: number): void {
    const { words } = this.list;
    const { table } = this.room;
    const { keys, passed, cells, starts, rules } = plan;
    for (let cell = 0; cell < keys.length; cell++) {
      const key = keys[cell] ?? 0;
      if (key !== 0) words[table + (cell >>> 2) * BUCKET + (cell & 3)] = key;
    }
    for (let bucket = 0; bucket < passed.length; bucket++)
      if (passed[bucket] === 1) words[table + bucket * BUCKET + FLAGS] = A.BUCKET_PASSED;
    const bytes = new Uint8Array(words.buffer);
    const halves = new Uint16Array(words.buffer);
    const writer = new LineWriter(words, ranges, gap);
    for (let pair = 0; pair < plan.count; pair++) {
      const from = starts[pair] ?? 0;
      const to = starts[pair + 1] ?? 0;
      const cell = cells[pair] ?? 0;
      const bucket = table + (cell >>> 2) * BUCKET;
      const lane = cell & 3;
      const first = rules[from] ?? 0;
      const half = bucket * 2 + A.BUCKET_DST_PORTS / 2 + lane;
      const byte = bucket * 4 + A.BUCKET_PROTOCOLS + lane;
      if (to - from > FEW) {
        const lanes = Array.from(rules.subarray(from, to), (i): Lane => {
          const range = (n: number) => ranges[i * RANGES + n] ?? 0;
          return { number: (i + 1) * gap, ranges: [range(0), range(1), range(2)] };
        });
        this.#place({ bucket, lane }, lanes);
        continue;
      }
      words[bucket + NUMBERS + lane] = (first + 1) * gap;
      if (to > from + 1 || ranges[first * RANGES] !== ANY_PORTS) {
        const count = Math.ceil((to - from) / A.LINE_RULES);
        const line = this.#take(count);
        writer.put(this.room.lines + line * LINE, rules, from, to);
        const where = line | (count << A.LINES_COUNT_SHIFT);
        halves[half] = where;
        halves[half + A.BUCKET_PAIRS] = where >>> 16;
        bytes[byte] = NO_PROTOCOL;
        bytes[byte + A.BUCKET_PAIRS] = NO_PROTOCOL;
        words[bucket + FLAGS] = (words[bucket + FLAGS] ?? 0) | (1 << lane);
        continue;
      }
      const ports = ranges[first * RANGES + 1] ?? 0;
      const protocols = ranges[first * RANGES + 2] ?? 0;
      halves[half] = ports;
      halves[half + A.BUCKET_PAIRS] = ports >>> 16;
      bytes[byte] = protocols;
      bytes[byte + A.BUCKET_PAIRS] = protocols >>> 16;
    }
    this.#used = plan.count;
  }

  /** Puts a rule among those of its pair of numbers. Throws ListFullError. */
  insert(src: number, dst: number, rule: ListRule, number: number): void {
    const known = this.#find(src, dst);
    if (known === null && this.#used + 1 > ROOM_IN_TABLE * A.BUCKET_PAIRS * 2 ** this.room.log2)
      throw new ListFullError('pairs of prefixes');
    const lanes = known === null ? [] : [...this.#lanesOf(known)];
    const behind = lanes.findIndex((lane) => lane.number > number);
    lanes.splice(behind < 0 ? lanes.length : behind, 0, laneOf(rule, number));
    if (known === null) this.#used++;
    else this.#give(known);
    this.#place(known ?? this.#add(src, dst), lanes);
  }

  /** Takes a rule away. */
  remove(src: number, dst: number, number: number): void {
    const cell = this.#find(src, dst);
    if (cell === null) return;
    const lanes = this.#lanesOf(cell).filter((lane) => lane.number !== number);
    this.#give(cell);
    if (lanes.length > 0) {
      this.#place(cell, lanes);
      return;
    }
    this.#many.delete(this.#keyOf(cell));
    this.#used--;
    // Buckets that were passed over still say so: those behind them are looked at for nothing, until the list is built anew.
    this.list.put(cell.bucket + cell.lane, 0);
  }

  /** Writes the rules of a pair, whose cell has none. */
  #place(cell: Cell, lanes: Lane[]): void {
    const { list } = this;
    const { bucket, lane } = cell;
    const [first] = lanes;
    list.put(bucket + NUMBERS + lane, first?.number ?? 0);
    if (lanes.length > FEW) this.#many.set(this.#keyOf(cell), lanes);
    else if (this.#many.size > 0) this.#many.delete(this.#keyOf(cell));
    const flags = list.get(bucket + FLAGS);
    if (lanes.length === 1 && first !== undefined && first.ranges[0] === ANY_PORTS) {
      const [, ports, protocols] = first.ranges;
      this.#putRanges(cell, ports, protocols & 0xff, (protocols >>> 16) & 0xff);
      list.put(bucket + FLAGS, flags & ~(1 << lane));
    } else {
      this.#putRanges(cell, this.#placeLines(lanes), NO_PROTOCOL, NO_PROTOCOL);
      list.put(bucket + FLAGS, flags | (1 << lane));
    }
  }

  /** Writes the lines of a pair and says where they are. */
  #placeLines(lanes: readonly Lane[]): number {
    const keyed = lanes.length > FEW ? lanes.filter((lane) => keysOf(lane) !== null) : [];
    const others = ruleLines(lanes.length > FEW ? lanes.filter((lane) => keysOf(lane) === null) : lanes);
    const count = others.length / LINE;
    if (count > MOST_LINES) throw new ListFullError('rules of one pair of prefixes');
    const ports =
      keyed.length === 0 ? [] : portSetLines(keyed.map((lane) => [keysOf(lane) ?? [0, 0], lane.number]));
    const line = this.#take(count + ports.length / LINE);
    this.#write(line, others);
    this.#write(line + count, ports);
    return (line | (count << A.LINES_COUNT_SHIFT) | (keyed.length === 0 ? 0 : A.LINES_PORTS)) >>> 0;
  }

  #putRanges({ bucket, lane }: Cell, ports: number, lowest: number, complement: number): void {
    this.list.putHalf(bucket * 4 + A.BUCKET_DST_PORTS + lane * 2, ports & 0xffff);
    this.list.putHalf(bucket * 4 + UPPER_PORTS + lane * 2, ports >>> 16);
    this.list.putByte(bucket * 4 + A.BUCKET_PROTOCOLS + lane, lowest);
    this.list.putByte(bucket * 4 + UPPER_PROTOCOLS + lane, complement);
  }

  #write(line: number, words: ArrayLike<number>): void {
    const at = this.room.lines + line * LINE;
    for (let i = 0; i < words.length; i++) this.list.put(at + i, words[i] ?? 0);
  }

  /** A pair's cell, null if it has none. */
  #find(src: number, dst: number): Cell | null {
    const { table, log2 } = this.room;
    const home = homeOf(src, dst, log2);
    let key = homeKeyOf(src, dst, log2);
    for (let away = 0; away <= A.PAIR_MOST_AWAY; away++) {
      const bucket = table + ((home + away) & (2 ** log2 - 1)) * BUCKET;
      for (let lane = 0; lane < A.BUCKET_PAIRS; lane++)
        if (this.list.get(bucket + lane) === key) return { bucket, lane };
      if ((this.list.get(bucket + FLAGS) & A.BUCKET_PASSED) === 0) return null;
      key = (key + (1 << A.PAIR_AWAY_SHIFT)) >>> 0;
    }
    return null;
  }

  /** A cell for a pair that has none. Throws ListFullError. */
  #add(src: number, dst: number): Cell {
    const { table, log2 } = this.room;
    const home = homeOf(src, dst, log2);
    const homeKey = homeKeyOf(src, dst, log2);
    for (let away = 0; away <= A.PAIR_MOST_AWAY; away++) {
      const bucket = table + ((home + away) & (2 ** log2 - 1)) * BUCKET;
      for (let lane = 0; lane < A.BUCKET_PAIRS; lane++) {
        if (this.list.get(bucket + lane) !== 0) continue;
        this.list.put(bucket + lane, (homeKey | (away << A.PAIR_AWAY_SHIFT)) >>> 0);
        return { bucket, lane };
      }
      this.list.put(bucket + FLAGS, this.list.get(bucket + FLAGS) | A.BUCKET_PASSED);
    }
    throw new ListFullError('pairs of prefixes');
  }

  #take(count: number): number {
    if (count === 0) return 0;
    const reused = this.#free.get(count)?.pop();
    if (reused !== undefined) return reused;
    if (this.#nextLine + count > this.room.lineCount) throw new ListFullError('rules');
    this.#nextLine += count;
    return this.#nextLine - count;
  }

  /** Where the lines of a cell's rules are, null if it has its one rule itself. */
  #linesAt({ bucket, lane }: Cell): number | null {
    if ((this.list.get(bucket + FLAGS) & (1 << lane)) === 0) return null;
    return this.#ports(bucket, lane);
  }

  /** Both halves of what a cell has as its range of ports. */
  #ports(bucket: number, lane: number): number {
    const lower = this.list.getHalf(bucket * 4 + A.BUCKET_DST_PORTS + lane * 2);
    return (lower | (this.list.getHalf(bucket * 4 + UPPER_PORTS + lane * 2) << 16)) >>> 0;
  }

  /** Gives the lines of a pair up. */
  #give(cell: Cell): void {
    const where = this.#linesAt(cell);
    if (where === null) return;
    const line = where & A.LINES_FIRST;
    let count = (where >>> A.LINES_COUNT_SHIFT) & A.LINES_COUNT;
    if (where >= A.LINES_PORTS)
      count += this.list.get(this.room.lines + (line + count) * LINE + PORTSET_LINES / 4);
    if (count === 0) return;
    const runs = this.#free.get(count) ?? [];
    runs.push(line);
    this.#free.set(count, runs);
  }

  #lanesOf(cell: Cell): readonly Lane[] {
    const { bucket, lane } = cell;
    const where = this.#linesAt(cell);
    if (where === null) {
      const byte = (at: number) => this.list.getByte(bucket * 4 + at + lane);
      const lowest = byte(A.BUCKET_PROTOCOLS);
      // Complements of eight bits become ones of sixteen.
      const protocols = (lowest | ((byte(UPPER_PROTOCOLS) | 0xff00) << 16)) >>> 0;
      const number = this.list.get(bucket + NUMBERS + lane);
      return [{ number, ranges: [ANY_PORTS, this.#ports(bucket, lane), protocols] }];
    }
    const many = this.#many.get(this.#keyOf(cell));
    if (many !== undefined) return many;
    const first = this.room.lines + (where & A.LINES_FIRST) * LINE;
    return lanesIn(
      this.list.words.slice(first, first + ((where >>> A.LINES_COUNT_SHIFT) & A.LINES_COUNT) * LINE),
    );
  }

  /** What no other cell in use has: its place. */
  #keyOf({ bucket, lane }: Cell): number {
    return bucket * A.BUCKET_PAIRS + lane;
  }
}
