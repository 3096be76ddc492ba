/** The objects that give names to addresses, kept at hand from the store. */
import { fromJson } from '../../objects/json.js';
import type { EndpointSlice, KubeObject, Pod, Service } from '../../objects/types.js';
import type { Store, StoreEvent, Watch } from '../../store/store.js';
import type { NameSources } from './hosts.js';

export const OBJECTS_PREFIX = '/pteropus/k8s/';
const KINDS = ['Service', 'EndpointSlice', 'Pod'] as const;

export class ObjectMirror {
  private readonly objects = new Map<string, KubeObject>();
  private readonly watches: readonly Watch[];

  constructor(store: Store) {
    this.watches = KINDS.map((kind) =>
      store.watch(`${OBJECTS_PREFIX}${kind}/`, 0, {
        events: (events) => {
          for (const event of events) this.take(event);
        },
        // The store is in this process and keeps its history as long as we do.
        lost: (reason) => {
          throw reason;
        },
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

  private take(event: StoreEvent): void {
    if (event.type === 'put') this.objects.set(event.entry.key, fromJson(event.entry.value));
    else this.objects.delete(event.key);
  }
}
