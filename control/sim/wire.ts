/**
 * The line between a kept cluster's supervisor and the commands that talk to it: JSON messages, each after its length
 * (4 bytes, network order), over a unix socket.
 */
import type { Socket } from 'node:net';
import { PteropusError } from '../common/errors.js';

/** Larger messages are refused: nothing we send comes near. */
const LIMIT = 64 * 1024 * 1024;

/** The other side sent something that is no message of ours. */
export class WireError extends PteropusError {}

export interface Request {
  readonly id: number;
  readonly method: string;
  readonly params: unknown;
}

/** Any number of progress lines, then one result or error. */
export type Reply =
  | { readonly id: number; readonly progress: string }
  | { readonly id: number; readonly result: unknown }
  | { readonly id: number; readonly error: { readonly message: string; readonly known: boolean } };

export function sendMessage(socket: Socket, message: unknown): void {
  const body = Buffer.from(JSON.stringify(message), 'utf8');
  const head = Buffer.alloc(4);
  head.writeUInt32BE(body.length);
  socket.write(Buffer.concat([head, body]));
}

/** Calls `take` for each whole message; a broken one destroys the socket with a WireError. */
export function onMessages(socket: Socket, take: (message: unknown) => void): void {
  let buffer: Buffer = Buffer.alloc(0);
  socket.on('data', (data: Buffer) => {
    buffer = buffer.length === 0 ? data : Buffer.concat([buffer, data]);
    while (buffer.length >= 4) {
      const length = buffer.readUInt32BE(0);
      if (length > LIMIT) {
        socket.destroy(new WireError('message too long', { value: length }));
        return;
      }
      if (buffer.length < 4 + length) return;
      const text = buffer.toString('utf8', 4, 4 + length);
      buffer = buffer.subarray(4 + length);
      let message: unknown;
      try {
        message = JSON.parse(text);
      } catch (cause) {
        socket.destroy(new WireError('not JSON', { value: text, cause }));
        return;
      }
      take(message);
    }
  });
}
