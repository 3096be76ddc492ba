/** Source NAT: header words, and which addresses may be translated and which destinations keep the source. */
import * as L from '../../../dataplane-as/layout/index.js';
import type { Cidr, SnatItem } from '../../ruleset/types.js';
import { firstIp4 } from './bytes.js';
import { firstIp6, parsePrefix } from './bytes6.js';
import type { CellStore } from './cells.js';
import type { LongestPrefix } from './lpm.js';

/** Above node ports (30000-32767) and what hosts listen on; a port in use by another connection is passed over. */
const FIRST_PORT = 32768;
const LAST_PORT = 65535;

/** Replaces one SNAT item by another. */
export function putSnat(
  cells: CellStore,
  lpm: LongestPrefix,
  old: SnatItem | undefined,
  now: SnatItem | undefined,
): void {
  const before = prefixesOf(old);
  const after = prefixesOf(now);
  for (const [unit, { space, cidr }] of before) {
    if (!after.has(unit)) lpm.delete(unit, space, parsePrefix(cidr));
  }
  for (const [unit, { space, cidr }] of after) {
    lpm.set(unit, 'snat', space, parsePrefix(cidr), 1);
  }
  if (now === undefined) {
    cells.set('snat', null);
    return;
  }
  const words = [firstIp4(now.addresses), FIRST_PORT, LAST_PORT, firstIp4(now.hairpin)];
  const words6 = [...firstIp6(now.addresses), ...firstIp6(now.hairpin)];
  const rows = [
    { at: L.IMG_SNAT4, words },
    { at: L.IMG_SNAT6, words: words6 },
  ];
  cells.set('snat', { owner: 'snat', rows });
}

/** The units of the SNAT item, for reading it back. */
export function unitsOfSnat(lpm: LongestPrefix, item: SnatItem): string[] {
  const units = ['snat'];
  for (const [unit, { space, cidr }] of prefixesOf(item)) {
    units.push(unit, ...lpm.unitsOf(space, parsePrefix(cidr)));
  }
  return units;
}

function prefixesOf(item: SnatItem | undefined): Map<string, { space: number; cidr: Cidr }> {
  const prefixes = new Map<string, { space: number; cidr: Cidr }>();
  for (const cidr of item?.sources ?? []) {
    prefixes.set(`snat source ${cidr}`, { space: L.SPACE_SNAT_SOURCE, cidr });
  }
  for (const cidr of item?.exclude ?? []) {
    prefixes.set(`snat exclude ${cidr}`, { space: L.SPACE_SNAT_EXCLUDE, cidr });
  }
  return prefixes;
}
