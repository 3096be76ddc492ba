/** Addresses as the fewest prefixes that hold exactly them. */
import { bitsOf, type Family, formatCidr, parseIp } from '../../../common/ip.js';
import type { Cidr, Ip } from '../../../ruleset/types.js';

/** Of one family, each given once. */
export function aggregate(
  family: Family,
  addresses: readonly Ip[],
): { readonly cidr: Cidr; readonly length: number; readonly value: bigint }[] {
  const bits = bitsOf(family);
  const values = addresses.map((address) => parseIp(address).value).sort((a, b) => (a < b ? -1 : 1));
  const found: { value: bigint; length: number }[] = [];
  for (const value of values) {
    let [start, length] = [value, bits];
    for (let before = found.at(-1); before?.length === length; before = found.at(-1)) {
      const size = 1n << BigInt(bits - length);
      // The lower half of what holds both.
      if (before.value + size !== start || (before.value & size) !== 0n) break;
      found.pop();
      start = before.value;
      length--;
    }
    found.push({ value: start, length });
  }
  return found.map(({ value, length }) => ({ cidr: formatCidr({ family, value, length }), length, value }));
}
