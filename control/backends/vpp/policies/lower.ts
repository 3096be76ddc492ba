/**
 * From a policy to rules of the ACL plugin. Pure.
 *
 * VPP takes the first rule that matches; its tables cost by the number of different masks, that is of (prefix length, port given or
 * not) pairs. So the longest prefixes come first, each with no more than what distinguishes it from the prefix around it: an address
 * that a shorter prefix treats the same needs no rule, and nothing is said twice. Which tier decided is settled before (port-table.ts).
 */
import { InvalidInputError } from '../../../common/errors.js';
import type { Family } from '../../../common/ip.js';
import type { AddressSetItem, Cidr, Key, PolicyItem } from '../../../ruleset/types.js';
import {
  type AclRule,
  ALL_PORTS,
  EVERYWHERE,
  NO_FLAGS,
  type NotedRule,
  type Range,
  type RuleNote,
  SCTP,
  TCP,
  UDP,
} from './acl-rules.js';
import { type PortTable, PortTables, PROTOCOLS, type Segment, type Verdict } from './port-table.js';
import { type PrefixClass, prefixClasses } from './prefix-classes.js';
import { wholeBytes } from './whole-bytes.js';

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
  const told = new Map<string, readonly Difference[]>();
  const differencesOf = (node: PrefixClass): readonly Difference[] => {
    const name = `${node.id} in ${node.parent?.id ?? 'all'}`;
    const found =
      told.get(name) ??
      differences(policy.direction, tableOf(node), node.parent === null ? null : tableOf(node.parent));
    told.set(name, found);
    return found;
  };
  const rulesOf = (family: Family, nodes: readonly PrefixClass[]): NotedRule[] => {
    const rules: NotedRule[] = [];
    for (const node of nodes) {
      const found = differencesOf(node);
      if (found.length === 0) continue;
      for (const prefix of wholeBytes(family, node.cidr, node.length)) {
        for (const difference of found) rules.push(noted(policy.direction, family, prefix, difference));
      }
    }
    return rules;
  };
  return ([4, 6] as const).flatMap((family) => {
    const { hosts, blocks } = prefixClasses(family, sets);
    return [...widestFirst(rulesOf(family, hosts)), ...rulesOf(family, inOrder(blocks))];
  });
}

/**
 * Rules of addresses, none of which is inside another: port ranges first, whose mask leaves the port out. VPP puts a rule into the table
 * of an earlier one whose mask is part of its own, so that exact ports join it. What an address says of all protocols stays last.
 */
function widestFirst(rules: readonly NotedRule[]): readonly NotedRule[] {
  const ranks: readonly NotedRule[][] = [[], [], []];
  for (const each of rules) {
    const { protocol, destinationPorts: ports } = each.rule;
    ranks[protocol === 0 ? 2 : ports[0] === ports[1] ? 1 : 0]?.push(each);
  }
  return ranks.flat();
}

/**
 * Every block after those inside it, as the first rule that matches decides; of those that are free to move the shorter comes first, again
 * so that others join its table.
 */
function inOrder(blocks: readonly PrefixClass[]): readonly PrefixClass[] {
  const heights = new Map<PrefixClass, number>();
  // Those inside a block stand behind it.
  for (const node of [...blocks].reverse()) {
    const height = heights.get(node) ?? 0;
    heights.set(node, height);
    if (node.parent === null) continue;
    heights.set(node.parent, Math.max(heights.get(node.parent) ?? 0, height + 1));
  }
  const rank = (node: PrefixClass): number => heights.get(node) ?? 0;
  return [...blocks].sort((a, b) => rank(a) - rank(b) || a.length - b.length);
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
  readonly note: RuleNote;
  readonly protocol: number;
  readonly ports: Range;
}

function noted(
  direction: PolicyItem['direction'],
  family: Family,
  peer: Cidr,
  { note, protocol, ports }: Difference,
): NotedRule {
  const everywhere = EVERYWHERE[family];
  const ingress = direction === 'ingress';
  const rule: AclRule = {
    action: note.allowed ? 'reflect' : 'deny',
    source: ingress ? peer : everywhere,
    destination: ingress ? everywhere : peer,
    protocol,
    sourcePorts: ALL_PORTS,
    destinationPorts: ports,
    flags: NO_FLAGS,
  };
  return { rule, note };
}

/** What must be said in front of `around`, which decides all that is not; null = nothing follows, so everything is said. */
function differences(
  direction: PolicyItem['direction'],
  table: PortTable,
  around: PortTable | null,
): readonly Difference[] {
  if (table === around) return [];
  // A rule for all protocols hides what follows it: whatever is not as the rest must be said before it.
  const closes = table.other !== around?.other;
  const said = (segment: Segment, protocol: keyof typeof NUMBERS): boolean =>
    closes
      ? segment.verdict === table.other
      : (around?.[protocol] ?? []).some((same) => covers(same, segment));
  const noteOf = (verdict: Verdict): RuleNote => ({ ...verdict, direction });
  const found = PROTOCOLS.flatMap((protocol) =>
    table[protocol]
      .filter((segment) => !said(segment, protocol))
      .map(({ verdict, from, to }): Difference => {
        return { note: noteOf(verdict), protocol: NUMBERS[protocol], ports: [from, to] };
      }),
  );
  return closes ? [...found, { note: noteOf(table.other), protocol: 0, ports: ALL_PORTS }] : found;
}

function covers(outer: Segment, inner: Segment): boolean {
  return outer.verdict === inner.verdict && outer.from <= inner.from && inner.to <= outer.to;
}
