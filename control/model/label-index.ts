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
  private byKey: Map<string, Map<string, Set<Id>>> | null = null;

  get size(): number {
    return this.members.size;
  }

  /** Adds a member or changes its labels. */
  put(id: Id, labels: Labels): void {
    const old = this.members.get(id);
    if (old === labels) return;
    if (old !== undefined) this.delete(id);
    this.members.set(id, labels);
    if (this.byKey !== null) file(this.byKey, id, labels);
    else if (this.members.size > FEW) {
      this.byKey = new Map();
      for (const [member, its] of this.members) file(this.byKey, member, its);
    }
  }

  delete(id: Id): void {
    const labels = this.members.get(id);
    if (labels === undefined) return;
    this.members.delete(id);
    if (this.byKey === null) return;
    for (const key of Object.keys(labels)) {
      const value = labels[key] ?? '';
      const values = this.byKey.get(key);
      const ids = values?.get(value);
      ids?.delete(id);
      if (ids?.size === 0) values?.delete(value);
      if (values?.size === 0) this.byKey.delete(key);
    }
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

function file<Id>(byKey: Map<string, Map<string, Set<Id>>>, id: Id, labels: Labels): void {
  for (const key of Object.keys(labels)) {
    const values = getOrMake(byKey, key, () => new Map<string, Set<Id>>());
    getOrMake(values, labels[key] ?? '', () => new Set<Id>()).add(id);
  }
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
