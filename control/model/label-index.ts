import type { LabelSelector } from '../objects/types.js';
import { holds, type Labels, type Requirement, requirementsOf } from './selector.js';

/** So few members are looked at one by one; most namespaces never have more. */
const FEW = 16;

/**
 * What an index holds; it is in one at a time, which keeps its book here: a table of them would be made anew, with all of them looked up,
 * each time that so many came and went.
 */
export interface Labelled {
  /** By which it is selected; null while it is in no index. */
  labels: Labels | null;
  /** Among the members. */
  place: number;
}

/**
 * Inverted index over labels: key -> value -> members. A selector costs as much as its rarest requirement has members, not as
 * much as there are members; only a selector without any positive requirement walks them all.
 */
export class LabelIndex<M extends Labelled> {
  private readonly members: M[] = [];
  /** null while there are few members. */
  private byKey: ByKey<M> | null = null;

  get size(): number {
    return this.members.length;
  }

  /** Adds a member or changes its labels. */
  put(member: M, labels: Labels): void {
    const old = member.labels;
    if (old === labels) return;
    if (old === null) member.place = this.members.push(member) - 1;
    member.labels = labels;
    if (this.byKey !== null) refile(this.byKey, member, old ?? NONE, labels);
    else if (this.members.length > FEW) {
      this.byKey = new Map();
      for (const each of this.members) refile(this.byKey, each, NONE, each.labels ?? NONE);
    }
  }

  /** Takes a member out; one that is not in does nothing. */
  delete(member: M): void {
    const { labels, place } = member;
    if (labels === null) return;
    const last = this.members.pop();
    if (last !== undefined && last !== member) {
      this.members[place] = last;
      last.place = place;
    }
    member.labels = null;
    if (this.byKey !== null) refile(this.byKey, member, labels, NONE);
  }

  /** Members the selector matches, in no particular order. */
  select(selector: LabelSelector): Iterable<M> {
    const requirements = requirementsOf(selector);
    if (requirements.length === 0) return this.members;
    let from: readonly Iterable<M>[] = [this.members];
    let rest = requirements;
    if (this.byKey !== null) {
      let least = Number.POSITIVE_INFINITY;
      for (const requirement of requirements) {
        const sets = candidates(this.byKey, requirement);
        const size = sets === null ? Number.POSITIVE_INFINITY : sets.reduce((sum, set) => sum + set.size, 0);
        if (sets === null || size >= least) continue;
        least = size;
        from = sets;
        rest = requirements.filter((other) => other !== requirement);
      }
    }
    const found: M[] = [];
    for (const members of from) {
      for (const member of members) {
        const labels = member.labels ?? NONE;
        if (rest.every((requirement) => holds(requirement, labels))) found.push(member);
      }
    }
    return found;
  }
}

const NONE: Labels = {};

type ByKey<Id> = Map<string, Map<string, Set<Id>>>;

/** Moves a member from under its old labels to under the new; where they agree, it is there already. */
function refile<Id>(byKey: ByKey<Id>, id: Id, old: Labels, now: Labels): void {
  for (const key of Object.keys(old)) if (!hasToo(now, key, old)) unfile(byKey, id, key, old[key] ?? '');
  for (const key of Object.keys(now)) {
    if (hasToo(old, key, now)) continue;
    const values = getOrMake(byKey, key, () => new Map<string, Set<Id>>());
    getOrMake(values, now[key] ?? '', () => new Set<Id>()).add(id);
  }
}

function hasToo(labels: Labels, key: string, others: Labels): boolean {
  return Object.hasOwn(labels, key) && labels[key] === others[key];
}

function unfile<Id>(byKey: ByKey<Id>, id: Id, key: string, value: string): void {
  const values = byKey.get(key);
  const ids = values?.get(value);
  ids?.delete(id);
  if (ids?.size === 0) values?.delete(value);
  if (values?.size === 0) byKey.delete(key);
}

/** All that satisfy an In or Exists, and no other; the sets of different values do not overlap. null for other requirements. */
function candidates<Id>(
  byKey: ReadonlyMap<string, ReadonlyMap<string, ReadonlySet<Id>>>,
  { key, operator, values }: Requirement,
): readonly ReadonlySet<Id>[] | null {
  const byValue = byKey.get(key);
  if (operator === 'Exists') return [...(byValue?.values() ?? [])];
  if (operator === 'In') return values.flatMap((value) => byValue?.get(value) ?? []);
  return null;
}

/** A Map or a WeakMap. */
interface Table<K, V> {
  get(key: K): V | undefined;
  set(key: K, value: V): unknown;
}

export function getOrMake<K, V>(map: Table<K, V>, key: K, make: () => V): V {
  let value = map.get(key);
  if (value === undefined) {
    value = make();
    map.set(key, value);
  }
  return value;
}
