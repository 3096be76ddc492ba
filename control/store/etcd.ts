/** The store in etcd (v3 API, 3.4 and later): one cluster of servers for all nodes. */
import { randomUUID } from 'node:crypto';
import { CompareResult, CompareTarget, type IRangeRequest, type IRangeResponse } from 'etcd3/lib/rpc.js';
import { LeaseNotFoundError, StoreClosedError } from './errors.js';
import { EtcdCodec, listOf } from './etcd-codec.js';
import { EtcdConnection, type EtcdEndpoints } from './etcd-connection.js';
import { type Anchor, copyOf, latest, NOTHING } from './etcd-history.js';
import { EtcdLease } from './etcd-lease.js';
import { EtcdWatch } from './etcd-watch.js';
import type {
  Condition,
  Entry,
  LeaseId,
  Operation,
  Prefixes,
  Snapshot,
  Store,
  Watch,
  WatchHandler,
} from './store.js';

export interface EtcdStoreSpec extends EtcdEndpoints {
  /** Goes before every key (default none). */
  readonly prefix?: string;
}

export interface EtcdStoreOptions {
  /** How long a call waits for an endpoint that answers, milliseconds (default 10 000). */
  readonly timeoutMs?: number;
  /** Entries read at a time by `list` (default 5000). */
  readonly pageSize?: number;
}

/** Everything else of this etcd waits for a listing of a hundred thousand keys in one piece. */
const PAGE_SIZE = 5000;

export class EtcdStore implements Store {
  readonly #connection: EtcdConnection;
  readonly #codec: EtcdCodec;
  readonly #watches = new Set<EtcdWatch>();
  readonly #leases = new Map<LeaseId, EtcdLease>();
  readonly #pageSize: number;
  /** The store that answered the last listing; null before the first. */
  #identity: string | null = null;
  /** The latest listing of some prefixes: its revision, and the latest change in it. */
  readonly #listed = new Map<string, { readonly revision: number; readonly newest: Anchor }>();

  /** Connects with the first call. */
  constructor(spec: EtcdStoreSpec, options: EtcdStoreOptions = {}) {
    this.#connection = new EtcdConnection(spec, options.timeoutMs ?? 10_000);
    this.#codec = new EtcdCodec(spec.prefix ?? '');
    this.#pageSize = options.pageSize ?? PAGE_SIZE;
  }

  async get(key: string): Promise<Entry | null> {
    const range = { key: this.#codec.key(key) };
    const { kvs } = await this.#connection.call('always', (client, options) =>
      client.kv.range(range, options),
    );
    const [kv] = kvs;
    return kv === undefined ? null : this.#codec.entry(kv);
  }

  /** Read in pages, all of one revision. */
  async list(prefixes: Prefixes): Promise<Snapshot> {
    const identity = await this.#identify();
    const entries: Entry[] = [];
    let revision = 0;
    let newest: Anchor = NOTHING;
    for (const prefix of listOf(prefixes)) {
      let { key, range_end } = this.#codec.range(prefix);
      for (;;) {
        const page = await this.#page({ key, range_end, limit: this.#pageSize, revision });
        if (revision === 0) revision = Number(page.header.revision);
        for (const kv of page.kvs) {
          if (this.#codec.isIdentity(kv.key)) continue;
          const entry = this.#codec.entry(kv);
          entries.push(entry);
          if (entry.revision > latest(newest))
            newest = { put: { key: copyOf(kv.key), revision: entry.revision }, removed: null };
        }
        const last = page.kvs.at(-1);
        if (!page.more || last === undefined) break;
        key = Buffer.concat([last.key, Buffer.of(0)]);
      }
    }
    this.#identity = identity;
    this.#listed.set(String(prefixes), { revision, newest });
    return { entries: sorted(entries), revision };
  }

  #page(range: IRangeRequest): Promise<IRangeResponse> {
    return this.#connection.call('always', (client, options) => client.kv.range(range, options));
  }

  async transact(
    conditions: readonly Condition[],
    operations: readonly Operation[],
  ): Promise<{ readonly ok: boolean; readonly revision: number }> {
    const request = this.#codec.transaction(conditions, operations);
    const response = await this.#connection.call('unsent', (client, options) =>
      client.kv.txn(request, options),
    );
    return { ok: response.succeeded, revision: Number(response.header.revision) };
  }

  async put(key: string, value: string): Promise<number> {
    return (await this.transact([], [{ type: 'put', key, value }])).revision;
  }

  async delete(key: string): Promise<boolean> {
    const range = { key: this.#codec.key(key) };
    const { deleted } = await this.#connection.call('unsent', (client, options) =>
      client.kv.deleteRange(range, options),
    );
    return Number(deleted) > 0;
  }

  watch(prefixes: Prefixes, fromRevision: number, handler: WatchHandler): Watch {
    if (this.#connection.closed) throw new StoreClosedError('the store is closed');
    const listed = this.#listed.get(String(prefixes));
    const watch = new EtcdWatch({
      ...{ connection: this.#connection, codec: this.#codec, prefixes, fromRevision, handler },
      anchor: listed?.revision === fromRevision ? listed.newest : NOTHING,
      identity: this.#identity,
      identify: () => this.#identify(),
      ended: (ended) => this.#watches.delete(ended),
    });
    this.#watches.add(watch);
    return {
      close: () => {
        this.#watches.delete(watch);
        watch.close();
      },
    };
  }

  /** etcd counts whole seconds, and may grant more than was asked for. */
  async lease(ttlSeconds: number): ReturnType<Store['lease']> {
    const asked = Math.max(1, Math.ceil(ttlSeconds));
    const start = performance.now();
    // One that was granted without our hearing of it runs out by itself.
    const granted = await this.#connection.call('always', (client, options) =>
      client.lease.leaseGrant({ TTL: asked }, options),
    );
    const lease = new EtcdLease(this.#connection, granted.ID, Number(granted.TTL) * 1000, start);
    this.#leases.set(lease.id, lease);
    void lease.lost.then(() => this.#leases.delete(lease.id));
    const revoke = async (): Promise<void> => {
      lease.end();
      await this.#connection
        .call('always', (client, options) => client.lease.leaseRevoke({ ID: lease.id }, options))
        .catch((error: unknown) => {
          if (!(error instanceof LeaseNotFoundError)) throw error;
        });
    };
    return { id: lease.id, revoke, lost: lease.lost };
  }

  async close(): Promise<void> {
    for (const watch of this.#watches) watch.close();
    this.#watches.clear();
    for (const lease of this.#leases.values()) lease.end();
    this.#connection.close();
  }

  /**
   * Which store answers: a name kept in it (made by who comes first) and the id of the etcd cluster. An emptied store, one
   * restored from a copy, another one at the same address: each has its own.
   */
  async #identify(): Promise<string> {
    const key = this.#codec.identityKey;
    // Asked first: a store that is full refuses whatever might write.
    const { header, kvs } = await this.#connection.call('always', (client, options) =>
      client.kv.range({ key }, options),
    );
    const [known] = kvs;
    if (known !== undefined) return `${header.cluster_id} ${known.value.toString('utf8')}`;
    const response = await this.#connection.call('always', (client, options) =>
      client.kv.txn(
        {
          compare: [{ key, target: CompareTarget.Create, result: CompareResult.Equal, create_revision: 0 }],
          success: [
            { request_put: { key, value: Buffer.from(randomUUID(), 'utf8') } },
            { request_range: { key } },
          ],
          failure: [{ request_range: { key } }],
        },
        options,
      ),
    );
    const name = response.responses.at(-1)?.response_range.kvs[0]?.value.toString('utf8') ?? '';
    return `${response.header.cluster_id} ${name}`;
  }
}

/** etcd sorts by bytes; callers expect the order of JavaScript's text. */
function sorted(entries: Entry[]): readonly Entry[] {
  return entries.sort((a, b) => (a.key < b.key ? -1 : 1));
}
