/** One framed connection to a unix socket that is made again whenever it breaks, until closed. */
import { connect, type Socket } from 'node:net';
import { encodeFrame, FrameReader } from '../common/frames.js';
import type { RequestMessage, ServerMessage } from './protocol.js';

export interface ChannelHandler {
  message(message: ServerMessage): void;
  /** A connection that was up broke. */
  down(): void;
}

const FIRST_RETRY_MS = 10;
const LAST_RETRY_MS = 1000;

export class Channel {
  #socket: Socket | null = null;
  #up = false;
  #closed = false;
  #delay = FIRST_RETRY_MS;
  #timer: NodeJS.Timeout | null = null;
  /** Why the last connection failed; undefined while none has. */
  lastError: Error | undefined;

  constructor(
    private readonly path: string,
    private readonly handler: ChannelHandler,
  ) {
    this.#connect();
  }

  send(message: RequestMessage): void {
    if (this.#up) this.#socket?.write(encodeFrame(message));
  }

  close(): void {
    this.#closed = true;
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#socket?.destroy();
  }

  #connect(): void {
    this.#timer = null;
    const socket = connect(this.path);
    const reader = new FrameReader();
    this.#socket = socket;
    socket.on('connect', () => {
      this.#up = true;
      this.#delay = FIRST_RETRY_MS;
    });
    socket.on('data', (chunk) => {
      try {
        for (const message of reader.push(chunk)) {
          if (!this.#closed) this.handler.message(message as ServerMessage);
        }
      } catch (error) {
        socket.destroy(error instanceof Error ? error : undefined);
      }
    });
    socket.on('error', (error) => {
      this.lastError = error;
    });
    socket.on('close', () => {
      const wasUp = this.#up;
      this.#up = false;
      if (this.#closed) return;
      if (wasUp) this.handler.down();
      this.#timer = setTimeout(() => this.#connect(), this.#delay);
      this.#delay = Math.min(this.#delay * 2, LAST_RETRY_MS);
    });
  }
}
