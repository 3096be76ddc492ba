/**
 * An access list as the pipeline's classifier reads it: built whole, then changed rule by rule. Rules have numbers with gaps between
 * them, so that one put in between leaves the others as they are. `copy` writes it into a memory; `follow` writes what changed since
 * into a copy, so that of two copies one can be in use while the other changes. A short list is answered by bit vectors until its first
 * change, after which a new one may be built when there is time.
 */
import * as A from '../../../../dataplane-as/lists/layout.js';
import { type Borne, planPairs } from './pair-plan.js';
import { linesOf, Pairs } from './pairs.js';
import { packRanges } from './port-lines.js';
import { PrefixIndex } from './prefix-index.js';
import type { ListRule, Range } from './rule.js';
import { maskOf } from './rule.js';
import { Scratch } from './scratch.js';
import { Side } from './side.js';
import { bitVectors } from './vectors.js';
import { ListFullError, ListWords } from './words.js';

/** Between the numbers of neighbours when a list is built. */
export const NUMBER_GAP = 1024;
const LOOSE = A.LOOSE_SIZE / 4;
const BOUNDS = 2 ** (2 * A.PREFIX_GROUP_BITS);
const LINE = A.LINE_SIZE / 4;
const scratch = new Scratch();

export class AccessList {
  readonly #src: Side;
  readonly #dst: Side;
  readonly #list: ListWords;
  readonly #pairs: Pairs;
  readonly #boundsAt: number;
  readonly #looseAt: number;
  readonly #looseRoom: number;
  readonly #belowAt: number;
  readonly #belowShift: number;
  /** Numbers of all rules, in order. */
  readonly #numbers: number[];

  /**
   * Host bits of prefixes must be 0. Room is left for a quarter more of everything. `before` is a list that this one comes in place of, if
   * any: it is not to be used any more, as this one may take its memory.
   */
  constructor(rules: readonly ListRule[], before: AccessList | null = null) {
    scratch.reset();
    const short = rules.length <= A.VECTOR_RULES;
    const srcIndex = new PrefixIndex(rules.length);
    const dstIndex = new PrefixIndex(rules.length);
    const sources = scratch.words(rules.length);
    const targets = scratch.words(rules.length);
    for (let i = 0; i < rules.length; i++) {
      const rule = rules[i] as ListRule;
      sources[i] = srcIndex.add(rule.src, rule.srcLength);
      targets[i] = dstIndex.add(rule.dst, rule.dstLength);
    }
    const src = new Side(srcIndex, sources, short, scratch);
    const dst = new Side(dstIndex, targets, short, scratch);
    let end = A.LIST_HEADER_SIZE / 4;
    const take = (words: number): number => {
      const at = end;
      end += Math.ceil(words / 16) * 16;
      return at;
    };
    const borne = bear(src, dst, sources, targets);
    const levels = Math.max(src.locator.levels, dst.locator.levels);
    const plan = planPairs(borne, scratch);
    const ranges = packRanges(rules, scratch);
    const { log2 } = plan;
    const lineCount = linesOf(ranges, plan) + Math.ceil(borne.src.length / 4) + 64;
    this.#looseRoom = 64;
    const at = {
      ...{ srcTrie: take(src.locator.wordsWith(levels)), dstTrie: take(dst.locator.wordsWith(levels)) },
      ...{ srcClasses: take(src.classWords), dstClasses: take(dst.classWords) },
      ...{ table: take((A.BUCKET_SIZE / 4) << log2), lines: take(lineCount * LINE) },
      ...{ loose: take(this.#looseRoom * LOOSE), bounds: take(BOUNDS) },
      below: take(A.BELOW_STEPS * 2),
    };
    const bits = short ? bitVectors(ranges, src, dst, sources, targets, NUMBER_GAP, scratch) : null;
    const placed = (sections: readonly Uint32Array[] = []) =>
      sections.map((section) => ({ section, at: take(section.length) }));
    const [bitSections, partSections] = [placed(bits?.sections), placed(bits?.parts)];
    const list = new ListWords(end, before === null ? null : before.#list);
    for (const { section, at } of [...bitSections, ...partSections]) list.words.set(section, at);
    src.layOut(list, at.srcClasses);
    dst.layOut(list, at.dstClasses);
    src.locator.layOut(list, at.srcTrie, levels);
    dst.locator.layOut(list, at.dstTrie, levels);
    const { words } = list;
    const offsets = [at.srcTrie, at.dstTrie, at.srcClasses, at.dstClasses, at.table].map((word) => word * 4);
    words.set([
      ...offsets,
      log2,
      at.lines * 4,
      at.loose * 4,
      0,
      bits?.size ?? 0,
      ...bitSections.map(({ at }) => at * 4),
    ]);
    words.set(
      partSections.map(({ at }) => at * 4),
      A.LIST_SRC_PARTS / 4,
    );
    words[A.LIST_BOUNDS / 4] = at.bounds * 4;
    words[A.LIST_LEVELS / 4] = levels;
    this.#belowShift = Math.max(0, Math.ceil(Math.log2(((rules.length + 1) * NUMBER_GAP) / A.BELOW_STEPS)));
    words[A.LIST_BELOW_SHIFT / 4] = this.#belowShift;
    words[A.LIST_BELOW / 4] = at.below * 4;
    words.fill(A.NO_RULE, at.bounds, at.bounds + BOUNDS);
    this.#boundsAt = at.bounds;
    this.#belowAt = at.below;
    this.#src = src;
    this.#dst = dst;
    this.#list = list;
    this.#looseAt = at.loose;
    this.#pairs = new Pairs(list, { table: at.table, log2, lines: at.lines, lineCount });
    this.#numbers = rules.map((_, i) => (i + 1) * NUMBER_GAP);
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
    this.#pairs.fill(ranges, plan, NUMBER_GAP);
    list.forget();
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
    const at = this.#belowAt;
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
    const at = this.#belowAt + (tuple >> 5);
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
    return this.#boundsAt + groups;
  }

  #insertLoose(rule: ListRule, number: number): void {
    const count = this.#list.get(A.LIST_LOOSE_COUNT / 4);
    if (count === this.#looseRoom)
      throw new ListFullError('rules inside more prefixes than there are places');
    const range = ([lowest, highest]: Range) => (lowest | (highest << 16)) >>> 0;
    const words = [
      ...[rule.src, maskOf(rule.srcLength), rule.dst, maskOf(rule.dstLength)],
      ...[range(rule.srcPorts), range(rule.dstPorts), range(rule.protocols), number],
    ];
    for (const [i, word] of words.entries()) this.#list.put(this.#looseAt + count * LOOSE + i, word);
    this.#list.put(A.LIST_LOOSE_COUNT / 4, count + 1);
  }

  #removeLoose(number: number): void {
    const last = this.#list.get(A.LIST_LOOSE_COUNT / 4) - 1;
    for (let i = 0; i <= last; i++) {
      const at = this.#looseAt + i * LOOSE;
      if (this.#list.get(at + LOOSE - 1) !== number) continue;
      for (let word = 0; word < LOOSE; word++) {
        this.#list.put(at + word, this.#list.get(this.#looseAt + last * LOOSE + word));
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

/** Each rule for its pair of prefixes and for the pairs that stand in for it, in the rules' order. */
function bear(src: Side, dst: Side, sources: Uint32Array, targets: Uint32Array): Borne {
  if (!src.hasStandIns && !dst.hasStandIns) {
    const rule = scratch.words(sources.length);
    for (let i = 0; i < rule.length; i++) rule[i] = i;
    return { rule, src: sources, dst: targets };
  }
  const more: [number, number, number][] = [];
  for (let i = 0; i < sources.length; i++) {
    const [source, target] = [sources[i] ?? 0, targets[i] ?? 0];
    if (!src.isStoodIn(source) && !dst.isStoodIn(target)) continue;
    for (const bearer of src.bearers(source)) {
      for (const other of dst.bearers(target)) {
        if (bearer !== source || other !== target) more.push([i, bearer, other]);
      }
    }
  }
  const count = sources.length + more.length;
  const borne = { rule: new Uint32Array(count), src: new Uint32Array(count), dst: new Uint32Array(count) };
  let next = 0;
  let at = 0;
  for (let i = 0; i < sources.length; i++) {
    borne.rule[at] = i;
    borne.src[at] = sources[i] ?? 0;
    borne.dst[at++] = targets[i] ?? 0;
    for (; more[next]?.[0] === i; next++) {
      const [, bearer = 0, other = 0] = more[next] ?? [];
      borne.rule[at] = i;
      borne.src[at] = bearer;
      borne.dst[at++] = other;
    }
  }
  return borne;
}
