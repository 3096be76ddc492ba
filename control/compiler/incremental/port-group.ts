import type { PodSlot } from '../../model/model.js';
import { contentHash } from '../../ruleset/canonical.js';
import type { Ip, Key } from '../../ruleset/types.js';
import { type NamedPort, resolvePort } from '../ports.js';
import { CountingBag } from './address-bag.js';
import type { Output } from './output.js';

interface Share {
  readonly number: number;
  readonly addresses: readonly Ip[];
}

/** The destinations that have a port of one name, among some peers, by the number they give it: one address set for each number. */
export class PortGroup {
  uses = 0;
  /** As of the last `settle`: numbers and their sets, ascending. */
  numbers: readonly (readonly [number, Key])[] = [];
  readonly #shares = new Map<PodSlot, Share>();
  readonly #bags = new Map<number, CountingBag>();
  /** Numbers whose addresses changed. */
  #changed = new Set<number>();

  constructor(
    readonly id: string,
    readonly peers: readonly Key[] | null,
    readonly named: NamedPort,
    private readonly output: Output,
  ) {}

  pods(): Iterable<PodSlot> {
    return this.#shares.keys();
  }

  /** Takes a pod in, or changes it, with those of its addresses that the peers hold; with none forgets it. True if it is in. */
  put(slot: PodSlot, held: readonly Ip[]): boolean {
    const old = this.#shares.get(slot);
    if (old !== undefined) {
      const bag = this.#bags.get(old.number);
      for (const ip of old.addresses) bag?.remove(ip);
      this.#changed.add(old.number);
      this.#shares.delete(slot);
    }
    const number = held.length === 0 ? null : resolvePort(slot.pod, this.named);
    if (number === null) return false;
    let bag = this.#bags.get(number);
    if (bag === undefined) {
      const { peers, named } = this;
      bag = new CountingBag(`addressset/${contentHash({ peers, named, number })}`);
      this.#bags.set(number, bag);
    }
    const addresses = [...new Set(held)];
    for (const ip of addresses) bag.add(ip);
    this.#changed.add(number);
    this.#shares.set(slot, { number, addresses });
    return true;
  }

  /** Gives out the sets that changed. True if there are other numbers than before. */
  settle(): boolean {
    let renumbered = false;
    for (const number of this.#changed) {
      const bag = this.#bags.get(number)?.bag;
      if (bag === undefined) continue;
      const old = bag.item;
      const wasOut = this.numbers.some(([known]) => known === number);
      if (bag.size === 0) {
        this.#bags.delete(number);
        if (wasOut) this.output.remove(bag.key);
        renumbered ||= wasOut;
        continue;
      }
      const delta = bag.settle();
      if (!wasOut) this.output.put(bag.item);
      else if (delta !== null) this.output.updateSet(old, bag.item, delta);
      renumbered ||= !wasOut;
    }
    this.#changed = new Set();
    if (renumbered) {
      this.numbers = [...this.#bags]
        .sort(([a], [b]) => a - b)
        .map(([number, { bag }]): readonly [number, Key] => [number, bag.key]);
    }
    return renumbered;
  }

  /** Takes its sets back. */
  drop(): void {
    for (const [, key] of this.numbers) this.output.remove(key);
  }
}
