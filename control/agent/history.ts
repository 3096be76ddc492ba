/** The events that were: the latest, and of older ones those that failed. In memory, bounded. */

export interface EventRecord {
  /** Numbered from 1 in the order of execution. */
  readonly seq: number;
  readonly name: string;
  /** What it is about: a pod, a node; null = the node as a whole. */
  readonly object: string | null;
  /** Seq of the event it follows; null = none. */
  readonly follows: number | null;
  /** Milliseconds since the epoch. */
  readonly start: number;
  readonly end: number;
  /** Keys of the ruleset items changed, `+key`, `~key`, `-key`: the first of them (MOST_MARKS). */
  readonly changes: readonly string[];
  /** How many items changed. */
  readonly changed: number;
  readonly error: string | null;
  /** True if the event failed and all it did was undone. */
  readonly reverted: boolean;
}

export const MOST_MARKS = 200;
const MOST_RECORDS = 1000;
const MOST_FAILURES = 200;

export class History {
  readonly #latest: EventRecord[] = [];
  /** Failures that are no longer among the latest. */
  readonly #failures: EventRecord[] = [];

  /** Oldest first. */
  get records(): readonly EventRecord[] {
    return [...this.#failures, ...this.#latest];
  }

  add(record: EventRecord): void {
    this.#latest.push(record);
    if (this.#latest.length <= MOST_RECORDS) return;
    const oldest = this.#latest.shift();
    if (oldest === undefined || oldest.error === null) return;
    this.#failures.push(oldest);
    if (this.#failures.length > MOST_FAILURES) this.#failures.shift();
  }
}
