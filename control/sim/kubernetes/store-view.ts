/** Whether the store holds what the API server has: ksr has written everything, and nothing else is there. */
import { reduce } from '../../ksr/reduce.js';
import { RESOURCES } from '../../ksr/resources.js';
import { OBJECTS_PREFIX } from '../../objects/stored-keys.js';
import type { Store } from '../../store/store.js';
import { type Followed, followPrefix } from '../follow-store.js';
import type { ApiObject } from './api.js';
import type { ApiCache } from './cache.js';

/** An object's place in the store and what has to stand there; null = nothing. */
type Reflected = readonly [key: string, json: string | null];

export class StoreView {
  readonly #values = new Map<string, string>();
  readonly #reflected = new WeakMap<ApiObject, Reflected>();
  readonly #followed: Followed;
  #revision = 0;

  constructor(
    store: Store,
    /** As ksr has it. */
    private readonly externalIPCIDRs: readonly string[],
    /** Called after every change. */
    private readonly changed: () => void,
  ) {
    this.#followed = followPrefix(store, OBJECTS_PREFIX, {
      put: ({ key, value }) => {
        this.#values.set(key, value);
      },
      deleted: (key) => {
        this.#values.delete(key);
      },
      revision: (revision) => {
        this.#revision = revision;
        this.changed();
      },
    });
  }

  /** Store revision up to which it is known. */
  get revision(): number {
    return this.#revision;
  }

  /** Name of an object that the store does not have as the API has it; null = it has everything. */
  behind(cache: ApiCache): string | null {
    const wanted = new Set<string>();
    for (const resource of RESOURCES) {
      for (const object of cache.all(resource.kind).values()) {
        const [key, json] = this.#reduce(resource, object);
        if (json !== null) wanted.add(key);
        if ((this.#values.get(key) ?? null) !== json) return key.slice(OBJECTS_PREFIX.length);
      }
    }
    for (const key of this.#values.keys()) if (!wanted.has(key)) return key.slice(OBJECTS_PREFIX.length);
    return null;
  }

  close(): void {
    this.#followed.close();
  }

  #reduce(resource: (typeof RESOURCES)[number], object: ApiObject): Reflected {
    const known = this.#reflected.get(object);
    if (known !== undefined) return known;
    const reduced = reduce(resource, object, this.externalIPCIDRs);
    const reflected: Reflected = reduced === null ? ['', null] : [reduced.key, reduced.json];
    this.#reflected.set(object, reflected);
    return reflected;
  }
}
