/** The backend in another process (`pteropus dataplane`), as the agent uses it. */
import { randomUUID } from 'node:crypto';
import { createConnection, type Socket } from 'node:net';
import { errorText, PteropusError } from '../../common/errors.js';
import { onFrames, sendFrame } from '../../common/frames.js';
import type { Change, Item, Key } from '../../ruleset/types.js';
import type { Backend, ChangeResult, Counters, Trace, TraceFilter } from '../backend.js';
import { DataPlaneLostError } from './errors.js';
import type { Method, Methods, Response, Status } from './wire.js';
import { ChangeWriter, LostBaseError } from './wire-changes.js';

/** The data plane refused a request; `remote` is the name of its error. */
export class RemoteError extends PteropusError {
  constructor(
    readonly remote: string,
    message: string,
    retryable: boolean,
  ) {
    super(message, { retryable });
  }
}

export interface RemoteOptions {
  /** How long to wait for the data plane to listen (default 10 s). */
  readonly timeoutMs?: number;
}

export interface RemoteBackend extends Backend {
  status(): Promise<Status>;
}

const RETRY_MS = 50;

/** Connects to a data-plane process, waiting for it to listen. Throws DataPlaneLostError when it does not in time. */
export async function openRemoteBackend(
  socketPath: string,
  options: RemoteOptions = {},
): Promise<RemoteBackend> {
  const deadline = performance.now() + (options.timeoutMs ?? 10_000);
  for (;;) {
    try {
      return new Remote(await connect(socketPath), socketPath);
    } catch (cause) {
      if (performance.now() >= deadline) {
        throw new DataPlaneLostError('the data plane does not answer', {
          object: socketPath,
          cause,
          retryable: true,
        });
      }
      await new Promise((resolve) => setTimeout(resolve, RETRY_MS));
    }
  }
}

function connect(path: string): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = createConnection(path);
    socket.once('error', reject);
    socket.once('connect', () => {
      socket.off('error', reject);
      resolve(socket);
    });
  });
}

interface Waiting {
  readonly resolve: (result: unknown) => void;
  readonly reject: (error: Error) => void;
}

class Remote implements RemoteBackend {
  readonly name = 'wasm';
  readonly lost: Promise<Error>;
  readonly #waiting = new Map<number, Waiting>();
  readonly #writer = new ChangeWriter(randomUUID());
  readonly #socket: Socket;
  #nextId = 1;
  #closed: Error | null = null;

  constructor(socket: Socket, path: string) {
    this.#socket = socket;
    onFrames(socket, (message) => this.#answered(message as Response));
    this.lost = new Promise((resolve) => {
      let cause: unknown;
      socket.on('error', (error) => {
        cause = error;
      });
      socket.once('close', () => {
        const why = cause === undefined ? '' : `: ${errorText(cause)}`;
        const error = new DataPlaneLostError(`the connection to the data plane ended${why}`, {
          object: path,
          cause,
          retryable: true,
        });
        this.#closed = error;
        for (const { reject } of this.#waiting.values()) reject(error);
        this.#waiting.clear();
        resolve(error);
      });
    });
  }

  async apply(changes: readonly Change[]): Promise<readonly ChangeResult[]> {
    try {
      return await this.#send(changes);
    } catch (error) {
      if (!(error instanceof RemoteError) || error.remote !== LostBaseError.name) throw error;
      // Somebody else changed a set meanwhile.
      this.#writer.forget();
      return this.#send(changes);
    }
  }

  async #send(changes: readonly Change[]): Promise<readonly ChangeResult[]> {
    const sent = this.#writer.write(changes);
    const results = await this.#ask('apply', { changes: sent });
    if (results.every(({ error }) => error === null)) this.#writer.applied(changes, sent);
    return results;
  }

  async dump(): Promise<ReadonlyMap<Key, Item>> {
    const items = await this.#ask('dump', null);
    return new Map(items.map((item) => [item.key, item]));
  }

  counters(): Promise<Counters> {
    return this.#ask('counters', null);
  }

  status(): Promise<Status> {
    return this.#ask('status', null);
  }

  async trace(filter: TraceFilter): Promise<Trace> {
    await this.#ask('traceStart', filter);
    return { stop: () => this.#ask('traceStop', null) };
  }

  /** Ends the connection; the data plane itself goes on. */
  async close(): Promise<void> {
    if (this.#closed !== null) return;
    this.#socket.end();
    await this.lost;
  }

  #ask<M extends Method>(method: M, params: Methods[M]['params']): Promise<Methods[M]['result']> {
    return new Promise((resolve, reject) => {
      if (this.#closed !== null) {
        reject(this.#closed);
        return;
      }
      const id = this.#nextId++;
      this.#waiting.set(id, { resolve: (result) => resolve(result as Methods[M]['result']), reject });
      sendFrame(this.#socket, { id, method, params });
    });
  }

  #answered({ id, result, error }: Response): void {
    const waiting = this.#waiting.get(id);
    this.#waiting.delete(id);
    if (error === undefined) waiting?.resolve(result);
    else waiting?.reject(new RemoteError(error.name, error.message, error.retryable));
  }
}
