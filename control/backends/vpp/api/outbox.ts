/**
 * Requests on their way out. They are encoded as VPP takes them: a long batch neither fills this process's memory with bytes nor keeps
 * VPP waiting until all of it is encoded.
 */
import { errorText } from '../../../common/errors.js';
import type { Fields } from './api.js';
import type { Call } from './dump.js';
import { EncodeError } from './errors.js';
import type { Channel } from './link.js';
import type { Pending, Waiting } from './pending.js';

interface Queued {
  readonly call: Call;
  readonly context: number;
  readonly fields: Fields | undefined;
  /** Undefined: nothing answers it. */
  readonly waiting: Waiting | undefined;
}

export class Outbox {
  readonly #link: Channel;
  readonly #clientIndex: number;
  readonly #pending: Pending;
  #queue: Queued[] = [];

  constructor(link: Channel, clientIndex: number, pending: Pending) {
    this.#link = link;
    this.#clientIndex = clientIndex;
    this.#pending = pending;
    link.onDrain?.(() => this.#drain());
  }

  /**
   * Sends a request behind those before it; returns its context. Throws EncodeError, unless it has to wait: then `waiting` is told.
   * @param waiting what its reply is for; undefined: nothing answers it
   */
  send(call: Call, fields: Fields | undefined, waiting: Waiting | undefined): number {
    const context = waiting === undefined ? 0 : this.#pending.add(waiting);
    if (this.#queue.length > 0 || this.#link.full === true) {
      this.#queue.push({ call, context, fields, waiting });
      return context;
    }
    try {
      this.#write(call, context, fields);
    } catch (error) {
      if (waiting !== undefined) this.#pending.take(context);
      throw error;
    }
    return context;
  }

  /** What has not left does not leave. */
  clear(): void {
    this.#queue = [];
  }

  #drain(): void {
    const queue = this.#queue;
    let done = 0;
    while (done < queue.length && this.#link.full !== true) {
      const { call, context, fields, waiting } = queue[done++] as Queued;
      // Given up meanwhile.
      if (waiting !== undefined && this.#pending.get(context) !== waiting) continue;
      try {
        this.#write(call, context, fields);
      } catch (error) {
        this.#pending.take(context);
        waiting?.reject(error instanceof Error ? error : new EncodeError(errorText(error)));
      }
    }
    queue.splice(0, done);
  }

  #write(call: Call, context: number, fields: Fields | undefined): void {
    const link = this.#link;
    const start = link.begin();
    try {
      call.codec.encode(link.out, call.id, this.#clientIndex, context, fields);
    } catch (error) {
      link.abort(start);
      throw error;
    }
    link.commit(start);
  }
}
