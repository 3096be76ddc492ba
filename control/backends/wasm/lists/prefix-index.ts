/** Numbers for prefixes, from 1 on: an open-addressing table, as lists hold tens of thousands of them. */
import { HASH_A, HASH_C } from '../../../../dataplane-as/layout/index.js';

export class PrefixIndex {
  #slots: Uint32Array;
  #shift: number;
  /** By number; number 0 is unused. */
  addresses: Uint32Array;
  lengths: Uint8Array;
  count = 0;

  /** Room for `expected` prefixes, and more when they come. */
  constructor(expected: number) {
    const log2 = Math.max(4, Math.ceil(Math.log2(expected * 2 + 2)));
    this.#slots = new Uint32Array(1 << log2);
    this.#shift = 32 - log2;
    this.addresses = new Uint32Array(expected + 1);
    this.lengths = new Uint8Array(expected + 1);
  }

  /** The prefix's number, 0 if it has none. Host bits must be 0. */
  get(address: number, length: number): number {
    return this.#slots[this.#find(address, length)] ?? 0;
  }

  /** The prefix's number; a new one if it has none. */
  add(address: number, length: number): number {
    const slot = this.#find(address, length);
    const known = this.#slots[slot] ?? 0;
    if (known !== 0) return known;
    const number = ++this.count;
    if (number >= this.addresses.length) this.#growArrays();
    this.addresses[number] = address;
    this.lengths[number] = length;
    this.#slots[slot] = number;
    if (this.count * 2 > this.#slots.length) this.#growSlots();
    return number;
  }

  #find(address: number, length: number): number {
    const mask = this.#slots.length - 1;
    let slot = (Math.imul(address, HASH_A) ^ Math.imul(length + 1, HASH_C)) >>> this.#shift;
    for (;;) {
      const number = this.#slots[slot] ?? 0;
      if (number === 0) return slot;
      if (this.addresses[number] === address && this.lengths[number] === length) return slot;
      slot = (slot + 1) & mask;
    }
  }

  #growArrays(): void {
    const addresses = new Uint32Array(this.addresses.length * 2);
    const lengths = new Uint8Array(this.addresses.length * 2);
    addresses.set(this.addresses);
    lengths.set(this.lengths);
    this.addresses = addresses;
    this.lengths = lengths;
  }

  #growSlots(): void {
    this.#slots = new Uint32Array(this.#slots.length * 2);
    this.#shift--;
    for (let number = 1; number <= this.count; number++) {
      const slot = this.#find(this.addresses[number] ?? 0, this.lengths[number] ?? 0);
      this.#slots[slot] = number;
    }
  }
}
