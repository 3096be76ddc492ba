import { addressSet, changedSet, isLong } from '../../ruleset/address-versions.js';
import type { AddressDelta, AddressSetItem, Ip, Key } from '../../ruleset/types.js';

/**
 * The addresses of one set. Who adds and removes them knows which it has, so that nothing is looked up in it: what a change costs does
 * not go with how many there are. Changes gather until `settle` turns them into the next item.
 */
export class AddressBag {
  #item: AddressSetItem;
  #size: number;
  /** Addresses that came or went since the last `settle`, as often as they did, and which of the two it was. */
  #moved: Ip[] = [];
  #came: boolean[] = [];

  /** Of distinct addresses. */
  constructor(
    readonly key: Key,
    addresses: readonly Ip[],
  ) {
    this.#item = addressSet(key, [...addresses].sort());
    this.#size = addresses.length;
  }

  /** As of the last `settle`. */
  get item(): AddressSetItem {
    return this.#item;
  }

  /** How many addresses it has now. */
  get size(): number {
    return this.#size;
  }

  /** Changes that `settle` has to take in. */
  get unsettled(): number {
    return this.#moved.length;
  }

  /** Takes in an address that it does not have. */
  add(address: Ip): void {
    this.#moved.push(address);
    this.#came.push(true);
    this.#size++;
  }

  /** Lets go of an address that it has. */
  remove(address: Ip): void {
    this.#moved.push(address);
    this.#came.push(false);
    this.#size--;
  }

  /** Takes the changes since the last call into the item; null if they come to nothing. */
  settle(): AddressDelta | null {
    if (this.#moved.length === 0) return null;
    const added: Ip[] = [];
    const removed: Ip[] = [];
    for (const [address, came] of this.#net()) (came ? added : removed).push(address);
    this.#moved = [];
    this.#came = [];
    if (added.length === 0 && removed.length === 0) return null;
    if (added.length > 1) added.sort();
    if (removed.length > 1) removed.sort();
    const delta = { added, removed };
    this.#item = changedSet(this.#item, delta);
    return delta;
  }

  /** Whether there is something that `tidy` would do. */
  get isUntidy(): boolean {
    return isLong(this.#item);
  }

  /** Lays out the item, which spares a later change that, and changes nothing that anybody sees. */
  tidy(): void {
    if (this.isUntidy) void this.#item.addresses.length;
  }

  /** Of what came and went again, nothing is left. */
  #net(): Iterable<readonly [Ip, boolean]> {
    const [only, second] = this.#moved;
    if (only !== undefined && second === undefined) return [[only, this.#came[0] ?? false]];
    const net = new Map<Ip, boolean>();
    for (const [i, address] of this.#moved.entries()) {
      if (!net.delete(address)) net.set(address, this.#came[i] ?? false);
    }
    return net;
  }
}

/** A bag that counts: an address that was added twice stays until it was removed twice. */
export class CountingBag {
  readonly bag: AddressBag;
  readonly #counts = new Map<Ip, number>();

  constructor(key: Key) {
    this.bag = new AddressBag(key, []);
  }

  add(address: Ip): void {
    const count = this.#counts.get(address) ?? 0;
    this.#counts.set(address, count + 1);
    if (count === 0) this.bag.add(address);
  }

  /** Lets go of an address that was added. */
  remove(address: Ip): void {
    const count = this.#counts.get(address) ?? 0;
    if (count > 1) this.#counts.set(address, count - 1);
    else if (this.#counts.delete(address)) this.bag.remove(address);
  }
}
