/** IPv4 addresses as the fewest prefixes that hold exactly them. Sets have ten thousands of addresses: plain numbers, nothing in between. */
import type { Cidr, Ip } from '../../../ruleset/types.js';

export interface Aggregate {
  readonly cidr: Cidr;
  readonly length: number;
  /** The first address. */
  readonly value: number;
}

/** Of canonical addresses, each given once; sorted. */
export function aggregateIp4(addresses: readonly Ip[]): Aggregate[] {
  const values = Float64Array.from(addresses, numberOf).sort();
  const found: { value: number; length: number }[] = [];
  for (const value of values) {
    let [start, length] = [value, 32];
    for (let before = found.at(-1); before?.length === length; before = found.at(-1)) {
      const size = 2 ** (32 - length);
      // The lower half of what holds both.
      if (before.value + size !== start || before.value % (2 * size) !== 0) break;
      found.pop();
      start = before.value;
      length--;
    }
    found.push({ value: start, length });
  }
  return found.map(({ value, length }) => ({ cidr: cidrOf(value, length), length, value }));
}

const ZERO = 48;

function numberOf(address: Ip): number {
  let value = 0;
  let octet = 0;
  for (let i = 0; i < address.length; i++) {
    const digit = address.charCodeAt(i) - ZERO;
    if (digit >= 0) octet = 10 * octet + digit;
    else {
      value = 256 * value + octet;
      octet = 0;
    }
  }
  return 256 * value + octet;
}

function cidrOf(value: number, length: number): Cidr {
  return `${value >>> 24}.${(value >>> 16) & 255}.${(value >>> 8) & 255}.${value & 255}/${length}`;
}
