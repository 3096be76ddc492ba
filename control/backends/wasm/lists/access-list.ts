/**
 * An access list as the pipeline's classifier reads it: built whole, then changed rule by rule. Rules have numbers with gaps between
 * them, so that one put in between leaves the others as they are. `copy` writes it into a memory; `follow` writes what changed since
 * into a copy, so that of two copies one can be in use while the other changes. A short list is answered by bit vectors until its first
 * change, after which a new one may be built when there is time.
 */
import * as A from '../../../../dataplane-as/lists/layout.js';
import { bear, endsOf } from './ends.js';
import {
  BOUNDS,
  type ListParts,
  LOOSE_ROOM,
  placeParts,
  placeVectors,
  Room,
  writeHeader,
} from './list-parts.js';
import { type Borne, planPairs } from './pair-plan.js';
import { linesOf, Pairs } from './pairs.js';
import { packRanges } from './port-lines.js';
import type { ListRule, Range } from './rule.js';
import { maskOf } from './rule.js';
import { Scratch } from './scratch.js';
import type { Side } from './side.js';
import { bitVectors } from './vectors.js';
import { ListFullError, ListWords } from './words.js';

/** Between the numbers of neighbours when a list is built. */
export const NUMBER_GAP = 1024;
const LOOSE = A.LOOSE_SIZE / 4;
const scratch = new Scratch();

export class AccessList {
  readonly #src: Side;
  readonly #dst: Side;
  readonly #list: ListWords;
  readonly #pairs: Pairs;
  readonly #parts: ListParts;
  readonly #belowShift: number;
  /** Numbers of all rules, in order. */
  readonly #numbers: number[];

  /**
   * Host bits of prefixes must be 0. Room is left for a quarter more of everything. `before` is a list that this one comes in place of, if
   * any: it is not to be used any more, as this one may take its memory.
   */
  constructor(rules: readonly ListRule[], before: AccessList | null = null) {
    scratch.reset();
    const ends = endsOf(rules, scratch);
    const { src, dst } = ends;
    const borne = bear(ends, scratch);
    const plan = planPairs(borne, scratch);
    const ranges = packRanges(rules, scratch);
    const lineCount = linesOf(ranges, plan) + Math.ceil(borne.src.length / 4) + 64;
    const room = new Room();
    const parts = placeParts(room, ends, plan.log2, lineCount);
    const short = rules.length <= A.VECTOR_RULES;
    const vectors = placeVectors(room, short ? bitVectors(ends, ranges, NUMBER_GAP, scratch) : null);
    const list = new ListWords(room.end, before === null ? null : before.#list);
    this.#belowShift = Math.max(0, Math.ceil(Math.log2(((rules.length + 1) * NUMBER_GAP) / A.BELOW_STEPS)));
    writeHeader(list.words, parts, vectors, this.#belowShift);
    src.layOut(list, parts.srcClasses);
    dst.layOut(list, parts.dstClasses);
    src.locator.layOut(list, parts.srcTrie, parts.levels);
    dst.locator.layOut(list, parts.dstTrie, parts.levels);
    list.words.fill(A.NO_RULE, parts.bounds, parts.bounds + BOUNDS);
    this.#parts = parts;
    this.#src = src;
    this.#dst = dst;
    this.#list = list;
    this.#pairs = new Pairs(list, { table: parts.table, log2: plan.log2, lines: parts.lines, lineCount });
    this.#numbers = rules.map((_, i) => (i + 1) * NUMBER_GAP);
    this.#noteAll(borne);
    this.#pairs.fill(ranges, plan, NUMBER_GAP);
    list.forget();
  }

  /** While building: notes for each pair of places which rules it has, and for each pair of lengths the first of its rules. */
  #noteAll(borne: Borne): void {
    const [src, dst] = [this.#src, this.#dst];
    const { words } = this.#list;
    /** By pair of places: the lowest number of any rule. */
    const lowest = new Float64Array(A.LIST_PLACES ** 2).fill(Number.POSITIVE_INFINITY);
    for (let i = 0; i < borne.src.length; i++) {
      const source = borne.src[i] ?? 0;
      const target = borne.dst[i] ?? 0;
      const tuple = (src.placeOf(source) ?? 0) * A.LIST_PLACES + (dst.placeOf(target) ?? 0);
      src.note(source, tuple);
      dst.note(target, tuple);
      const number = ((borne.rule[i] ?? 0) + 1) * NUMBER_GAP;
      const bound = this.#boundOf(source, target);
      if (number < (words[bound] ?? 0)) words[bound] = number;
      if (number < (lowest[tuple] ?? 0)) lowest[tuple] = number;
    }
    src.spread();
    dst.spread();
    this.#belowAll(lowest);
  }

  /** Bytes of the list in memory. */
  get bytes(): number {
    return this.#list.words.byteLength;
  }

  /** Place of a rule in the list, from 0 on; -1 if none has that number. */
  placeOf(number: number): number {
    const place = this.#lowerBound(number);
    return this.#numbers[place] === number ? place : -1;
  }

  /**
   * Puts a rule at a place (0 = before all others) and returns its number. Throws ListFullError where there is no room: the list must
   * then be built anew, and is not to be used any more.
   */
  insert(rule: ListRule, place: number): number {
    const before = this.#numbers[place - 1] ?? 0;
    const behind = this.#numbers[place] ?? before + 2 * NUMBER_GAP;
    const number = Math.floor((before + behind) / 2);
    if (number === before || number >= A.NO_RULE) throw new ListFullError('numbers');
    this.#list.put(A.LIST_VECTOR_SIZE / 4, 0);
    const source = this.#src.learn(rule.src, rule.srcLength);
    const target = this.#dst.learn(rule.dst, rule.dstLength);
    const [from, to] = [this.#src.placeOf(source), this.#dst.placeOf(target)];
    if (from === undefined || to === undefined) this.#insertLoose(rule, number);
    else {
      for (const bearer of this.#src.bearers(source)) {
        for (const other of this.#dst.bearers(target)) {
          this.#pairs.insert(bearer, other, rule, number);
          const bound = this.#boundOf(bearer, other);
          this.#list.put(bound, Math.min(number, this.#list.get(bound)));
          const tuple = from * A.LIST_PLACES + to;
          this.#below(tuple, number);
          this.#src.mark(bearer, tuple);
          this.#dst.mark(other, tuple);
        }
      }
    }
    this.#numbers.splice(place, 0, number);
    return number;
  }

  /** Takes a rule away that was put in under this number. */
  remove(rule: ListRule, number: number): void {
    const place = this.placeOf(number);
    if (place < 0) return;
    this.#numbers.splice(place, 1);
    this.#list.put(A.LIST_VECTOR_SIZE / 4, 0);
    const source = this.#src.index.get(rule.src, rule.srcLength);
    const target = this.#dst.index.get(rule.dst, rule.dstLength);
    if (this.#src.placeOf(source) === undefined || this.#dst.placeOf(target) === undefined) {
      this.#removeLoose(number);
      return;
    }
    for (const bearer of this.#src.bearers(source)) {
      for (const other of this.#dst.bearers(target)) {
        this.#pairs.remove(bearer, other, number);
      }
    }
  }

  /** Writes all of it into a memory's words, from word `base` on (a multiple of 16). */
  copy(memory: Uint32Array, base: number): void {
    this.#list.copy(memory, base);
  }

  /** Writes into a copy what changed since `settle`. */
  follow(memory: Uint32Array, base: number): void {
    this.#list.follow(memory, base);
  }

  /** All copies have followed. */
  settle(): void {
    this.#list.forget();
  }

  /** While building: notes for each pair of places the lowest number of its rules. */
  #belowAll(lowest: Float64Array): void {
    const { words } = this.#list;
    const at = this.#parts.below;
    for (let tuple = 0; tuple < lowest.length; tuple++) {
      const number = lowest[tuple] ?? 0;
      if (number === Number.POSITIVE_INFINITY) continue;
      const word = at + Math.min(number >>> this.#belowShift, A.BELOW_STEPS - 1) * 2 + (tuple >> 5);
      words[word] = (words[word] ?? 0) | (1 << (tuple & 31));
    }
    for (let word = at + 2; word < at + A.BELOW_STEPS * 2; word++)
      words[word] = (words[word] ?? 0) | (words[word - 2] ?? 0);
  }

  /** Notes that a pair of places has a rule with this number. */
  #below(tuple: number, number: number): void {
    const bit = 1 << (tuple & 31);
    const at = this.#parts.below + (tuple >> 5);
    for (let step = Math.min(number >>> this.#belowShift, A.BELOW_STEPS - 1); step < A.BELOW_STEPS; step++) {
      const word = at + step * 2;
      // Those above it have it as well.
      if ((this.#list.get(word) & bit) !== 0) return;
      this.#list.put(word, (this.#list.get(word) | bit) >>> 0);
    }
  }

  /** Word that holds the lowest number for the lengths of two prefixes. */
  #boundOf(src: number, dst: number): number {
    const groups = (this.#src.groupOf(src) << A.PREFIX_GROUP_BITS) | this.#dst.groupOf(dst);
    return this.#parts.bounds + groups;
  }

  #insertLoose(rule: ListRule, number: number): void {
    const count = this.#list.get(A.LIST_LOOSE_COUNT / 4);
    if (count === LOOSE_ROOM) throw new ListFullError('rules inside more prefixes than there are places');
    const range = ([lowest, highest]: Range) => (lowest | (highest << 16)) >>> 0;
    const words = [
      ...[rule.src, maskOf(rule.srcLength), rule.dst, maskOf(rule.dstLength)],
      ...[range(rule.srcPorts), range(rule.dstPorts), range(rule.protocols), number],
    ];
    for (const [i, word] of words.entries()) this.#list.put(this.#parts.loose + count * LOOSE + i, word);
    this.#list.put(A.LIST_LOOSE_COUNT / 4, count + 1);
  }

  #removeLoose(number: number): void {
    const last = this.#list.get(A.LIST_LOOSE_COUNT / 4) - 1;
    for (let i = 0; i <= last; i++) {
      const at = this.#parts.loose + i * LOOSE;
      if (this.#list.get(at + LOOSE - 1) !== number) continue;
      for (let word = 0; word < LOOSE; word++) {
        this.#list.put(at + word, this.#list.get(this.#parts.loose + last * LOOSE + word));
      }
      this.#list.put(A.LIST_LOOSE_COUNT / 4, last);
      return;
    }
  }

  #lowerBound(number: number): number {
    let low = 0;
    let high = this.#numbers.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((this.#numbers[middle] ?? 0) < number) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}
