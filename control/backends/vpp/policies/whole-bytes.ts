/**
 * IPv6 prefixes as VPP can be trusted with. The ACL plugin of older releases (23.02 is one) compares a prefix whose length is no multiple
 * of 8 with the byte after the one it ends in, so that it matches other addresses than it says. None is written for any release.
 */
import { type Family, formatCidr, parseCidr, subnetAt } from '../../../common/ip.js';
import type { Cidr } from '../../../ruleset/types.js';

/** The prefix, or those of whole bytes that it consists of: 128 at most. */
export function wholeBytes(family: Family, cidr: Cidr, length: number): readonly Cidr[] {
  if (family === 4 || length % 8 === 0) return [cidr];
  const prefix = parseCidr(cidr);
  const whole = Math.ceil(length / 8) * 8;
  return Array.from({ length: 2 ** (whole - length) }, (_, i) => formatCidr(subnetAt(prefix, whole, i)));
}
