/**
 * Messages on a local stream socket: 4 bytes length (network order), then that many bytes of JSON (UTF-8). One reader for
 * each connection, since a message may arrive in pieces and several may arrive at once.
 */
import type { Socket } from 'node:net';
import { PteropusError } from './errors.js';

/** Larger than any message we send by far; a length above it means that the other side speaks something else. */
const MAX_FRAME_BYTES = 256 << 20;

/** The bytes on the socket are not ours. */
export class FrameError extends PteropusError {}

export function encodeFrame(message: unknown): Buffer {
  const body = Buffer.from(JSON.stringify(message), 'utf8');
  const frame = Buffer.allocUnsafe(4 + body.length);
  frame.writeUInt32BE(body.length, 0);
  body.copy(frame, 4);
  return frame;
}

export function sendFrame(socket: Socket, message: unknown): void {
  if (!socket.destroyed && socket.writable) socket.write(encodeFrame(message));
}

/**
 * Calls `take` for each message of the socket; all of ours are objects. Bytes that are no message of ours, and a message that `take` throws on, destroy
 * the socket with a FrameError: a peer that speaks nonsense costs its connection, never the process.
 */
export function onFrames(socket: Socket, take: (message: object) => void): void {
  const reader = new FrameReader();
  socket.on('data', (chunk: Buffer) => {
    try {
      for (const message of reader.push(chunk)) {
        if (typeof message !== 'object' || message === null) throw new FrameError('no object');
        take(message);
      }
    } catch (cause) {
      socket.destroy(
        cause instanceof FrameError ? cause : new FrameError('message that cannot be read', { cause }),
      );
    }
  });
}

/** Cuts a byte stream into messages. */
export class FrameReader {
  #chunks: Buffer[] = [];
  #size = 0;

  /** Takes the next bytes; returns the messages they complete, in order. Throws FrameError. */
  push(chunk: Buffer): unknown[] {
    this.#chunks.push(chunk);
    this.#size += chunk.length;
    const messages: unknown[] = [];
    for (;;) {
      if (this.#size < 4) return messages;
      const length = this.#head(4).readUInt32BE(0);
      if (length > MAX_FRAME_BYTES) throw new FrameError('message too long', { value: length });
      if (this.#size < 4 + length) return messages;
      const frame = this.#head(4 + length).subarray(4, 4 + length);
      messages.push(parse(frame));
      this.#drop(4 + length);
    }
  }

  /** The first `size` bytes in one piece; pieces are joined only when a message spans them. */
  #head(size: number): Buffer {
    const first = this.#chunks[0];
    if (first !== undefined && first.length >= size) return first;
    const joined = Buffer.concat(this.#chunks);
    this.#chunks = [joined];
    return joined;
  }

  #drop(size: number): void {
    const first = this.#head(size);
    this.#size -= size;
    if (first.length === size) this.#chunks.shift();
    else this.#chunks[0] = first.subarray(size);
  }
}

function parse(frame: Buffer): unknown {
  try {
    return JSON.parse(frame.toString('utf8'));
  } catch (cause) {
    throw new FrameError('not JSON', { cause });
  }
}
