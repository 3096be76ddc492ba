/** Address sets in all their versions: a change costs what it changes, and an item that somebody keeps reads the same for ever. */
import type { AddressDelta, AddressSetItem, Ip, Key } from './types.js';

/** From one list to the next: an address in the log came if it was not there, and went if it was. */
interface Era {
  /** Sorted, each once. */
  readonly base: readonly Ip[];
  readonly log: Ip[];
}

/** With as many changes in the log as addresses in the list, but with no fewer than this, the list is made anew. */
const FEWEST_LOGGED = 256;

/** One change in the log for so many addresses, but no fewer than this, are enough to do that when there is time. */
const ADDRESSES_PER_LOGGED = 8;
const FEWEST_LONG = 64;

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

  /** Whether so much is in the log that versions after this one gain by its being laid out. */
  get isLong(): boolean {
    if (this.#era === null) return false;
    return this.logged >= Math.max(FEWEST_LONG, this.#era.base.length / ADDRESSES_PER_LOGGED);
  }

  /** With `added`, none of which it has, and without `removed`, all of which it has. Costs more where another version came after it. */
  next({ added, removed }: AddressDelta): AddressVersion {
    const era = this.#eraToLogIn();
    for (const address of added) era.log.push(address);
    for (const address of removed) era.log.push(address);
    return new AddressVersion(era, era.log.length);
  }

  #eraToLogIn(): Era {
    const era = this.#era;
    const isLast = era?.log.length === this.logged;
    if (era !== null && isLast && this.logged < Math.max(FEWEST_LOGGED, era.base.length)) return era;
    return { base: this.toArray(), log: [] };
  }
}

const VERSION = Symbol('version');

interface Versioned {
  readonly [VERSION]: AddressVersion;
}

/**
 * The addresses are laid out in one array only when somebody reads them. All items have one and the same getter: with one of its own,
 * each would be of a shape of its own to the engine, which keeps shapes, and versions with them, for long.
 */
const ADDRESSES: PropertyDescriptor & ThisType<Versioned> = {
  enumerable: true,
  get() {
    return this[VERSION].toArray();
  },
};

/** An address set of these addresses, sorted and distinct; the array belongs to it from here on. */
export function addressSet(key: Key, sorted: readonly Ip[]): AddressSetItem {
  return itemOf({ key, blocks: [] }, AddressVersion.of(sorted));
}

/** What `delta` makes of a set: a new item, to every reader as if it had been made anew. */
export function changedSet(old: AddressSetItem, delta: AddressDelta): AddressSetItem {
  const version = (old as Partial<Versioned>)[VERSION] ?? AddressVersion.of(old.addresses);
  return itemOf(old, version.next(delta));
}

/** Whether sets made of this one gain by its addresses being read before. */
export function isLong(set: AddressSetItem): boolean {
  return (set as Partial<Versioned>)[VERSION]?.isLong ?? false;
}

function itemOf({ key, blocks }: Pick<AddressSetItem, 'key' | 'blocks'>, version: AddressVersion) {
  const item = { kind: 'addressset', key, blocks } as const;
  Object.defineProperty(item, VERSION, { value: version });
  return Object.defineProperty(item, 'addresses', ADDRESSES) as AddressSetItem & typeof item;
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
