/** Serves a backend over a unix socket (wire.ts) that only its owner may open. */
import { chmodSync, rmSync } from 'node:fs';
import { createServer, type Socket } from 'node:net';
import type { Backend, Trace } from '../backends/backend.js';
import {
  type Method,
  type Methods,
  type Request,
  receive,
  type Status,
  send,
} from '../backends/wasm/wire.js';
import { errorText, InvalidInputError, PteropusError } from '../common/errors.js';

/** The socket could not be made. */
export class ListenError extends PteropusError {}

export interface Served {
  /** Stops listening and ends all connections; the backend stays open. */
  close(): Promise<void>;
}

type Handlers = { readonly [M in Method]: (params: Methods[M]['params']) => Promise<Methods[M]['result']> };

/** Listens on `path`, which is replaced if it is there. Throws ListenError. */
export async function serve(path: string, backend: Backend, status: () => Status): Promise<Served> {
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.once('close', () => sockets.delete(socket));
    connected(socket, backend, status);
  });
  rmSync(path, { force: true });
  // Nobody else may open the socket, not even between its birth and the chmod.
  const mask = process.umask(0o177);
  try {
    await new Promise<void>((resolve, reject) => {
      server.once('error', (cause) => {
        reject(new ListenError('cannot listen on the socket', { object: path, cause }));
      });
      server.listen(path, resolve);
    });
  } finally {
    process.umask(mask);
  }
  chmodSync(path, 0o600);
  return {
    close: async () => {
      const ended = new Promise((resolve) => server.close(resolve));
      for (const socket of sockets) socket.destroy();
      await ended;
    },
  };
}

function connected(socket: Socket, backend: Backend, status: () => Status): void {
  let trace: Trace | null = null;
  const stopTrace: Handlers['traceStop'] = async () => {
    const steps = (await trace?.stop()) ?? [];
    trace = null;
    return steps;
  };
  const handlers: Handlers = {
    apply: ({ changes }) => backend.apply(changes),
    dump: async () => [...(await backend.dump()).values()],
    counters: () => backend.counters(),
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
      send(socket, { id, result: await handler(params) });
    } catch (error) {
      const name = error instanceof Error ? error.name : 'Error';
      const retryable = error instanceof PteropusError && error.retryable;
      send(socket, { id, error: { name, message: errorText(error), retryable } });
    }
  };
  receive(socket, (message) => void answer(message as Request));
  // A client that goes away in the middle of an answer is no event of ours.
  socket.on('error', () => socket.destroy());
  socket.once('close', () => void stopTrace(null));
}
