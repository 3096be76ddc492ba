/** Messages on the stream socket: a header of 16 bytes, of which bytes 8-11 are the message's length, and the message. */
import { VppProtocolError } from './errors.js';

export const HEADER_SIZE = 16;
const LENGTH_AT = 8;

/** No message of VPP comes near it; the largest known, the API's description, has 2.6 MB. */
export const MAX_MESSAGE = 64 * 1024 * 1024;

/** Writes the header of a message of `length` bytes. */
export function putHeader(bytes: Buffer, at: number, length: number): void {
  // Not by fill(), which takes longer than encoding a small message.
  for (let i = at; i < at + HEADER_SIZE; i++) bytes[i] = 0;
  bytes.writeUInt32BE(length, at + LENGTH_AT);
}

/** A message with its header. */
export function frame(message: Uint8Array): Buffer {
  const bytes = Buffer.allocUnsafe(HEADER_SIZE + message.length);
  putHeader(bytes, 0, message.length);
  bytes.set(message, HEADER_SIZE);
  return bytes;
}

/** Cuts a stream into messages. What has come of a message not yet whole is kept in pieces and joined once. */
export class Deframer {
  #pieces: Buffer[] = [];
  #size = 0;
  /** Bytes until there is something to do. */
  #wanted = HEADER_SIZE;

  /** Hands over where each whole message is in which bytes. Throws VppProtocolError for a length that cannot be. */
  push(chunk: Buffer, take: (bytes: Buffer, start: number, end: number) => void): void {
    this.#size += chunk.length;
    this.#pieces.push(chunk);
    if (this.#size < this.#wanted) return;
    const [first] = this.#pieces;
    const bytes =
      this.#pieces.length === 1 && first !== undefined ? first : Buffer.concat(this.#pieces, this.#size);
    let at = 0;
    this.#wanted = HEADER_SIZE;
    while (bytes.length - at >= HEADER_SIZE) {
      const length = bytes.readUInt32BE(at + LENGTH_AT);
      if (length < 2 || length > MAX_MESSAGE) {
        throw new VppProtocolError('a message of impossible length', { value: length });
      }
      const end = at + HEADER_SIZE + length;
      if (end > bytes.length) {
        this.#wanted = HEADER_SIZE + length;
        break;
      }
      take(bytes, at + HEADER_SIZE, end);
      at = end;
    }
    const rest = bytes.subarray(at);
    this.#pieces = rest.length === 0 ? [] : [rest];
    this.#size = rest.length;
  }
}
