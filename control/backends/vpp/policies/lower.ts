/**
 * From a policy to rules of the ACL plugin. Pure.
 *
 * VPP takes the first rule that matches; its tables cost by the number of different masks, that is of (prefix length, port given or
 * not) pairs. So the longest prefixes come first, each with no more than what distinguishes it from the prefix around it: an address
 * that a shorter prefix treats the same needs no rule, and nothing is said twice. Which tier decided is settled before (port-table.ts).
 */
import { InvalidInputError } from '../../../common/errors.js';
import type { AddressSetItem, Key, PolicyItem } from '../../../ruleset/types.js';
import { ALL_PORTS, aclRule, type NotedRule, SCTP, TCP, UDP } from './acl-rules.js';
import { type PortTable, PortTables, PROTOCOLS, type Segment, type Verdict } from './port-table.js';
import { type PrefixClass, prefixClasses } from './prefix-classes.js';

const NUMBERS = { TCP, UDP, SCTP } as const;

/** Rules that decide every packet of the direction, in order. `setOf` gives the address sets that the policy names. */
export function lowerPolicy(
  policy: PolicyItem,
  setOf: (key: Key) => AddressSetItem | undefined,
): NotedRule[] {
  const keys = [...new Set(policy.rules.flatMap(({ peers }) => peers ?? []))];
  const sets = keys.map((key) => {
    const set = setOf(key);
    if (set === undefined)
      throw new InvalidInputError(`names ${key}, which is not there`, { object: policy.key });
    return set;
  });
  const askers = rulesOfSets(policy, keys);
  const tables = new PortTables(policy);
  const known = new Map<string, PortTable>();
  const tableOf = ({ id, sets: inside }: PrefixClass): PortTable => {
    const table = known.get(id) ?? tables.of(askers(inside));
    known.set(id, table);
    return table;
  };
  return ([4, 6] as const).flatMap((family) => {
    const classes = [...prefixClasses(family, sets)].sort((a, b) => b.length - a.length);
    return classes.flatMap((node) =>
      differences(tableOf(node), node.parent === null ? null : tableOf(node.parent)).map(
        ({ verdict, protocol, from, to }): NotedRule => ({
          rule: aclRule(verdict.allowed ? 'reflect' : 'deny', family, {
            ...(policy.direction === 'ingress' ? { source: node.cidr } : { destination: node.cidr }),
            protocol,
            destinationPorts: protocol === 0 ? ALL_PORTS : [from, to],
          }),
          note: { ...verdict, direction: policy.direction },
        }),
      ),
    );
  });
}

/** Rules that match a peer which is in some of the sets: those without peers match everyone. */
function rulesOfSets(
  policy: PolicyItem,
  keys: readonly Key[],
): (sets: ReadonlySet<number>) => ReadonlySet<number> {
  const everyone: number[] = [];
  const bySet: number[][] = keys.map(() => []);
  const indexes = new Map(keys.map((key, i) => [key, i]));
  for (const [rule, { peers }] of policy.rules.entries()) {
    if (peers === null) everyone.push(rule);
    for (const peer of peers ?? []) bySet[indexes.get(peer) as number]?.push(rule);
  }
  return (sets) => new Set([...everyone, ...[...sets].flatMap((set) => bySet[set] ?? [])]);
}

interface Difference {
  readonly verdict: Verdict;
  readonly protocol: number;
  readonly from: number;
  readonly to: number;
}

/** What must be said in front of `around`, which decides all that is not; null = nothing follows, so everything is said. */
function differences(table: PortTable, around: PortTable | null): Difference[] {
  if (table === around) return [];
  // A rule for all protocols hides what follows it: whatever is not as the rest must be said before it.
  const closes = table.other !== around?.other;
  const found = PROTOCOLS.flatMap((protocol) =>
    table[protocol]
      .filter((segment) =>
        closes
          ? segment.verdict !== table.other
          : !(around?.[protocol] ?? []).some((same) => covers(same, segment)),
      )
      .map((segment) => ({ ...segment, protocol: NUMBERS[protocol] })),
  );
  return closes
    ? [...found, { verdict: table.other, protocol: 0, from: ALL_PORTS[0], to: ALL_PORTS[1] }]
    : found;
}

function covers(outer: Segment, inner: Segment): boolean {
  return outer.verdict === inner.verdict && outer.from <= inner.from && inner.to <= outer.to;
}
