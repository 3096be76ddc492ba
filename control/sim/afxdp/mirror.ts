/** The objects that give names to addresses, kept at hand from the store. */
import { fromJson } from '../../objects/json.js';
import { OBJECTS_PREFIX } from '../../objects/stored-keys.js';
import type { EndpointSlice, KubeObject, Pod, Service } from '../../objects/types.js';
import type { Store } from '../../store/store.js';
import { type Followed, followPrefix } from '../follow-store.js';
import type { NameSources } from './hosts.js';

const KINDS = ['Service', 'EndpointSlice', 'Pod'] as const;

export class ObjectMirror {
  private readonly objects = new Map<string, KubeObject>();
  private readonly watches: readonly Followed[];

  constructor(store: Store) {
    this.watches = KINDS.map((kind) =>
      followPrefix(store, `${OBJECTS_PREFIX}${kind}/`, {
        put: ({ key, value }) => this.objects.set(key, fromJson(value)),
        deleted: (key) => this.objects.delete(key),
      }),
    );
  }

  sources(): NameSources {
    const all = [...this.objects.values()];
    return {
      services: all.filter((object): object is Service => object.kind === 'Service'),
      slices: all.filter((object): object is EndpointSlice => object.kind === 'EndpointSlice'),
      pods: all.filter((object): object is Pod => object.kind === 'Pod'),
    };
  }

  close(): void {
    for (const watch of this.watches) watch.close();
  }
}
