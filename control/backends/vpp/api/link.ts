/** The stream to VPP: messages out, many in one write; messages in, whole. Knows nothing of what is in them. */
import { createConnection, type Socket } from 'node:net';
import { errorText } from '../../../common/errors.js';
import { Writer } from './codec/bytes.js';
import { VppConnectError, VppLostError } from './errors.js';
import { Deframer, HEADER_SIZE, putHeader } from './framing.js';

/** Written at once, so that VPP works while the rest of a long batch is still being encoded. */
const FLUSH_AT = 32 * 1024;

/** A list of 1,000 access rules has 48 KiB. */
const CAPACITY = 2 * FLUSH_AT;

/** So many buffers are kept. */
const KEPT = 8;

/** Bytes that may wait in this process while the socket takes none; as many are in the socket then. */
const FULL_AT = 256 * 1024;

export interface LinkEvents {
  /** A message has come: the bytes from `start` to before `end`. */
  message(bytes: Buffer, start: number, end: number): void;
  /** Once, and nothing after it. */
  lost(reason: Error): void;
}

/** A way to VPP. What a message is written with, and how it ends. */
export interface Channel {
  /** Where the next message is to be written. Nothing else may be begun until `commit` or `abort`. */
  readonly out: Writer;
  /** Begins a message; returns what `commit` and `abort` want. */
  begin(): number;
  /** The message leaves, behind those before it. */
  commit(start: number): void;
  /** Nothing was begun. */
  abort(start: number): void;
  /** So much waits to leave that nothing should be added; absent: never. */
  readonly full?: boolean;
  /** Has a function called each time something may be added again. */
  onDrain?(listener: () => void): void;
  /** Closes it and tells why, once. */
  end(reason: Error): void;
  /** Message that tells VPP that we go; null: `end` does that itself. */
  readonly farewell: string | null;
  /** Resolves when nothing of it is left, after `end`. */
  readonly gone: Promise<void>;
}

/** Buffers, used again: fresh memory costs more than what is written into it. */
class Writers {
  /** What the socket has not taken at once is read by it until it has. */
  #lent: Writer[] = [];
  #free: Writer[] = [];

  /** Keeps what the socket still reads; returns an empty one. */
  swap(lent: Writer): Writer {
    if (this.#lent.length < KEPT && lent.bytes.length <= 2 * CAPACITY) this.#lent.push(lent);
    return this.#free.pop() ?? new Writer(CAPACITY);
  }

  /** The socket has taken everything. */
  release(): void {
    for (const writer of this.#lent) writer.length = 0;
    if (this.#free.length < KEPT) this.#free.push(...this.#lent);
    this.#lent = [];
  }
}

export class Link implements Channel {
  readonly farewell = 'sockclnt_delete';
  readonly gone = Promise.resolve();
  readonly #socket: Socket;
  readonly #events: LinkEvents;
  readonly #deframer = new Deframer();
  #out = new Writer(CAPACITY);
  readonly #writers = new Writers();
  #flushing = false;
  #ended = false;

  constructor(socket: Socket, events: LinkEvents) {
    this.#socket = socket;
    this.#events = events;
    socket.on('drain', () => this.#writers.release());
    socket.on('data', (chunk: Buffer) => this.#receive(chunk));
    socket.on('error', (error) =>
      this.end(new VppLostError(`connection lost: ${error.message}`, { cause: error })),
    );
    socket.on('close', () => this.end(new VppLostError('VPP closed the connection')));
  }

  /** Whether anything can still be sent. */
  get open(): boolean {
    return !this.#ended;
  }

  get full(): boolean {
    return this.#socket.writableLength >= FULL_AT;
  }

  onDrain(listener: () => void): void {
    this.#socket.on('drain', listener);
  }

  /** Where the next message is to be written. Nothing else may be begun until `commit` or `abort`. */
  get out(): Writer {
    return this.#out;
  }

  /** Begins a message; returns what `commit` and `abort` want. */
  begin(): number {
    return this.#out.reserve(HEADER_SIZE);
  }

  /** The message leaves in this tick, behind those before it. */
  commit(start: number): void {
    const out = this.#out;
    putHeader(out.bytes, start, out.length - start - HEADER_SIZE);
    if (out.length >= FLUSH_AT) this.#flush();
    else if (!this.#flushing) {
      this.#flushing = true;
      process.nextTick(() => {
        this.#flushing = false;
        this.#flush();
      });
    }
  }

  /** Nothing was begun. */
  abort(start: number): void {
    this.#out.length = start;
  }

  /** Sends what `write` writes. */
  send(write: (into: Writer) => void): void {
    const start = this.begin();
    write(this.#out);
    this.commit(start);
  }

  #flush(): void {
    const { bytes, length } = this.#out;
    if (length === 0 || this.#ended) return;
    this.#socket.write(bytes.subarray(0, length));
    if (this.#socket.writableLength === 0) this.#out.length = 0;
    else this.#out = this.#writers.swap(this.#out);
  }

  #receive(chunk: Buffer): void {
    try {
      this.#deframer.push(chunk, (bytes, start, end) => {
        if (!this.#ended) this.#events.message(bytes, start, end);
      });
    } catch (error) {
      this.end(error instanceof Error ? error : new VppLostError(errorText(error)));
    }
  }

  /** Closes the socket and tells why, once. */
  end(reason: Error): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#socket.destroy();
    this.#events.lost(reason);
  }
}

/** Throws VppConnectError. */
export function connect(path: string): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = createConnection(path);
    const fail = (error: Error) =>
      reject(
        new VppConnectError(`cannot connect: ${error.message}`, {
          object: path,
          cause: error,
          retryable: true,
        }),
      );
    socket.once('error', fail);
    socket.once('connect', () => {
      socket.off('error', fail);
      resolve(socket);
    });
  });
}
