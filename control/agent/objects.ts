/**
 * The store's objects as the agent follows them: one listing, then every change, in order; listed anew when a watch is lost.
 * Changes are gathered, so that what came while an event ran is taken as one transaction.
 */
import { readStored } from '../objects/stored.js';
import { COMPLETE_KEY, NODES_PREFIX, OBJECTS_PREFIX, parseStoredKey } from '../objects/stored-keys.js';
import type { KubeObject, ObjectEvent } from '../objects/types.js';
import type { Mirror } from '../store/mirror.js';
import type { Entry, Snapshot, Store, StoreEvent, Watch } from '../store/store.js';

export { OBJECTS_PREFIX, storedKey as keyOf } from '../objects/stored-keys.js';

/** Followed by one watch, so that the revision of what came last is that of everything. */
const FOLLOWED = [OBJECTS_PREFIX, NODES_PREFIX];

export interface Listing {
  readonly objects: readonly KubeObject[];
  readonly revision: number;
  /** Everything the cluster has is there; false: the store was emptied, or is being filled. */
  readonly complete: boolean;
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
  /** An entry that cannot be read, or not in full: `reason` says what that does. */
  unreadable(key: string, reason: string): void;
}

export class ObjectFeed {
  #watch: Watch | null = null;
  #events: ObjectEvent[] = [];
  #gone: number[] = [];
  #revision = 0;
  /** Node id -> name, to name a deleted record. */
  readonly #nodes = new Map<number, string>();
  #told = false;
  /** Which mark the listing found; 0 = none. One that was taken away and made again is another. */
  #mark = 0;
  /** Changes the mirror does not have: not taken yet, and taken but not in force. */
  #unkept: (readonly [readonly StoreEvent[], number])[] = [];
  #taken: (readonly [readonly StoreEvent[], number])[] = [];

  constructor(
    private readonly store: Store,
    private readonly handler: ObjectsHandler,
    /** Keeps what was read of a complete store. */
    private readonly mirror: Mirror | null = null,
  ) {}

  /** All objects as they are now; changes from here on are gathered. */
  async list(): Promise<Listing> {
    this.stop();
    const listed = await this.store.list(FOLLOWED);
    const { revision } = listed;
    // Asked last: what was written before it is in the listing, or among the changes that follow.
    const marker = await this.store.get(COMPLETE_KEY);
    const complete = marker !== null && marker.revision <= revision;
    this.#mark = marker?.created ?? 0;
    this.#nodes.clear();
    this.#revision = revision;
    const objects = this.#read(listed);
    if (complete) this.mirror?.replace(listed);
    this.#follow(revision);
    return { objects, revision, complete };
  }

  /**
   * Whether what was removed was removed one by one, and not with all else that the store held: a store that was filled again
   * meanwhile has a mark too, but what fills it may not have been told yet.
   */
  async stillComplete(): Promise<boolean> {
    return ((await this.store.get(COMPLETE_KEY))?.created ?? 0) === this.#mark && this.#mark !== 0;
  }

  /** What was gathered since the last call. */
  take(): Changes {
    const changes = { events: this.#events, revision: this.#revision, nodeIdsGone: this.#gone };
    this.#events = [];
    this.#gone = [];
    this.#told = false;
    this.#taken.push(...this.#unkept);
    this.#unkept = [];
    return changes;
  }

  /** What was taken is believed: from now on a start without the store knows it too. */
  keep(): void {
    for (const [events, revision] of this.#taken) this.mirror?.apply(events, revision);
    this.#taken = [];
  }

  stop(): void {
    this.#watch?.close();
    this.#watch = null;
    this.#events = [];
    this.#gone = [];
    this.#told = false;
    this.#unkept = [];
    this.#taken = [];
  }

  #read(snapshot: Snapshot): readonly KubeObject[] {
    return snapshot.entries.flatMap((entry) => {
      const object = this.#parse(entry);
      return object === null ? [] : [object];
    });
  }

  #parse({ key, value }: Entry): KubeObject | null {
    const { object, problem } = readStored(key, value);
    if (problem !== null) this.handler.unreadable(key, problem);
    if (object?.kind === 'NodeRecord') this.#nodes.set(object.id, object.metadata.name);
    return object;
  }

  #follow(from: number): void {
    this.#watch = this.store.watch(FOLLOWED, from, {
      events: (events, revision) => {
        if (this.mirror !== null) this.#unkept.push([events, revision]);
        for (const event of events) this.#add(event);
        this.#revision = revision;
        if (this.#told) return;
        this.#told = true;
        this.handler.pending();
      },
      lost: (reason) => this.handler.lost(reason),
    });
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
    const deleted = parseStoredKey(event.key);
    if (deleted !== null) this.#events.push({ type: 'delete', ...deleted });
  }
}
