/** Serves a store to other processes of this machine over a unix socket (mode 0600). */
import { randomUUID } from 'node:crypto';
import { createServer, type Socket } from 'node:net';
import { errorText, PteropusError } from '../common/errors.js';
import { encodeFrame, FrameReader } from '../common/frames.js';
import { listenPrivately } from '../common/listen.js';
import { LeaseNotFoundError } from './errors.js';
import type { Answers, Request, RequestMessage, ServerMessage } from './protocol.js';
import type { LeaseId, Prefixes, Store, Watch } from './store.js';

export interface StoreServer {
  /** Ends all connections and removes the socket; the store itself stays open. */
  close(): Promise<void>;
}

/** A store that can say which history it is (EmbeddedStore); others get a name for the server's life. */
type Identified = Store & { readonly identity?: string };

/** Throws SocketInUseError. */
export async function serveStore(store: Identified, path: string): Promise<StoreServer> {
  const identity = store.identity ?? randomUUID();
  const leases = new Leases(store);
  const connections = new Set<Connection>();
  const server = createServer((socket) => {
    const connection = new Connection(store, leases, socket, () => connections.delete(connection));
    connections.add(connection);
    connection.send({ type: 'hello', identity });
  });
  await listenPrivately(server, path);
  return {
    close: async () => {
      const closed = new Promise<void>((resolve) => server.close(() => resolve()));
      for (const connection of connections) connection.close();
      await closed;
      await leases.close();
    },
  };
}

interface HeldLease {
  readonly id: LeaseId;
  readonly ttlSeconds: number;
  readonly revoke: () => Promise<void>;
  holder: Connection | null;
  timer: NodeJS.Timeout | null;
}

/** Leases of clients: each lives as long as its connection, and its time to live longer, so that a reconnect keeps it. */
class Leases {
  readonly #held = new Map<LeaseId, HeldLease>();

  constructor(private readonly store: Store) {}

  async grant(ttlSeconds: number, holder: Connection): Promise<LeaseId> {
    const { id, revoke, lost } = await this.store.lease(ttlSeconds);
    const lease: HeldLease = { id, ttlSeconds, revoke, holder, timer: null };
    this.#held.set(id, lease);
    lost.then(
      () => this.#end(lease),
      () => this.#end(lease),
    );
    if (holder.closed) this.release(holder);
    return id;
  }

  keep(id: LeaseId, holder: Connection): void {
    const lease = this.#held.get(id);
    if (lease === undefined) throw new LeaseNotFoundError('no such lease', { value: id });
    if (lease.timer !== null) clearTimeout(lease.timer);
    lease.timer = null;
    lease.holder = holder;
  }

  async revoke(id: LeaseId): Promise<void> {
    const lease = this.#held.get(id);
    if (lease === undefined) return;
    this.#held.delete(id);
    if (lease.timer !== null) clearTimeout(lease.timer);
    await lease.revoke();
  }

  /** The holder's connection ended: its leases run out unless it comes back in time. */
  release(holder: Connection): void {
    for (const lease of this.#held.values()) {
      if (lease.holder !== holder) continue;
      lease.holder = null;
      // A revocation that fails means that the store is gone, and the keys with it.
      lease.timer = setTimeout(() => this.revoke(lease.id).catch(() => undefined), lease.ttlSeconds * 1000);
    }
  }

  /** Without a server nobody keeps them alive. */
  async close(): Promise<void> {
    await Promise.allSettled([...this.#held.keys()].map((id) => this.revoke(id)));
  }

  #end(lease: HeldLease): void {
    if (this.#held.delete(lease.id)) lease.holder?.send({ type: 'lease-lost', lease: lease.id });
  }
}

class Connection {
  readonly #reader = new FrameReader();
  readonly #watches = new Map<number, Watch>();
  closed = false;

  constructor(
    private readonly store: Store,
    private readonly leases: Leases,
    private readonly socket: Socket,
    private readonly gone: () => void,
  ) {
    socket.on('data', (chunk) => {
      try {
        for (const message of this.#reader.push(chunk)) this.#take(message as RequestMessage);
      } catch {
        this.close();
      }
    });
    socket.on('error', () => this.close());
    socket.on('close', () => this.close());
  }

  send(message: ServerMessage): void {
    if (!this.closed) this.socket.write(encodeFrame(message));
  }

  close(): void {
    if (this.closed) return;
    this.closed = true;
    for (const watch of this.#watches.values()) watch.close();
    this.#watches.clear();
    this.socket.destroy();
    this.leases.release(this);
    this.gone();
  }

  #take({ id, request }: RequestMessage): void {
    this.#answer(request).then(
      (result) => this.send({ type: 'answer', id, result }),
      (error: unknown) => {
        const name = error instanceof Error ? error.name : 'Error';
        const retryable = error instanceof PteropusError && error.retryable;
        this.send({ type: 'error', id, error: { name, message: errorText(error), retryable } });
      },
    );
  }

  async #answer(request: Request): Promise<Answers[Request['op']]> {
    switch (request.op) {
      case 'get':
        return this.store.get(request.key);
      case 'list':
        return this.store.list(request.prefixes);
      case 'transact':
        return this.store.transact(request.conditions, request.operations);
      case 'put':
        return this.store.put(request.key, request.value);
      case 'delete':
        return this.store.delete(request.key);
      case 'watch':
        this.#watch(request.watch, request.prefixes, request.fromRevision);
        return null;
      case 'unwatch':
        this.#watches.get(request.watch)?.close();
        this.#watches.delete(request.watch);
        return null;
      case 'lease':
        return this.leases.grant(request.ttlSeconds, this);
      case 'keep-lease':
        this.leases.keep(request.lease, this);
        return null;
      case 'revoke':
        await this.leases.revoke(request.lease);
        return null;
    }
  }

  #watch(watch: number, prefixes: Prefixes, fromRevision: number): void {
    const handle = this.store.watch(prefixes, fromRevision, {
      events: (events, revision) => this.send({ type: 'events', watch, events, revision }),
      lost: (reason) => {
        this.#watches.delete(watch);
        this.send({ type: 'lost', watch, reason: reason.message });
      },
    });
    this.#watches.set(watch, handle);
  }
}
