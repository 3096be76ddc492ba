/**
 * The least a client of VPP's API socket can do: messages encoded beforehand, written many at a time with a bounded number under way,
 * replies counted by the lengths in their headers and not read.
 */
import { createConnection, type Socket } from 'node:net';
import type { Fields } from '../../control/backends/vpp/api/api.js';
import { Writer } from '../../control/backends/vpp/api/codec/bytes.js';
import type { MessageCodec } from '../../control/backends/vpp/api/codec/message.js';
import { frame, HEADER_SIZE } from '../../control/backends/vpp/api/framing.js';
import { readWelcome, type Welcome, writeHello } from '../../control/backends/vpp/api/handshake.js';

/** Messages written at once, and how many may wait for their replies. */
const CHUNK = 256;
const WINDOW = 1024;

/** Messages of one kind, ready to be written; `counts` how many each chunk has. */
export interface Encoded {
  readonly chunks: readonly Buffer[];
  readonly counts: readonly number[];
  readonly total: number;
}

export class BareClient {
  readonly #socket: Socket;
  readonly #welcome: Welcome;
  #onReply: (count: number) => void = () => {};
  /** Bytes of an unfinished message still to come, and of a header not whole. */
  #skip = 0;
  #header: Buffer = Buffer.alloc(0);

  private constructor(socket: Socket, welcome: Welcome) {
    this.#socket = socket;
    this.#welcome = welcome;
    socket.on('data', (chunk: Buffer) => this.#count(chunk));
  }

  static async connect(path: string): Promise<BareClient> {
    const socket = createConnection(path);
    const hello = new Writer();
    writeHello(hello, 'bare');
    socket.write(frame(hello.bytes.subarray(0, hello.length)));
    const pieces: Buffer[] = [];
    const welcome = await new Promise<Buffer>((resolve, reject) => {
      socket.on('error', reject);
      socket.on('data', function take(chunk: Buffer) {
        pieces.push(chunk);
        const all = Buffer.concat(pieces);
        if (all.length < HEADER_SIZE || all.length < HEADER_SIZE + all.readUInt32BE(8)) return;
        socket.off('data', take);
        resolve(all.subarray(HEADER_SIZE));
      });
    });
    return new BareClient(socket, readWelcome(welcome));
  }

  encode(codec: MessageCodec, list: readonly Fields[]): Encoded {
    const id = this.#welcome.messages.get(codec.name)?.id ?? 0;
    const chunks: Buffer[] = [];
    const counts: number[] = [];
    for (let at = 0; at < list.length; at += CHUNK) {
      const part = list.slice(at, at + CHUNK);
      const frames = part.map((fields, i) => {
        const writer = new Writer(512);
        codec.encode(writer, id, this.#welcome.clientIndex, at + i, fields);
        return frame(writer.bytes.subarray(0, writer.length));
      });
      chunks.push(Buffer.concat(frames));
      counts.push(part.length);
    }
    return { chunks, counts, total: list.length };
  }

  /** Resolves when as many replies have come as messages were sent. */
  send({ chunks, counts, total }: Encoded): Promise<void> {
    return new Promise((resolve) => {
      let next = 0;
      let sent = 0;
      let answered = 0;
      const fill = () => {
        for (;;) {
          const [chunk, count] = [chunks[next], counts[next]];
          if (chunk === undefined || count === undefined || sent + count - answered > WINDOW) return;
          this.#socket.write(chunk);
          sent += count;
          next++;
        }
      };
      this.#onReply = (count) => {
        answered += count;
        if (answered === total) resolve();
        else fill();
      };
      fill();
    });
  }

  #count(chunk: Buffer): void {
    let replies = 0;
    let at = 0;
    while (at < chunk.length) {
      if (this.#skip > 0) {
        const step = Math.min(this.#skip, chunk.length - at);
        this.#skip -= step;
        at += step;
        if (this.#skip === 0) replies++;
        continue;
      }
      const wanted = HEADER_SIZE - this.#header.length;
      const piece = chunk.subarray(at, at + wanted);
      this.#header = this.#header.length === 0 ? piece : Buffer.concat([this.#header, piece]);
      at += piece.length;
      if (this.#header.length < HEADER_SIZE) break;
      this.#skip = this.#header.readUInt32BE(8);
      this.#header = this.#header.subarray(0, 0);
    }
    if (replies > 0) this.#onReply(replies);
  }

  close(): void {
    this.#socket.destroy();
  }
}
