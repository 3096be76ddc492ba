/** What `show cnat snat-policy` prints: VPP tells it in no other way. Pure. */
import { canonicalCidr } from '../../../common/ip.js';
import { SNAT_LISTS, type SnatList } from './cnat-objects.js';

export interface SnatPolicy {
  readonly excluded: readonly string[];
  /** Interface names. */
  readonly lists: Readonly<Record<SnatList, ReadonlySet<string>>>;
}

const HEADINGS: Readonly<Record<string, SnatList>> = {
  'Included v4 interfaces:': 'include-v4',
  'Included v6 interfaces:': 'include-v6',
  'k8s pod interfaces:': 'k8s',
  'k8s host interfaces:': 'host',
};
/** `    0: 10.1.0.0/16 dst`, in older versions without the last word; the slot of the hash table comes first. */
const PREFIX = /^\s+\d+: ([0-9a-f.:]+\/\d+)( dst)?$/;

/** Unknown lines are passed over. */
export function parseSnatPolicy(text: string): SnatPolicy {
  const excluded: string[] = [];
  const lists = Object.fromEntries(SNAT_LISTS.map((list) => [list, new Set<string>()])) as Record<
    SnatList,
    Set<string>
  >;
  let list: SnatList | null = null;
  for (const line of text.split(/\r?\n/)) {
    const heading = HEADINGS[line.trim()];
    if (heading !== undefined) {
      list = heading;
    } else if (line.trim() !== '' && list !== null) {
      lists[list].add(line.trim());
    } else {
      const prefix = PREFIX.exec(line)?.[1];
      if (prefix !== undefined) excluded.push(canonicalCidr(prefix));
    }
  }
  return { excluded: excluded.sort(), lists };
}
