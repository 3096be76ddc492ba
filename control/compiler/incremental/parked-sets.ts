/**
 * Sets that nobody uses and that still follow their pods, since what was just dropped is often wanted again, and what will be wanted can
 * be followed ahead of time. How many there may be is limited by what they cost.
 */
import type { Key } from '../../ruleset/types.js';

/** On average each pod is in so many of them at most, which bounds what they cost when one changes. */
const MOST_PER_POD = 32;
/** So many addresses are in all of them: tens of MiB. */
const MOST_ADDRESSES = 2_000_000;
/** So many may be even where there are few pods. */
const FEWEST_ADDRESSES = 10_000;

interface Parkable {
  readonly key: Key;
  readonly bag: { readonly size: number };
}

export class ParkedSets<S extends Parkable> {
  /** The longest unused first. */
  readonly #sets = new Map<Key, S>();
  /** Addresses in these as they were parked; an empty set counts too. */
  readonly #sizes = new Map<Key, number>();
  #total = 0;

  has(key: Key): boolean {
    return this.#sets.has(key);
  }

  /** Whether there is no room for another one in a cluster of so many pods. */
  isFull(pods: number): boolean {
    return this.#total >= mostOf(pods);
  }

  add(set: S): void {
    const size = 1 + set.bag.size;
    this.#sets.set(set.key, set);
    this.#sizes.set(set.key, size);
    this.#total += size;
  }

  /** Takes the set of this key out; undefined if there is none. */
  take(key: Key): S | undefined {
    const set = this.#sets.get(key);
    this.#sets.delete(key);
    this.#total -= this.#sizes.get(key) ?? 0;
    this.#sizes.delete(key);
    return set;
  }

  /** Takes out what is too much for a cluster of so many pods, the longest unused first. */
  *takeSurplus(pods: number): Iterable<S> {
    const most = mostOf(pods);
    for (const set of this.#sets.values()) {
      if (this.#total <= most) return;
      this.take(set.key);
      yield set;
    }
  }
}

function mostOf(pods: number): number {
  return Math.min(Math.max(FEWEST_ADDRESSES, pods * MOST_PER_POD), MOST_ADDRESSES);
}
