/** Everything the simulator's controllers look at: all objects of all kinds we know, kept at hand by watches. */
import { errorText } from '../../common/errors.js';
import { parseApiObject } from '../../objects/manifest.js';
import type { KubeObject } from '../../objects/types.js';
import type { ApiClient, ApiObject } from './api.js';
import { ApiError } from './errors.js';
import { Follower } from './follow.js';
import { collectionPath, KINDS } from './kinds.js';

export interface CacheChange {
  readonly kind: string;
  /** null: it is gone. */
  readonly object: ApiObject | null;
  /** null: it is new. */
  readonly old: ApiObject | null;
}

type Listener = (change: CacheChange) => void;

const NOTHING: ReadonlyMap<string, ApiObject> = new Map();

export class ApiCache {
  readonly #followers = new Map<string, Follower>();
  readonly #listeners = new Set<Listener>();
  /** Read once for each version of an object. */
  readonly #typed = new WeakMap<ApiObject, KubeObject | null>();

  private constructor(private readonly log: (line: string) => void) {}

  /** Resolves when all that is there is at hand. A kind the server does not know (a CRD not installed) is empty. */
  static async start(api: ApiClient, log: (line: string) => void): Promise<ApiCache> {
    const cache = new ApiCache(log);
    const start = async (kind: string, path: string): Promise<void> => {
      const changed = (object: ApiObject | null, old: ApiObject | null) => {
        for (const listener of cache.#listeners) listener({ kind, object, old });
      };
      try {
        cache.#followers.set(kind, await Follower.start({ api, path, changed, log }));
      } catch (error) {
        if (!(error instanceof ApiError && error.code === 404)) throw error;
      }
    };
    try {
      await Promise.all(KINDS.map((of) => start(of.kind, collectionPath(of))));
    } catch (error) {
      await cache.close();
      throw error;
    }
    return cache;
  }

  /** By `NS/NAME`, or `NAME`. */
  all(kind: string): ReadonlyMap<string, ApiObject> {
    return this.#followers.get(kind)?.objects ?? NOTHING;
  }

  get(kind: string, key: string): ApiObject | undefined {
    return this.all(kind).get(key);
  }

  /** Whether the API has this kind. */
  has(kind: string): boolean {
    return this.#followers.has(kind);
  }

  /** The object as the network reads it; null where it cannot be read (told once). */
  typed(object: ApiObject): KubeObject | null {
    const known = this.#typed.get(object);
    if (known !== undefined) return known;
    let value: KubeObject | null = null;
    try {
      value = parseApiObject(object);
    } catch (error) {
      this.log(`not understood: ${errorText(error)}`);
    }
    this.#typed.set(object, value);
    return value;
  }

  /** All objects of a kind, as the network reads them. */
  typedAll<K extends KubeObject['kind']>(kind: K): readonly Extract<KubeObject, { kind: K }>[] {
    return [...this.all(kind).values()]
      .map((object) => this.typed(object))
      .filter((object): object is Extract<KubeObject, { kind: K }> => object?.kind === kind);
  }

  /** Told of every change from now on; returns what ends it. */
  listen(listener: Listener): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** Asks the server what it has now; what comes back says whether all of that was seen here. Throws ApiError. */
  async mark(): Promise<() => boolean> {
    const seen = await Promise.all([...this.#followers.values()].map((follower) => follower.mark()));
    return () => seen.every((one) => one());
  }

  async close(): Promise<void> {
    this.#listeners.clear();
    await Promise.all([...this.#followers.values()].map((follower) => follower.close()));
  }
}
