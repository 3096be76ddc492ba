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

/** Answered ones at the front are cut off when there are so many. */
const CUT_AT = 4096;

/**
 * VPP answers in order, so that a request's clock starts when all before it are answered: a long batch does not time out because it
 * is long. One that was overtaken by a later one's reply runs on its own clock. Contexts are consecutive numbers (mod 2³²).
 */
export class Pending {
  /** Those not yet answered, and holes. What is before `#head` is over. */
  #entries: (Waiting | undefined)[] = [];
  /** When each was sent. */
  #sent: number[] = [];
  #head = 0;
  /** Context of the first entry, `#entries[0]`. */
  #base: number;
  #size = 0;
  /** Index behind the last one answered. */
  #answered = 0;
  /** When the oldest one became the oldest. */
  #headSince = 0;
  #timer: NodeJS.Timeout | undefined;
  readonly #timeout: number;

  constructor(timeoutMilliseconds: number, firstContext = 1) {
    this.#timeout = timeoutMilliseconds;
    this.#base = firstContext;
  }

  get size(): number {
    return this.#size;
  }

  /** The context of what will be added next. */
  get nextContext(): number {
    return (this.#base + this.#entries.length) >>> 0;
  }

  /** Returns its context. */
  add(waiting: Waiting): number {
    const context = this.nextContext;
    const now = performance.now();
    if (this.#size === 0) this.#headSince = now;
    this.#entries.push(waiting);
    this.#sent.push(now);
    this.#size++;
    this.#timer ??= this.#arm(this.#timeout);
    return context;
  }

  get(context: number): Waiting | undefined {
    return this.#entries[(context - this.#base) >>> 0];
  }

  /** Takes one out: it is answered, or no answer is waited for any more. */
  take(context: number): void {
    const index = (context - this.#base) >>> 0;
    if (this.#entries[index] === undefined) return;
    this.#entries[index] = undefined;
    this.#size--;
    this.#answered = Math.max(this.#answered, index + 1);
    if (index === this.#head) this.#advance();
  }

  #advance(): void {
    this.#headSince = performance.now();
    const entries = this.#entries;
    while (this.#head < entries.length && entries[this.#head] === undefined) this.#head++;
    if (this.#head < entries.length && (this.#head < CUT_AT || 2 * this.#head < entries.length)) return;
    this.#base = (this.#base + this.#head) >>> 0;
    this.#answered = Math.max(0, this.#answered - this.#head);
    this.#entries = entries.slice(this.#head);
    this.#sent = this.#sent.slice(this.#head);
    this.#head = 0;
  }

  /** All fail for the same reason. */
  fail(error: Error): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    const waiting = this.#entries.slice(this.#head);
    this.#base = this.nextContext;
    this.#entries = [];
    this.#sent = [];
    this.#head = 0;
    this.#size = 0;
    for (const one of waiting) one?.reject(error);
  }

  #arm(milliseconds: number): NodeJS.Timeout {
    // What has arrived while this process was busy is read before anything is given up.
    const timer = setTimeout(() => setImmediate(() => this.#expire()), milliseconds);
    return timer.unref();
  }

  #expire(): void {
    this.#timer = undefined;
    const now = performance.now();
    const late: (readonly [context: number, waiting: Waiting])[] = [];
    for (let index = this.#head; index < this.#entries.length; index++) {
      const waiting = this.#entries[index];
      const sent = this.#sent[index] ?? now;
      const overtaken = index < this.#answered;
      const since = overtaken ? sent : Math.max(sent, this.#headSince);
      if (waiting !== undefined && now - since >= this.#timeout) late.push([this.#base + index, waiting]);
      if (!overtaken) break;
    }
    for (const [context] of late) this.take(context >>> 0);
    for (const [, waiting] of late) waiting.reject(new VppTimeoutError(waiting.message, this.#timeout));
    if (this.#size > 0) this.#timer = this.#arm(Math.max(10, this.#timeout / 4));
  }
}
