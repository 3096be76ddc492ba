import { getOrMake } from './label-index.js';
import { holds, type Labels, type Requirement } from './selector.js';

interface Entry<Id> {
  readonly id: Id;
  readonly requirements: readonly Requirement[];
  /** Where it is filed. */
  readonly buckets: readonly Bucket<Id>[];
}

type Bucket<Id> = Map<Id, Entry<Id>>;

/**
 * Many selectors, asked by labels: which of them match? The inverse of `LabelIndex`. Each selector is filed under one of its
 * requirements that needs a label to be there, the one with the fewest others at that time; so a question costs as much as there
 * are selectors that name one of the labels, not as much as there are selectors.
 */
export class SelectorIndex<Id> {
  private readonly entries = new Map<Id, Entry<Id>>();
  /** Key -> value -> selectors that need it. */
  private readonly byValue = new Map<string, Map<string, Bucket<Id>>>();
  /** Key -> selectors that need it with any value. */
  private readonly byKey = new Map<string, Bucket<Id>>();
  /** Selectors that match labels for what is not there. */
  private readonly rest: Bucket<Id> = new Map();

  get size(): number {
    return this.entries.size;
  }

  /** Adds a selector, or changes it. */
  put(id: Id, requirements: readonly Requirement[]): void {
    this.delete(id);
    let chosen: Requirement | null = null;
    let least = Number.POSITIVE_INFINITY;
    for (const requirement of requirements) {
      const load = this.load(requirement);
      if (load >= least) continue;
      chosen = requirement;
      least = load;
    }
    const entry = { id, requirements, buckets: this.bucketsOf(chosen) };
    this.entries.set(id, entry);
    for (const bucket of entry.buckets) bucket.set(id, entry);
  }

  delete(id: Id): void {
    const entry = this.entries.get(id);
    if (entry === undefined) return;
    this.entries.delete(id);
    for (const bucket of entry.buckets) bucket.delete(id);
    this.prune(entry);
  }

  ids(): Iterable<Id> {
    return this.entries.keys();
  }

  /** Selectors that match, in no particular order. */
  matching(labels: Labels): readonly Id[] {
    const found: Id[] = [];
    const add = (bucket: Bucket<Id> | undefined): void => {
      if (bucket === undefined) return;
      for (const { id, requirements } of bucket.values()) {
        if (requirements.every((requirement) => holds(requirement, labels))) found.push(id);
      }
    };
    for (const key of Object.keys(labels)) {
      add(this.byValue.get(key)?.get(labels[key] ?? ''));
      add(this.byKey.get(key));
    }
    add(this.rest);
    return found;
  }

  /** How many selectors are filed under the requirement already; infinite for one nothing can be filed under. */
  private load({ key, operator, values }: Requirement): number {
    if (operator === 'Exists') return this.byKey.get(key)?.size ?? 0;
    if (operator !== 'In') return Number.POSITIVE_INFINITY;
    const byValue = this.byValue.get(key);
    return values.reduce((sum, value) => sum + (byValue?.get(value)?.size ?? 0), 0);
  }

  /** A label has one value, so that a selector filed under several values is still found once. */
  private bucketsOf(requirement: Requirement | null): readonly Bucket<Id>[] {
    if (requirement === null) return [this.rest];
    const { key, operator, values } = requirement;
    if (operator === 'Exists') return [getOrMake(this.byKey, key, () => new Map())];
    const byValue = getOrMake(this.byValue, key, () => new Map<string, Bucket<Id>>());
    return values.map((value) => getOrMake(byValue, value, () => new Map()));
  }

  /** Empty buckets go, so that labels long gone cost nothing. */
  private prune({ requirements, buckets }: Entry<Id>): void {
    if (!buckets.some((bucket) => bucket.size === 0)) return;
    for (const { key, values } of requirements) {
      if (this.byKey.get(key)?.size === 0) this.byKey.delete(key);
      const byValue = this.byValue.get(key);
      if (byValue === undefined) continue;
      for (const value of values) if (byValue.get(value)?.size === 0) byValue.delete(value);
      if (byValue.size === 0) this.byValue.delete(key);
    }
  }
}
