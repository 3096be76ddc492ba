/** Whether the store holds what the API server has: ksr has written everything, and nothing else is there. */
import { toJson } from '../../objects/json.js';
import { type Kind, type KubeObject, objectKey } from '../../objects/types.js';
import type { Store } from '../../store/store.js';
import { OBJECTS_PREFIX } from '../afxdp/mirror.js';
import { type Followed, followPrefix } from '../follow-store.js';
import type { ApiCache } from './cache.js';

/** What ksr reflects. */
const REFLECTED: readonly Kind[] = [
  'Namespace',
  'Node',
  'Pod',
  'Service',
  'EndpointSlice',
  'NetworkPolicy',
  'ClusterNetworkPolicy',
];

export class StoreView {
  readonly #values = new Map<string, string>();
  readonly #texts = new WeakMap<KubeObject, string>();
  readonly #followed: Followed;
  #revision = 0;

  constructor(
    store: Store,
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
    for (const kind of REFLECTED) {
      for (const object of cache.typedAll(kind)) {
        const name = objectKey(kind, object.metadata.namespace, object.metadata.name);
        const key = `${OBJECTS_PREFIX}${name}`;
        wanted.add(key);
        if (this.#values.get(key) !== this.#text(object)) return name;
      }
    }
    for (const key of this.#values.keys()) if (!wanted.has(key)) return key.slice(OBJECTS_PREFIX.length);
    return null;
  }

  close(): void {
    this.#followed.close();
  }

  #text(object: KubeObject): string {
    let text = this.#texts.get(object);
    if (text === undefined) {
      text = toJson(object);
      this.#texts.set(object, text);
    }
    return text;
  }
}
