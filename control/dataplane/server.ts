/** Serves a backend over a unix socket (wire.ts) that only its owner may open. */
import { createServer, type Socket } from 'node:net';
import type { Backend, Trace } from '../backends/backend.js';
import type { Method, Methods, Request, Status } from '../backends/wasm/wire.js';
import { errorText, InvalidInputError, PteropusError } from '../common/errors.js';
import { onFrames, sendFrame } from '../common/frames.js';
import { listenPrivately } from '../common/listen.js';

/** The socket could not be made. */
export class ListenError extends PteropusError {}

export interface Served {
  /** Stops listening and ends all connections; the backend stays open. */
  close(): Promise<void>;
}

type Handlers = { readonly [M in Method]: (params: Methods[M]['params']) => Promise<Methods[M]['result']> };

/** Listens on `path`; a socket that a process left there is removed, one that answers is not. Throws ListenError. */
export async function serve(path: string, backend: Backend, status: () => Status): Promise<Served> {
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.once('close', () => sockets.delete(socket));
    connected(socket, backend, status);
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
