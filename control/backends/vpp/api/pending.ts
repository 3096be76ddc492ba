/** Requests that wait for their reply, in the order in which they were sent. */
import type { Fields } from './api.js';
import { VppTimeoutError } from './errors.js';

export interface Waiting {
  readonly message: string;
  /** Name of the message that answers it, and of the details before it. */
  readonly reply: string;
  readonly details?: string;
  /** Called for each of the details. */
  readonly onDetails?: (fields: Fields) => void;
  readonly resolve: (fields: Fields) => void;
  readonly reject: (error: Error) => void;
}

interface Entry {
  readonly waiting: Waiting;
  readonly sequence: number;
  readonly sent: number;
}

/**
 * VPP answers in order, so that a request's clock starts when all before it are answered: a long batch does not time out because it
 * is long. One that was overtaken by a later one's reply runs on its own clock.
 */
export class Pending {
  readonly #entries = new Map<number, Entry>();
  readonly #timeout: number;
  #timer: NodeJS.Timeout | undefined;
  #sequence = 0;
  #answered = 0;
  /** When the oldest one became the oldest. */
  #headSince = 0;
  #lastContext = 0;

  constructor(timeoutMilliseconds: number) {
    this.#timeout = timeoutMilliseconds;
  }

  get size(): number {
    return this.#entries.size;
  }

  /** A context that is not in use. */
  nextContext(): number {
    do this.#lastContext = (this.#lastContext + 1) >>> 0;
    while (this.#lastContext === 0 || this.#entries.has(this.#lastContext));
    return this.#lastContext;
  }

  add(context: number, waiting: Waiting): void {
    const sent = performance.now();
    if (this.#entries.size === 0) this.#headSince = sent;
    this.#entries.set(context, { waiting, sequence: ++this.#sequence, sent });
    this.#timer ??= this.#arm(this.#timeout);
  }

  get(context: number): Waiting | undefined {
    return this.#entries.get(context)?.waiting;
  }

  /** Takes one out: it is answered. */
  take(context: number): void {
    const entry = this.#entries.get(context);
    if (entry === undefined) return;
    this.#entries.delete(context);
    this.#answered = Math.max(this.#answered, entry.sequence);
    this.#headSince = performance.now();
  }

  /** All fail for the same reason. */
  fail(error: Error): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    const entries = [...this.#entries.values()];
    this.#entries.clear();
    for (const { waiting } of entries) waiting.reject(error);
  }

  #arm(milliseconds: number): NodeJS.Timeout {
    // What has arrived while this process was busy is read before anything is given up.
    const timer = setTimeout(() => setImmediate(() => this.#expire()), milliseconds);
    return timer.unref();
  }

  #expire(): void {
    this.#timer = undefined;
    const now = performance.now();
    const late: [number, Entry][] = [];
    let first = true;
    for (const [context, entry] of this.#entries) {
      const overtaken = entry.sequence < this.#answered;
      const since = overtaken ? entry.sent : Math.max(entry.sent, this.#headSince);
      if (now - since >= this.#timeout && (first || overtaken)) late.push([context, entry]);
      first = false;
      if (!overtaken) break;
    }
    for (const [context, { waiting }] of late) {
      this.#entries.delete(context);
      waiting.reject(new VppTimeoutError(waiting.message, this.#timeout));
    }
    if (late.length > 0) this.#headSince = now;
    if (this.#entries.size > 0) this.#timer = this.#arm(Math.max(10, this.#timeout / 4));
  }
}
