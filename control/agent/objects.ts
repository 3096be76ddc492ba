/**
 * The store's objects as the agent follows them: one listing, then every change, in order; listed anew when a watch is lost.
 * Changes are gathered, so that what came while an event ran is taken as one transaction.
 */
import { errorText } from '../common/errors.js';
import { fromJson } from '../objects/json.js';
import type { KubeObject, ObjectEvent } from '../objects/types.js';
import type { Entry, Snapshot, Store, StoreEvent, Watch } from '../store/store.js';
import { NODES_PREFIX, nodeKey } from './node-id.js';

export const OBJECTS_PREFIX = '/pteropus/k8s/';

export interface Listing {
  readonly objects: readonly KubeObject[];
  readonly revision: number;
}

export interface Changes {
  readonly events: readonly ObjectEvent[];
  /** Store revision up to which these go. */
  readonly revision: number;
  /** Ids whose records were removed. */
  readonly nodeIdsGone: readonly number[];
}

export interface ObjectsHandler {
  /** There is something to `take`; called once until it is taken. */
  pending(): void;
  /** A gap: `list` must be called again. */
  lost(reason: Error): void;
  /** An entry that cannot be read; what was known of it stays. */
  unreadable(key: string, reason: string): void;
}

export class ObjectFeed {
  #watches: Watch[] = [];
  #events: ObjectEvent[] = [];
  #gone: number[] = [];
  #revision = 0;
  /** Node id -> name, to name a deleted record. */
  readonly #nodes = new Map<number, string>();
  #told = false;

  constructor(
    private readonly store: Store,
    private readonly handler: ObjectsHandler,
  ) {}

  /** All objects as they are now; changes from here on are gathered. */
  async list(): Promise<Listing> {
    this.stop();
    const [objects, nodes] = await Promise.all([
      this.store.list(OBJECTS_PREFIX),
      this.store.list(NODES_PREFIX),
    ]);
    this.#nodes.clear();
    this.#revision = Math.max(objects.revision, nodes.revision);
    const result = [...this.#read(nodes), ...this.#read(objects)];
    this.#watch(OBJECTS_PREFIX, objects.revision);
    this.#watch(NODES_PREFIX, nodes.revision);
    return { objects: result, revision: this.#revision };
  }

  /** What was gathered since the last call. */
  take(): Changes {
    const changes = { events: this.#events, revision: this.#revision, nodeIdsGone: this.#gone };
    this.#events = [];
    this.#gone = [];
    this.#told = false;
    return changes;
  }

  stop(): void {
    for (const watch of this.#watches) watch.close();
    this.#watches = [];
    this.#events = [];
    this.#gone = [];
    this.#told = false;
  }

  #read(snapshot: Snapshot): readonly KubeObject[] {
    return snapshot.entries.flatMap((entry) => {
      const object = this.#parse(entry);
      return object === null ? [] : [object];
    });
  }

  #parse(entry: Entry): KubeObject | null {
    try {
      const object = fromJson(entry.value, entry.key);
      if (entry.key !== keyOf(object)) {
        this.handler.unreadable(entry.key, `holds ${keyOf(object)}`);
        return null;
      }
      if (object.kind === 'NodeRecord') this.#nodes.set(object.id, object.metadata.name);
      return object;
    } catch (error) {
      this.handler.unreadable(entry.key, errorText(error));
      return null;
    }
  }

  #watch(prefix: string, from: number): void {
    const watch = this.store.watch(prefix, from, {
      events: (events, revision) => {
        for (const event of events) this.#add(event);
        this.#revision = Math.max(this.#revision, revision);
        if (this.#told) return;
        this.#told = true;
        this.handler.pending();
      },
      lost: (reason) => this.handler.lost(reason),
    });
    this.#watches.push(watch);
  }

  #add(event: StoreEvent): void {
    if (event.type === 'put') {
      const object = this.#parse(event.entry);
      if (object !== null) this.#events.push({ type: 'put', object });
      return;
    }
    if (event.key.startsWith(NODES_PREFIX)) {
      const id = Number(event.key.slice(NODES_PREFIX.length));
      const name = this.#nodes.get(id);
      if (name === undefined) return;
      this.#nodes.delete(id);
      this.#gone.push(id);
      this.#events.push({ type: 'delete', kind: 'NodeRecord', namespace: null, name });
      return;
    }
    const [kind, namespace, ...name] = event.key.slice(OBJECTS_PREFIX.length).split('/');
    this.#events.push({
      type: 'delete',
      kind: kind as KubeObject['kind'],
      namespace: namespace === '' || namespace === undefined ? null : namespace,
      name: name.join('/'),
    });
  }
}

/** The key an object is kept under. */
export function keyOf(object: KubeObject): string {
  if (object.kind === 'NodeRecord') return nodeKey(object.id);
  const { namespace, name } = object.metadata;
  return `${OBJECTS_PREFIX}${object.kind}/${namespace ?? ''}/${name}`;
}
