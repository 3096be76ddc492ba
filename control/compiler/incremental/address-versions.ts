/** A set of addresses in all its versions: a change costs what it changes, and a version that somebody keeps reads the same for ever. */
import type { Ip } from '../../ruleset/types.js';

/** From one list to the next: an address in the log came if it was not there, and went if it was. */
interface Era {
  /** Sorted, each once. */
  readonly base: readonly Ip[];
  readonly log: Ip[];
}

/** So many changes at least are logged before the list is made anew; more where it is long: one for each so many addresses. */
const FEWEST_LOGGED = 64;
const ADDRESSES_PER_LOGGED = 8;

/**
 * The set as it was at one time. It is laid out when somebody reads it: who follows deltas need not. Until then it holds the list its era
 * began with and the log since, which has a bound: who keeps a version keeps no more than that, however many come after it.
 */
export class AddressVersion {
  #era: Era | null;
  #list: readonly Ip[] | null = null;

  private constructor(
    era: Era,
    private readonly logged: number,
  ) {
    this.#era = era;
  }

  /** Of addresses that are sorted and distinct. The array belongs to the version from here on. */
  static of(sorted: readonly Ip[]): AddressVersion {
    return new AddressVersion({ base: sorted, log: [] }, 0);
  }

  /** All addresses, in order of code units. Made once; must not be changed. */
  toArray(): readonly Ip[] {
    if (this.#era !== null) {
      this.#list = laidOut(this.#era.base, this.#era.log, this.logged);
      this.#era = null;
    }
    return this.#list ?? [];
  }

  /** How many addresses it holds on to, in its list and in the log, whether they are its own or came later. */
  get holds(): number {
    return this.#era === null ? this.toArray().length : this.#era.base.length + this.#era.log.length;
  }

  /** The version after this one, which must be the last one yet: with `added`, which it does not have, and without `removed`. */
  next(added: readonly Ip[], removed: readonly Ip[]): AddressVersion {
    const era = this.#lastEra();
    for (const address of added) era.log.push(address);
    for (const address of removed) era.log.push(address);
    return new AddressVersion(era, era.log.length);
  }

  #lastEra(): Era {
    const era = this.#era;
    if (era === null) return { base: this.toArray(), log: [] };
    const most = Math.max(FEWEST_LOGGED, era.base.length / ADDRESSES_PER_LOGGED);
    return era.log.length < most ? era : { base: this.toArray(), log: [] };
  }
}

/** What the first `logged` entries of the log make of the list. */
function laidOut(base: readonly Ip[], log: readonly Ip[], logged: number): readonly Ip[] {
  const moved = new Set<Ip>();
  for (let i = 0; i < logged; i++) {
    const address = log[i] ?? '';
    // Who came and went, or went and came, is where it was.
    if (!moved.delete(address)) moved.add(address);
  }
  if (moved.size === 0) return base;
  const list: Ip[] = [];
  let at = 0;
  for (const address of [...moved].sort()) {
    const place = lowerBound(base, address, at);
    for (; at < place; at++) list.push(base[at] ?? '');
    if (base[at] === address) at++;
    else list.push(address);
  }
  for (; at < base.length; at++) list.push(base[at] ?? '');
  return list;
}

/** Index of the first address from `low` on that is not before `address`. */
function lowerBound(sorted: readonly Ip[], address: Ip, low: number): number {
  let high = sorted.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((sorted[middle] ?? '') < address) low = middle + 1;
    else high = middle;
  }
  return low;
}
