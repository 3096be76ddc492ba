/** What the store should hold, by the API: grows with listings and changes, and knows what is not honoured. No I/O. */

import { problemsOf } from '../model/problems.js';
import { fromJson } from '../objects/json.js';
import { OBJECTS_PREFIX } from '../objects/stored-keys.js';
import { objectKey } from '../objects/types.js';
import type { ObjectReference, Reduced } from './reduce.js';
import { RESOURCES, type ReflectedKind } from './resources.js';

export interface ObjectProblems {
  readonly reference: ObjectReference;
  readonly problems: readonly string[];
}

export class Wanted {
  readonly #json = new Map<string, string>();
  /** Keys of each kind, objects that are left out included. */
  readonly #keys = new Map<ReflectedKind, Set<string>>(RESOURCES.map(({ kind }) => [kind, new Set()]));
  readonly #problems = new Map<string, ObjectProblems>();
  readonly #references = new Map<string, ObjectReference>();
  readonly #listed = new Set<ReflectedKind>();

  /** Every kind was listed at least once. */
  get complete(): boolean {
    return this.#listed.size === RESOURCES.length;
  }

  /** Kinds that were not listed yet. */
  get missing(): readonly ReflectedKind[] {
    return RESOURCES.map(({ kind }) => kind).filter((kind) => !this.#listed.has(kind));
  }

  get(key: string): string | undefined {
    return this.#json.get(key);
  }

  keys(): IterableIterator<string> {
    return this.#json.keys();
  }

  /** Whether the API has an object of this kind without a namespace; one that is left out counts. */
  has(kind: ReflectedKind, name: string): boolean {
    return this.#keys.get(kind)?.has(`${OBJECTS_PREFIX}${objectKey(kind, null, name)}`) ?? false;
  }

  count(kind: ReflectedKind): number {
    return this.#keys.get(kind)?.size ?? 0;
  }

  problems(): readonly ObjectProblems[] {
    const own = [...this.#problems.values()];
    return [...own, ...this.#samePriority()];
  }

  problemCount(kind: ReflectedKind): number {
    let count = 0;
    for (const { reference } of this.#problems.values()) if (reference.kind === kind) count++;
    return count;
  }

  /** Takes a listing. Returns the keys that changed. */
  replace(kind: ReflectedKind, objects: readonly Reduced[]): readonly string[] {
    const old = this.#keys.get(kind) ?? new Set();
    const now = new Set(objects.map(({ key }) => key));
    const changed: string[] = [];
    for (const key of old) if (!now.has(key) && this.#drop(key)) changed.push(key);
    this.#keys.set(kind, now);
    for (const object of objects) if (this.#take(kind, object)) changed.push(object.key);
    this.#listed.add(kind);
    return changed;
  }

  /** Takes one object; true if what the store should hold changed. */
  put(kind: ReflectedKind, object: Reduced): boolean {
    this.#keys.get(kind)?.add(object.key);
    return this.#take(kind, object);
  }

  /** The key, if what the store should hold changed. */
  remove(kind: ReflectedKind, { namespace, name }: ObjectReference): string | null {
    const key = `${OBJECTS_PREFIX}${objectKey(kind, namespace, name)}`;
    this.#keys.get(kind)?.delete(key);
    return this.#drop(key) ? key : null;
  }

  #take(kind: ReflectedKind, { key, json, reference, problems }: Reduced): boolean {
    if (problems.length === 0) this.#problems.delete(key);
    else this.#problems.set(key, { reference, problems });
    if (kind === 'ClusterNetworkPolicy') this.#references.set(key, reference);
    if (this.#json.get(key) === (json ?? undefined)) return false;
    if (json === null) this.#json.delete(key);
    else this.#json.set(key, json);
    return true;
  }

  #drop(key: string): boolean {
    this.#problems.delete(key);
    this.#references.delete(key);
    return this.#json.delete(key);
  }

  /** What only several policies together show. */
  #samePriority(): readonly ObjectProblems[] {
    const policies = [...this.#references].flatMap(([key, reference]) => {
      const json = this.#json.get(key);
      return json === undefined ? [] : [{ reference, object: fromJson(json, key) }];
    });
    return problemsOf(
      policies.map(({ object }) => object),
      [],
    ).flatMap(({ object, field, message }) => {
      const found = policies.find((policy) => policy.object === object);
      if (found === undefined || field !== 'spec.priority') return [];
      return [{ reference: found.reference, problems: [`${field}: ${message}`] }];
    });
  }
}
