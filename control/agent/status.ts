/** Tells the store how far this node has applied it, and whether it is well. Many changes in a row are told as one. */
import { errorText } from '../common/errors.js';
import { STATUS_PREFIX } from '../objects/stored-keys.js';
import { StoreUnavailableError } from '../store/errors.js';
import type { Store } from '../store/store.js';

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
/** What comes so close together is told as one, milliseconds. */
const GATHER_MS = 2;

export class StatusPublisher {
  #wanted: AgentStatus | null = null;
  /** What the store holds of ours, and when it was written (monotonic milliseconds). */
  #told: { readonly status: AgentStatus; readonly at: number } | null = null;
  #timer: { readonly handle: NodeJS.Timeout; readonly due: number } | null = null;
  #busy = false;
  #writing: Promise<void> = Promise.resolve();
  #closed = false;
  #problem: string | null = null;

  constructor(
    private readonly store: Store,
    private readonly node: string,
    /**
     * Shortest time between two writes that tell of a revision only, milliseconds: each change of the cluster is one on each
     * node. Whether the node is well is told at once.
     */
    private readonly intervalMs = GATHER_MS,
  ) {}

  /** Why the store does not hold the latest; null = it does, or cannot be reached, which others tell. */
  get problem(): string | null {
    return this.#problem;
  }

  publish(status: AgentStatus): void {
    this.#wanted = status;
    if (!this.#busy) this.#arm(GATHER_MS);
  }

  /** Writes nothing more; resolves when a write under way is done. */
  async close(): Promise<void> {
    this.#closed = true;
    if (this.#timer !== null) clearTimeout(this.#timer.handle);
    await this.#writing;
  }

  /** Writes what is wanted after `least` milliseconds, or later if that will do. */
  #arm(least: number): void {
    const status = this.#wanted;
    if (status === null || this.#closed) return;
    const now = performance.now();
    const told = this.#told;
    const same = told?.status.ready === status.ready && told.status.problem === status.problem;
    const due = Math.max(now + least, same ? told.at + this.intervalMs : 0);
    if (this.#timer !== null && this.#timer.due <= due) return;
    if (this.#timer !== null) clearTimeout(this.#timer.handle);
    this.#timer = { handle: setTimeout(() => this.#write(), due - now), due };
  }

  #write(): void {
    const status = this.#wanted;
    this.#timer = null;
    this.#wanted = null;
    if (status === null) return;
    this.#busy = true;
    this.#writing = this.store.put(`${STATUS_PREFIX}${this.node}`, JSON.stringify(status)).then(
      () => {
        this.#told = { status, at: performance.now() };
        this.#problem = null;
        this.#next(GATHER_MS);
      },
      (error: unknown) => {
        const away = error instanceof StoreUnavailableError || this.#closed;
        this.#problem = away ? null : `the store takes no writes: ${errorText(error)}`;
        this.#wanted ??= status;
        this.#told = null;
        this.#next(RETRY_MS);
      },
    );
  }

  #next(least: number): void {
    this.#busy = false;
    this.#arm(least);
  }
}
