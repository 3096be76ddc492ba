import type { AddressDelta, AddressSetItem, Ip, Key } from '../../ruleset/types.js';
import { SortedTexts } from './sorted-texts.js';

/**
 * The addresses of one set, each counted: an address that two pods name (one of them is on its way out) stays until both have let
 * go of it. Changes gather until `settle` turns them into the next item.
 */
export class AddressBag {
  #list: SortedTexts;
  #item: AddressSetItem;
  /** How often an address is held beyond the first time. */
  readonly #extra = new Map<Ip, number>();
  #added = new Set<Ip>();
  #removed = new Set<Ip>();

  constructor(
    readonly key: Key,
    addresses: readonly Ip[],
  ) {
    const sorted = [...addresses].sort();
    const distinct: Ip[] = [];
    for (const address of sorted) {
      if (distinct.at(-1) === address) this.#extra.set(address, (this.#extra.get(address) ?? 0) + 1);
      else distinct.push(address);
    }
    this.#list = SortedTexts.of(distinct);
    this.#item = itemOf(key, this.#list);
  }

  /** As of the last `settle`. */
  get item(): AddressSetItem {
    return this.#item;
  }

  /** Distinct addresses now. */
  get size(): number {
    return this.#list.size + this.#added.size - this.#removed.size;
  }

  /** Changes that `settle` has to take in. */
  get unsettled(): number {
    return this.#added.size + this.#removed.size;
  }

  add(address: Ip): void {
    if (this.#has(address)) this.#extra.set(address, (this.#extra.get(address) ?? 0) + 1);
    else if (!this.#removed.delete(address)) this.#added.add(address);
  }

  /** Lets go of an address that was added. */
  remove(address: Ip): void {
    const extra = this.#extra.get(address) ?? 0;
    if (extra > 1) this.#extra.set(address, extra - 1);
    else if (extra === 1) this.#extra.delete(address);
    else if (!this.#added.delete(address)) this.#removed.add(address);
  }

  /** Takes the changes since the last call into the item; null if they come to nothing. */
  settle(): AddressDelta | null {
    if (this.#added.size === 0 && this.#removed.size === 0) return null;
    this.#list = this.#list.change(this.#added, this.#removed);
    this.#item = itemOf(this.key, this.#list);
    const delta = { added: sorted(this.#added), removed: sorted(this.#removed) };
    this.#added = new Set();
    this.#removed = new Set();
    return delta;
  }

  #has(address: Ip): boolean {
    return this.#added.has(address) || (this.#list.has(address) && !this.#removed.has(address));
  }
}

function sorted(addresses: ReadonlySet<Ip>): readonly Ip[] {
  const list = [...addresses];
  return list.length > 1 ? list.sort() : list;
}

const LIST = Symbol('list');

/**
 * The addresses are laid out in one array only when somebody reads them: who follows deltas need not. All items have one and the same
 * getter: with one of its own, each would be of a shape of its own to the engine, which keeps shapes, and lists with them, for long.
 */
const ADDRESSES: PropertyDescriptor & ThisType<{ readonly [LIST]: SortedTexts }> = {
  enumerable: true,
  get() {
    return this[LIST].toArray();
  },
};

function itemOf(key: Key, list: SortedTexts): AddressSetItem {
  const item = { kind: 'addressset', key, blocks: [] } as const;
  Object.defineProperty(item, LIST, { value: list });
  return Object.defineProperty(item, 'addresses', ADDRESSES) as AddressSetItem & typeof item;
}
