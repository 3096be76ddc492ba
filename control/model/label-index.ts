import type { LabelSelector } from '../objects/types.js';
import { holds, type Labels, type Requirement, requirementsOf } from './selector.js';

const NONE: ReadonlySet<never> = new Set();

/**
 * Inverted index over labels: key -> value -> members. A selector costs as much as its rarest requirement has members, not as
 * much as there are members; only a selector without any positive requirement walks them all.
 */
export class LabelIndex<Id> {
  private readonly members = new Map<Id, Labels>();
  private readonly byKey = new Map<string, Map<string, Set<Id>>>();

  get size(): number {
    return this.members.size;
  }

  /** Adds a member or changes its labels. */
  put(id: Id, labels: Labels): void {
    const old = this.members.get(id);
    if (old === labels) return;
    if (old !== undefined) this.delete(id);
    this.members.set(id, labels);
    for (const [key, value] of Object.entries(labels)) {
      const values = getOrMake(this.byKey, key, () => new Map<string, Set<Id>>());
      getOrMake(values, value, () => new Set<Id>()).add(id);
    }
  }

  delete(id: Id): void {
    const labels = this.members.get(id);
    if (labels === undefined) return;
    this.members.delete(id);
    for (const [key, value] of Object.entries(labels)) {
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
    const positive = requirements.filter(({ operator }) => operator === 'In' || operator === 'Exists');
    const candidates = positive
      .map((requirement) => this.candidates(requirement))
      .sort((a, b) => a.size - b.size)[0];
    const from: Iterable<Id> = candidates ? candidates.members() : this.members.keys();
    return this.filter(from, requirements);
  }

  private *filter(ids: Iterable<Id>, requirements: readonly Requirement[]): Iterable<Id> {
    for (const id of ids) {
      const labels = this.members.get(id);
      if (labels !== undefined && requirements.every((requirement) => holds(requirement, labels))) yield id;
    }
  }

  /** The members that satisfy an In or Exists; the sets of different values do not overlap. */
  private candidates({ key, operator, values }: Requirement): { size: number; members: () => Iterable<Id> } {
    const byValue = this.byKey.get(key);
    const sets: ReadonlySet<Id>[] =
      byValue === undefined
        ? []
        : operator === 'Exists'
          ? [...byValue.values()]
          : values.map((value) => byValue.get(value) ?? NONE);
    return {
      size: sets.reduce((sum, set) => sum + set.size, 0),
      *members() {
        for (const set of sets) yield* set;
      },
    };
  }
}

export function getOrMake<K, V>(map: Map<K, V>, key: K, make: () => V): V {
  let value = map.get(key);
  if (value === undefined) {
    value = make();
    map.set(key, value);
  }
  return value;
}
