/** The store of another process of this machine, over its unix socket. Reconnects by itself; watches go on where they were. */
import { errorText, PteropusError } from '../common/errors.js';
import { Channel } from './channel.js';
import {
  LeaseNotFoundError,
  StoreClosedError,
  StoreUnavailableError,
  StoreWriteError,
  WatchLostError,
} from './errors.js';
import type { Answers, ErrorText, Request, RequestMessage, ServerMessage } from './protocol.js';
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

export interface StoreClientOptions {
  /** How long a request waits for a connection, milliseconds. */
  readonly timeoutMs?: number;
}

interface InFlight {
  readonly message: RequestMessage;
  readonly resolve: (result: unknown) => void;
  readonly reject: (error: unknown) => void;
  readonly timer: NodeJS.Timeout;
  sent: boolean;
}

interface OpenWatch {
  readonly prefixes: Prefixes;
  readonly handler: WatchHandler;
  /** Revision up to which its events were delivered. */
  revision: number;
}

/** Safe to send again when the connection broke before the answer. */
const REPEATABLE: ReadonlySet<Request['op']> = new Set(['get', 'list', 'keep-lease', 'revoke', 'unwatch']);

/** Connects to the store served at `path`; waits up to the timeout for it to come up. Throws StoreUnavailableError. */
export async function openStoreClient(path: string, options: StoreClientOptions = {}): Promise<Store> {
  const client = new StoreClient(path, options.timeoutMs ?? 10_000);
  try {
    await client.connected();
    return client;
  } catch (error) {
    await client.close();
    throw error;
  }
}

/** The same without waiting: calls wait for the connection, each up to the timeout. */
export function lazyStoreClient(path: string, options: StoreClientOptions = {}): Store {
  return new StoreClient(path, options.timeoutMs ?? 10_000);
}

class StoreClient implements Store {
  readonly #channel: Channel;
  readonly #inFlight = new Map<number, InFlight>();
  readonly #watches = new Map<number, OpenWatch>();
  readonly #leases = new Map<LeaseId, () => void>();
  #identity: string | null = null;
  /** The connection is up and the server has said which store it is. */
  #ready = false;
  #next = 1;
  #closed = false;

  constructor(
    private readonly path: string,
    private readonly timeoutMs: number,
  ) {
    this.#channel = new Channel(path, {
      message: (message) => this.#take(message),
      down: () => this.#down(),
    });
  }

  /** Resolves when the server has answered once. */
  async connected(): Promise<void> {
    await this.get('');
  }

  get(key: string): Promise<Entry | null> {
    return this.#call({ op: 'get', key });
  }

  list(prefixes: Prefixes): Promise<Snapshot> {
    return this.#call({ op: 'list', prefixes });
  }

  transact(conditions: readonly Condition[], operations: readonly Operation[]): Promise<Answers['transact']> {
    return this.#call({ op: 'transact', conditions, operations });
  }

  put(key: string, value: string): Promise<number> {
    return this.#call({ op: 'put', key, value });
  }

  delete(key: string): Promise<boolean> {
    return this.#call({ op: 'delete', key });
  }

  watch(prefixes: Prefixes, fromRevision: number, handler: WatchHandler): Watch {
    if (this.#closed) throw new StoreClosedError('the store client is closed', { object: this.path });
    const id = this.#next++;
    this.#watches.set(id, { prefixes, handler, revision: fromRevision });
    if (this.#ready) this.#subscribe(id);
    return {
      close: () => {
        if (!this.#watches.delete(id) || !this.#ready) return;
        this.#channel.send({ id: this.#next++, request: { op: 'unwatch', watch: id } });
      },
    };
  }

  async lease(ttlSeconds: number): ReturnType<Store['lease']> {
    const id = await this.#call({ op: 'lease', ttlSeconds });
    const lost = new Promise<void>((resolve) => this.#leases.set(id, resolve));
    const revoke = async (): Promise<void> => {
      await this.#call({ op: 'revoke', lease: id });
      this.#loseLease(id);
    };
    return { id, revoke, lost };
  }

  async close(): Promise<void> {
    this.#closed = true;
    this.#watches.clear();
    this.#channel.close();
    for (const flight of [...this.#inFlight.values()]) {
      this.#settle(flight.message.id)?.reject(new StoreClosedError('closed', { object: this.path }));
    }
    for (const id of [...this.#leases.keys()]) this.#loseLease(id);
  }

  #call<Op extends Request['op']>(request: Extract<Request, { op: Op }>): Promise<Answers[Op]> {
    if (this.#closed)
      return Promise.reject(new StoreClosedError('the store client is closed', { object: this.path }));
    return new Promise<unknown>((resolve, reject) => {
      const message: RequestMessage = { id: this.#next++, request };
      const timer = setTimeout(() => {
        const text = `no answer for ${this.timeoutMs} ms`;
        this.#settle(message.id)?.reject(new StoreUnavailableError(text, this.path, this.#channel.lastError));
      }, this.timeoutMs);
      const flight: InFlight = { message, resolve, reject, timer, sent: false };
      this.#inFlight.set(message.id, flight);
      if (this.#ready) this.#send(flight);
    }) as Promise<Answers[Op]>;
  }

  #send(flight: InFlight): void {
    flight.sent = true;
    this.#channel.send(flight.message);
  }

  #settle(id: number): InFlight | undefined {
    const flight = this.#inFlight.get(id);
    if (flight === undefined) return undefined;
    clearTimeout(flight.timer);
    this.#inFlight.delete(id);
    return flight;
  }

  #take(message: ServerMessage): void {
    switch (message.type) {
      case 'hello':
        this.#hello(message.identity);
        return;
      case 'answer':
        this.#settle(message.id)?.resolve(message.result);
        return;
      case 'error':
        this.#settle(message.id)?.reject(revive(message.error, this.path));
        return;
      case 'events': {
        const watch = this.#watches.get(message.watch);
        if (watch === undefined) return;
        watch.revision = message.revision;
        watch.handler.events(message.events, message.revision);
        return;
      }
      case 'lost':
        this.#loseWatch(message.watch, message.reason);
        return;
      case 'lease-lost':
        this.#loseLease(message.lease);
    }
  }

  /** A connection is up: pick up what the last one carried. */
  #hello(identity: string): void {
    const same = this.#identity === null || this.#identity === identity;
    this.#identity = identity;
    this.#ready = true;
    if (!same) {
      for (const id of [...this.#watches.keys()])
        this.#loseWatch(id, 'the store was replaced by another one');
      for (const id of [...this.#leases.keys()]) this.#loseLease(id);
    }
    for (const lease of this.#leases.keys()) {
      this.#call({ op: 'keep-lease', lease }).catch((error: unknown) => {
        if (error instanceof LeaseNotFoundError) this.#loseLease(lease);
      });
    }
    for (const id of this.#watches.keys()) this.#subscribe(id);
    for (const flight of this.#inFlight.values()) if (!flight.sent) this.#send(flight);
  }

  #down(): void {
    this.#ready = false;
    for (const flight of [...this.#inFlight.values()]) {
      if (!flight.sent) continue;
      if (REPEATABLE.has(flight.message.request.op)) flight.sent = false;
      else {
        const text = 'the connection broke before the answer';
        this.#settle(flight.message.id)?.reject(new StoreUnavailableError(text, this.path));
      }
    }
  }

  #subscribe(id: number): void {
    const watch = this.#watches.get(id);
    if (watch === undefined) return;
    const { prefixes, revision: fromRevision } = watch;
    const request: Request = { op: 'watch', watch: id, prefixes, fromRevision };
    this.#channel.send({ id: this.#next++, request });
  }

  #loseWatch(id: number, reason: string): void {
    const watch = this.#watches.get(id);
    this.#watches.delete(id);
    watch?.handler.lost(new WatchLostError(reason, { object: String(watch.prefixes), retryable: true }));
  }

  #loseLease(id: LeaseId): void {
    this.#leases.get(id)?.();
    this.#leases.delete(id);
  }
}

/** The server's error as the class it was thrown as there, where callers tell it apart. */
function revive(error: ErrorText, path: string): Error {
  if (error.name === 'LeaseNotFoundError') return new LeaseNotFoundError(error.message);
  if (error.name === 'StoreWriteError')
    return new StoreWriteError(error.message, { retryable: error.retryable });
  return new PteropusError(`${error.name}: ${errorText(error.message)}`, {
    object: path,
    retryable: error.retryable,
  });
}
