/** Serves a backend over a unix socket (wire.ts) that only its owner may open. */
import { createServer, type Socket } from 'node:net';
import type { Backend, ChangeResult, Trace } from '../backends/backend.js';
import type { Method, Methods, Request, Status } from '../backends/wasm/wire.js';
import { ChangeReader, keyOf, type WireChange } from '../backends/wasm/wire-changes.js';
import { errorText, InvalidInputError, PteropusError } from '../common/errors.js';
import { onFrames, sendFrame } from '../common/frames.js';
import { listenPrivately } from '../common/listen.js';
import { Turns } from '../common/turns.js';

/** So many changes at a time are a whole ruleset, or much of one. */
const LARGE = 1000;

/** The socket could not be made. */
export class ListenError extends PteropusError {}

export interface Served {
  /** Stops listening and ends all connections; the backend stays open. */
  close(): Promise<void>;
}

type Handlers = { readonly [M in Method]: (params: Methods[M]['params']) => Promise<Methods[M]['result']> };

/**
 * Listens on `path`; a socket that a process left there is removed, one that answers is not. From here on the backend, which has nothing in
 * force yet, is changed by this alone. `afterLarge` is called when a large transaction was answered. Throws ListenError.
 */
export async function serve(
  path: string,
  backend: Backend,
  status: () => Status,
  afterLarge: () => void = () => undefined,
): Promise<Served> {
  const sockets = new Set<Socket>();
  const inbox = new Inbox(backend, afterLarge);
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.once('close', () => sockets.delete(socket));
    connected(socket, backend, inbox, status);
  });
  try {
    await listenPrivately(server, path);
  } catch (cause) {
    throw new ListenError('cannot listen on the socket', { object: path, cause });
  }
  return {
    close: async () => {
      const ended = new Promise((resolve) => server.close(resolve));
      for (const socket of sockets) socket.destroy();
      await ended;
    },
  };
}

/** Applies what clients send, one transaction after the other. */
class Inbox {
  readonly #reader = new ChangeReader();
  readonly #turns = new Turns();

  constructor(
    private readonly backend: Backend,
    private readonly afterLarge: () => void,
  ) {}

  /** Throws LostBaseError, and then nothing was applied. */
  apply(sent: readonly WireChange[]): Promise<readonly ChangeResult[]> {
    return this.#turns.take(async () => {
      const changes = this.#reader.read(sent);
      const results = await this.backend.apply(changes);
      this.#reader.applied(sent, changes, results);
      // What is not there need not be removed, and nothing is wrong with that.
      const told = new Map(results.map((result) => [result.key, result]));
      if (sent.length >= LARGE) setImmediate(this.afterLarge);
      return sent.map((wire) => told.get(keyOf(wire)) ?? { key: keyOf(wire), error: null });
    });
  }
}

function connected(socket: Socket, backend: Backend, inbox: Inbox, status: () => Status): void {
  let trace: Trace | null = null;
  const stopTrace: Handlers['traceStop'] = async () => {
    const steps = (await trace?.stop()) ?? [];
    trace = null;
    return steps;
  };
  const handlers: Handlers = {
    apply: ({ changes }) => inbox.apply(changes),
    dump: async () => [...(await backend.dump()).values()],
    counters: async () => ({ ...(await backend.counters()), restarts: status().restarts }),
    traceStart: async (filter) => {
      trace = await backend.trace(filter);
      return null;
    },
    traceStop: stopTrace,
    status: async () => status(),
  };
  const answer = async ({ id, method, params }: Request): Promise<void> => {
    try {
      if (!Object.hasOwn(handlers, method)) throw new InvalidInputError('no such method', { value: method });
      const handler = handlers[method] as (params: unknown) => Promise<unknown>;
      sendFrame(socket, { id, result: await handler(params) });
    } catch (error) {
      const name = error instanceof Error ? error.name : 'Error';
      const retryable = error instanceof PteropusError && error.retryable;
      sendFrame(socket, { id, error: { name, message: errorText(error), retryable } });
    }
  };
  onFrames(socket, (message) => void answer(message as Request));
  // A client that goes away in the middle of an answer is no event of ours.
  socket.on('error', () => socket.destroy());
  socket.once('close', () => void stopTrace(null));
}
