/**
 * One watch on etcd that goes on where it was after every break, and says so when it cannot: history compacted, the store
 * replaced by another one, or put back to an earlier state.
 */
import type { IWatchResponse } from 'etcd3/lib/rpc.js';
import { errorText } from '../common/errors.js';
import { StoreClosedError, WatchLostError } from './errors.js';
import type { EtcdCodec } from './etcd-codec.js';
import type { EtcdConnection } from './etcd-connection.js';
import { type Anchor, copyOf, historyOf, latest } from './etcd-history.js';
import { isUnder, type Prefixes, type StoreEvent, type Watch, type WatchHandler } from './store.js';

type WatchStream = Awaited<ReturnType<ReturnType<EtcdConnection['client']>['watch']['watch']>>;

export interface EtcdWatchSpec {
  readonly connection: EtcdConnection;
  readonly codec: EtcdCodec;
  readonly prefixes: Prefixes;
  /** Events after this one. */
  readonly fromRevision: number;
  readonly handler: WatchHandler;
  /** The latest changes that were read of these keys. */
  readonly anchor: Anchor;
  /** The store the revision is of; null if that is not known. */
  readonly identity: string | null;
  /** The store that answers now. */
  readonly identify: () => Promise<string>;
  /** The watch has ended by itself. */
  readonly ended: (watch: EtcdWatch) => void;
}

const PAUSE_MS = { first: 10, most: 1000 };

export class EtcdWatch implements Watch {
  #revision: number;
  #anchor: Anchor;
  #stream: WatchStream | null = null;
  #timer: NodeJS.Timeout | null = null;
  #pause = PAUSE_MS.first;
  #closed = false;

  constructor(private readonly spec: EtcdWatchSpec) {
    this.#revision = spec.fromRevision;
    this.#anchor = spec.anchor;
    this.#connect();
  }

  close(): void {
    this.#closed = true;
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#stream?.cancel();
    this.#stream = null;
  }

  #connect(): void {
    this.#timer = null;
    this.#open().catch((error: unknown) => {
      if (!(error instanceof StoreClosedError)) this.#retry();
    });
  }

  async #open(): Promise<void> {
    const { connection, codec, prefixes, identity, identify } = this.spec;
    const from = await this.#goOnFrom();
    if (from === null || this.#closed) return;
    const client = connection.client();
    const stream = await client.watch.watch();
    if (this.#closed) {
      stream.cancel();
      return;
    }
    this.#stream = stream;
    const broken = (): void => {
      if (this.#stream !== stream) return;
      this.#stream = null;
      stream.cancel();
      this.#retry();
    };
    // What comes before the store has said who it is waits here.
    let held: IWatchResponse[] | null = [];
    stream.on('data', (response) => {
      if (this.#stream !== stream) return;
      if (held === null) this.#take(response);
      else held.push(response);
    });
    stream.on('error', broken).on('end', broken);
    stream.write({
      create_request: { ...codec.span(prefixes), start_revision: from + 1, progress_notify: true },
    });
    let found: string;
    try {
      found = await identify();
    } catch (error) {
      if (error instanceof StoreClosedError) return;
      broken();
      return;
    }
    if (this.#stream !== stream) return;
    if (identity !== null && found !== identity) {
      this.#lose('the store was replaced by another one');
      return;
    }
    for (const response of held) if (this.#stream === stream) this.#take(response);
    held = null;
  }

  /** The revision up to which everything is known; null: the store is not what it was. */
  async #goOnFrom(): Promise<number | null> {
    const history = await historyOf(this.spec.connection, this.#anchor);
    if (history === 'other') {
      if (!this.#closed) this.#lose('the store was put back to an earlier state');
      return null;
    }
    // Nothing of ours came between the two.
    return history === 'same' ? latest(this.#anchor) : this.#revision;
  }

  #take(response: IWatchResponse): void {
    const now = Number(response.header.revision);
    if (response.canceled) {
      if (Number(response.compact_revision) > 0) this.#lose('events are kept no longer');
      // The server ended it for a reason of its own, such as a change of rights.
      else this.#restart();
      return;
    }
    this.#pause = PAUSE_MS.first;
    if (response.created) {
      if (now < this.#revision) {
        this.#lose(`the store is at revision ${now} only: it is another store, or an earlier state of it`);
      }
      return;
    }
    if (response.events.length === 0) {
      // A sign of life: nothing of ours happened up to here.
      this.#revision = Math.max(this.#revision, now);
      return;
    }
    for (let i = 0; i < response.events.length; ) {
      const revision = Number(response.events[i]?.kv.mod_revision);
      const events: StoreEvent[] = [];
      for (; i < response.events.length; i++) {
        const event = response.events[i];
        if (event === undefined || Number(event.kv.mod_revision) !== revision) break;
        if (!this.#isOurs(event.kv.key)) continue;
        events.push(this.spec.codec.event(event));
        const change = { key: copyOf(event.kv.key), revision };
        this.#anchor =
          event.type === 'Put' ? { put: change, removed: null } : { put: this.#anchor.put, removed: change };
      }
      this.#revision = revision;
      if (events.length > 0 && !this.#closed) this.spec.handler.events(events, revision);
    }
  }

  /** Keys that are not asked for may lie between those that are. */
  #isOurs(key: Buffer): boolean {
    const { codec, prefixes } = this.spec;
    return !codec.isIdentity(key) && isUnder(codec.keyOf(key), prefixes);
  }

  #restart(): void {
    this.#stream?.cancel();
    this.#stream = null;
    this.#retry();
  }

  #retry(): void {
    if (this.#closed || this.#timer !== null) return;
    this.#timer = setTimeout(() => this.#connect(), this.#pause);
    this.#pause = Math.min(this.#pause * 2, PAUSE_MS.most);
  }

  #lose(reason: string): void {
    this.close();
    this.spec.ended(this);
    const { prefixes, handler, fromRevision } = this.spec;
    handler.lost(
      new WatchLostError(errorText(reason), {
        object: String(prefixes),
        value: fromRevision,
        retryable: true,
      }),
    );
  }
}
