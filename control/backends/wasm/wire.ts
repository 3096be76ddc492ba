/**
 * How the agent and a data-plane process talk: over a unix socket, each message a little-endian u32 length and that many
 * bytes of JSON. Requests carry an id, answers the same one; order is kept.
 */
import type { Socket } from 'node:net';
import { PteropusError } from '../../common/errors.js';
import type { Change, Item } from '../../ruleset/types.js';
import type { ChangeResult, Counters, TraceFilter, TraceStep } from '../backend.js';

/** Method -> what is sent and what comes back. */
export interface Methods {
  readonly apply: {
    readonly params: { readonly changes: readonly Change[] };
    readonly result: readonly ChangeResult[];
  };
  readonly dump: { readonly params: null; readonly result: readonly Item[] };
  readonly counters: { readonly params: null; readonly result: Counters };
  readonly traceStart: { readonly params: TraceFilter; readonly result: null };
  readonly traceStop: { readonly params: null; readonly result: readonly TraceStep[] };
  readonly status: { readonly params: null; readonly result: Status };
}

export interface Status {
  readonly pid: number;
  /** How often the worker was replaced. */
  readonly restarts: number;
}

export type Method = keyof Methods;

export interface Request {
  readonly id: number;
  readonly method: Method;
  readonly params: unknown;
}

export interface WireError {
  readonly name: string;
  readonly message: string;
  readonly retryable: boolean;
}

export interface Response {
  readonly id: number;
  readonly result?: unknown;
  readonly error?: WireError;
}

/** The other side sent something that is no message. */
export class WireFormatError extends PteropusError {}

const LENGTH_BYTES = 4;
const MAX_MESSAGE = 256 * 1024 * 1024;

export function send(socket: Socket, message: Request | Response): void {
  const body = Buffer.from(JSON.stringify(message));
  const head = Buffer.alloc(LENGTH_BYTES);
  head.writeUInt32LE(body.length);
  socket.write(head);
  socket.write(body);
}

/** Calls `take` for each whole message; throws WireFormatError into the socket's 'error' when the stream makes no sense. */
export function receive(socket: Socket, take: (message: unknown) => void): void {
  let chunks: Buffer[] = [];
  let size = 0;
  socket.on('data', (chunk: Buffer) => {
    chunks.push(chunk);
    size += chunk.length;
    while (size >= LENGTH_BYTES) {
      if ((chunks[0]?.length ?? 0) < LENGTH_BYTES) chunks = [Buffer.concat(chunks)];
      const length = chunks[0]?.readUInt32LE(0) ?? 0;
      if (length > MAX_MESSAGE) {
        socket.destroy(new WireFormatError('message too long', { value: length }));
        return;
      }
      if (size < LENGTH_BYTES + length) return;
      const all = Buffer.concat(chunks);
      const body = all.subarray(LENGTH_BYTES, LENGTH_BYTES + length);
      chunks = [all.subarray(LENGTH_BYTES + length)];
      size -= LENGTH_BYTES + length;
      try {
        take(JSON.parse(body.toString('utf8')));
      } catch (cause) {
        socket.destroy(new WireFormatError('message that cannot be read', { cause }));
        return;
      }
    }
  });
}
