import type { LabelSelector } from '../objects/types.js';
import { holds, type Labels, type Requirement, requirementsOf } from './selector.js';

/** So few members are looked at one by one; most namespaces never have more. */
const FEW = 16;

/**
 * Inverted index over labels: key -> value -> members. A selector costs as much as its rarest requirement has members, not as
 * much as there are members; only a selector without any positive requirement walks them all.
 */
export class LabelIndex<Id> {
  private readonly members = new Map<Id, Labels>();
  /** null while there are few members. */
  private byKey: ByKey<Id> | null = null;

  get size(): number {
    return this.members.size;
  }

  /** Adds a member or changes its labels. */
  put(id: Id, labels: Labels): void {
    const old = this.members.get(id);
    if (old === labels) return;
    this.members.set(id, labels);
    if (this.byKey !== null) refile(this.byKey, id, old ?? NONE, labels);
    else if (this.members.size > FEW) {
      this.byKey = new Map();
      for (const [member, its] of this.members) refile(this.byKey, member, NONE, its);
    }
  }

  delete(id: Id): void {
    const labels = this.members.get(id);
    if (labels === undefined) return;
    this.members.delete(id);
    if (this.byKey !== null) refile(this.byKey, id, labels, NONE);
  }

  labelsOf(id: Id): Labels | undefined {
    return this.members.get(id);
  }

  /** Members the selector matches, in no particular order. */
  select(selector: LabelSelector): Iterable<Id> {
    const requirements = requirementsOf(selector);
    if (requirements.length === 0) return this.members.keys();
    let from: readonly Iterable<Id>[] = [this.members.keys()];
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
    const found: Id[] = [];
    for (const ids of from) {
      for (const id of ids) {
        const labels = this.members.get(id) ?? {};
        if (rest.every((requirement) => holds(requirement, labels))) found.push(id);
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
