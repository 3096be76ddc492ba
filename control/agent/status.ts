/** Tells the store how far this node has applied it, and whether it is well. Many changes in a row are told as one. */
import type { Store } from '../store/store.js';

export const STATUS_PREFIX = '/pteropus/status/';

export interface AgentStatus {
  /** Store revision up to which everything is in force. */
  readonly revision: number;
  /** Serving CNI, and nothing is known to be wrong. */
  readonly ready: boolean;
  /** Who wrote it: two agents must not run as one node (twin.ts). */
  readonly instance: string;
  /** Milliseconds since the epoch. */
  readonly time: number;
  /** What is wrong, for a person; absent = nothing. */
  readonly problem?: string;
}

/** How long the store may be out of reach before the next try, milliseconds. */
const RETRY_MS = 250;

export class StatusPublisher {
  #wanted: AgentStatus | null = null;
  #timer: NodeJS.Timeout | null = null;
  #writing: Promise<void> = Promise.resolve();
  #closed = false;

  constructor(
    private readonly store: Store,
    private readonly node: string,
    /** Shortest time between two writes, milliseconds. */
    private readonly intervalMs = 2,
  ) {}

  publish(status: AgentStatus): void {
    this.#wanted = status;
    if (this.#timer === null && !this.#closed) this.#timer = setTimeout(() => this.#write(), this.intervalMs);
  }

  /** Writes nothing more; resolves when a write under way is done. */
  async close(): Promise<void> {
    this.#closed = true;
    if (this.#timer !== null) clearTimeout(this.#timer);
    await this.#writing;
  }

  #write(): void {
    const status = this.#wanted;
    this.#wanted = null;
    if (status === null) {
      this.#timer = null;
      return;
    }
    this.#writing = this.store.put(`${STATUS_PREFIX}${this.node}`, JSON.stringify(status)).then(
      () => this.#next(this.intervalMs),
      () => {
        this.#wanted ??= status;
        this.#next(RETRY_MS);
      },
    );
  }

  #next(delay: number): void {
    this.#timer = null;
    if (this.#wanted !== null && !this.#closed) this.#timer = setTimeout(() => this.#write(), delay);
  }
}
