/** What differs between two versions of a policy that lists thousands of peers, of which few come or go. Pure. */
import { sameList, withoutEnds } from '../../common/ends.js';
import type { Key, Origin, PolicyItem, PolicyRule, PortRange } from '../../ruleset/types.js';

export interface PeerChange {
  /** Of the rule, in both versions. */
  readonly place: number;
  readonly peer: Key;
  /** It comes, or else goes. */
  readonly comes: boolean;
}

/** More changes than this are not worth telling one by one. */
const MOST = 64;

/** Policies with fewer peers are as well made anew. */
const LONG = 32;

/**
 * Keys of long policies that are new -> of those that go, and differ by little: a policy is named by what it says, so that one peer more
 * is another policy.
 */
export function replacements(
  gone: readonly PolicyItem[],
  come: readonly PolicyItem[],
): ReadonlyMap<Key, PolicyItem> {
  const found = new Map<Key, PolicyItem>();
  const free = new Map(gone.filter(isLong).map((item) => [likeness(item), item]));
  if (free.size === 0) return found;
  for (const item of come) {
    const name = likeness(item);
    const old = isLong(item) ? free.get(name) : undefined;
    if (old === undefined || peerChanges(old, item) === null) continue;
    free.delete(name);
    found.set(item.key, old);
  }
  return found;
}

function isLong({ rules }: PolicyItem): boolean {
  return rules.some(({ peers }) => (peers?.length ?? 0) >= LONG);
}

/** Alike for two that may differ by little. */
function likeness({ direction, rules, isolatedBy }: PolicyItem): string {
  return JSON.stringify([direction, isolatedBy, rules.map(({ origin }) => origin)]);
}

/** The peers that come and go by rule; null where the versions differ in anything else, or in many peers. */
export function peerChanges(old: PolicyItem, now: PolicyItem): readonly PeerChange[] | null {
  if (old.direction !== now.direction || old.rules.length !== now.rules.length) return null;
  if (!sameList(old.isolatedBy, now.isolatedBy, sameOrigin)) return null;
  const changes: PeerChange[] = [];
  for (const [place, rule] of now.rules.entries()) {
    const before = old.rules[place];
    if (before === undefined || !sameButPeers(before, rule)) return null;
    const found = differences(before.peers ?? [], rule.peers ?? []);
    if (found === null || changes.length + found.length > MOST) return null;
    for (const [peer, comes] of found) changes.push({ place, peer, comes });
  }
  return changes;
}

function differences(old: readonly Key[], now: readonly Key[]): readonly (readonly [Key, boolean])[] | null {
  const [before, after] = withoutEnds(old, now);
  const [were, are] = [new Set(before), new Set(after)];
  const gone = [...were].filter((peer) => !are.has(peer));
  const come = [...are].filter((peer) => !were.has(peer));
  if (gone.length + come.length > MOST) return null;
  // A list may name a peer twice.
  return [
    ...gone.filter((peer) => !now.includes(peer)).map((peer) => [peer, false] as const),
    ...come.filter((peer) => !old.includes(peer)).map((peer) => [peer, true] as const),
  ];
}

function sameButPeers(a: PolicyRule, b: PolicyRule): boolean {
  return (
    a.tier === b.tier &&
    a.action === b.action &&
    (a.peers === null) === (b.peers === null) &&
    sameOrigin(a.origin, b.origin) &&
    (a.ports === null || b.ports === null ? a.ports === b.ports : sameList(a.ports, b.ports, samePorts))
  );
}

function sameOrigin(a: Origin, b: Origin): boolean {
  return a.kind === b.kind && a.namespace === b.namespace && a.name === b.name && a.field === b.field;
}

function samePorts(a: PortRange, b: PortRange): boolean {
  return a.protocol === b.protocol && a.from === b.from && a.to === b.to;
}
