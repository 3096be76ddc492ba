/** What VPP holds of ours, as far as we know: as read, and as sent since. */
import type { ObjectKey, VppObject } from './types.js';

export class There {
  readonly #objects = new Map<ObjectKey, VppObject>();
  readonly #dependents = new Map<ObjectKey, Set<ObjectKey>>();

  get(key: ObjectKey): VppObject | undefined {
    return this.#objects.get(key);
  }

  keys(): Iterable<ObjectKey> {
    return this.#objects.keys();
  }

  values(): Iterable<VppObject> {
    return this.#objects.values();
  }

  /** Keys of the objects there that need this one. */
  dependents(key: ObjectKey): Iterable<ObjectKey> {
    return this.#dependents.get(key) ?? [];
  }

  set(object: VppObject): void {
    this.delete(object.key);
    this.#objects.set(object.key, object);
    for (const need of object.needs) {
      const dependents = this.#dependents.get(need);
      if (dependents === undefined) this.#dependents.set(need, new Set([object.key]));
      else dependents.add(object.key);
    }
  }

  delete(key: ObjectKey): void {
    const old = this.#objects.get(key);
    if (old === undefined) return;
    this.#objects.delete(key);
    for (const need of old.needs) {
      const dependents = this.#dependents.get(need);
      dependents?.delete(key);
      if (dependents?.size === 0) this.#dependents.delete(need);
    }
  }

  clear(): void {
    this.#objects.clear();
    this.#dependents.clear();
  }
}
