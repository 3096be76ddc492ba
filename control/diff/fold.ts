/**
 * Changes of pairs folded for a person: replicas into workloads, both families into one where they change alike, then sources and targets
 * that change alike into one entry. Pure.
 */
import type { Family } from '../common/ip.js';
import { getOrMake } from '../model/label-index.js';
import type { Judgement } from '../ruleset/evaluate.js';
import type { Origin } from '../ruleset/types.js';
import type { Because, PairChange, Ports } from './pairs.js';
import type { Party } from './parties.js';

export interface Entry {
  readonly opens: boolean;
  readonly from: readonly string[];
  readonly to: readonly string[];
  readonly ports: readonly Ports[];
  readonly because: readonly Because[];
  /** In which it changes. */
  readonly families: readonly Family[];
  /** Pairs of single pods, nodes and blocks of addresses behind it, whatever the number of families. */
  readonly pairs: number;
}

interface Draft {
  readonly change: PairChange;
  from: string[];
  to: string[];
  families: readonly Family[];
  pairs: number;
}

/** Openings first; each in the order of its first source. */
export function foldChanges(changes: Iterable<PairChange>, parties: readonly Party[]): readonly Entry[] {
  const sizes = new Map<string, number>();
  for (const { group, family } of parties) {
    const key = sizeKey(group, family);
    sizes.set(key, (sizes.get(key) ?? 0) + 1);
  }
  const byPair = grouped(
    changes,
    (change) => `${change.from.group} → ${change.to.group} IPv${change.from.family} ${kindOf(change)}`,
  );
  const drafts = byPair.map((same): Draft => {
    const [change] = same as [PairChange, ...PairChange[]];
    const { from, to } = change;
    const partial = same.length < expectedPairs(from, to, sizes);
    const named = (side: Party, members: readonly Party[]) =>
      partial && new Set(members).size < (sizes.get(sizeKey(side.group, side.family)) ?? 1)
        ? [...new Set(members.map(({ name }) => name))]
        : [side.group];
    return {
      change,
      from: named(
        from,
        same.map((c) => c.from),
      ),
      to: named(
        to,
        same.map((c) => c.to),
      ),
      families: [from.family],
      pairs: same.length,
    };
  });
  const byFamily = bothFamilies(drafts);
  const alike = ({ families, change }: Draft) => `${families.join()} ${kindOf(change)}`;
  const bySource = merge(byFamily, (draft) => `${draft.to.join()} ${alike(draft)}`, 'from');
  const byTarget = merge(bySource, (draft) => `${draft.from.join()} ${alike(draft)}`, 'to');
  const entries = byTarget.map(({ change, from, to, families, pairs }) => {
    const { opens, ports, because } = change;
    return { opens, from, to, ports, because, families, pairs };
  });
  return [...entries.filter(({ opens }) => opens), ...entries.filter(({ opens }) => !opens)];
}

/** The same pairs with the same change in each family are one. */
function bothFamilies(drafts: readonly Draft[]): readonly Draft[] {
  const sameEnds = ({ from, to, pairs, change }: Draft) =>
    `${from.join()} → ${to.join()} ${pairs} ${kindOf(change)}`;
  return grouped(drafts, sameEnds).map((same) => {
    const [first] = same as [Draft, ...Draft[]];
    return { ...first, families: same.flatMap(({ families }) => families) };
  });
}

function sizeKey(group: string, family: Family): string {
  return `${group} IPv${family}`;
}

/** A node's own pods are open to it whatever policies say, so a change never shows for those pairs. */
function expectedPairs(from: Party, to: Party, sizes: ReadonlyMap<string, number>): number {
  const size = ({ group, family }: Party): number => sizes.get(sizeKey(group, family)) ?? 1;
  const [sources, targets] = [size(from), size(to)];
  if (from.type === 'node') return 1;
  return from.group === to.group ? sources * (sources - 1) : sources * targets;
}

function kindOf({ opens, ports, because }: PairChange): string {
  const decided = because.map(({ direction, before, after }) => [direction, words(before), words(after)]);
  return JSON.stringify([opens, ports, decided]);
}

function words(judgement: Judgement | null): unknown {
  if (judgement === null) return null;
  const { by, origin, isolatedBy } = judgement;
  const name = ({ kind, namespace, name: own, field }: Origin) => [kind, namespace, own, field];
  return [by, origin === null ? null : name(origin), by === 'isolated' ? isolatedBy.map(name) : []];
}

function merge(
  drafts: readonly Draft[],
  keyOf: (draft: Draft) => string,
  side: 'from' | 'to',
): readonly Draft[] {
  return grouped(drafts, keyOf).map((same) => {
    const [first] = same as [Draft, ...Draft[]];
    const names = [...new Set(same.flatMap((draft) => draft[side]))].sort();
    return { ...first, [side]: names, pairs: same.reduce((sum, { pairs }) => sum + pairs, 0) };
  });
}

function grouped<T>(items: Iterable<T>, keyOf: (item: T) => string): readonly (readonly T[])[] {
  const groups = new Map<string, T[]>();
  for (const item of items) getOrMake(groups, keyOf(item), () => []).push(item);
  return [...groups.values()];
}
