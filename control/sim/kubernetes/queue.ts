/** Names of things to look at again: each once however often it is added, one at a time, later again when it fails. */
import { errorText } from '../../common/errors.js';
import { ApiError } from './errors.js';

export interface QueueSpec {
  /** For messages: `scheduler`. */
  readonly name: string;
  /** Makes things as they should be; called again after a failure, more and more slowly. */
  readonly reconcile: (key: string) => Promise<void>;
  /** Keys looked at side by side. */
  readonly parallel: number;
  readonly log: (line: string) => void;
}

const BACKOFF_MS = { first: 20, most: 5000 };

export class WorkQueue {
  readonly #waiting = new Set<string>();
  readonly #running = new Set<string>();
  /** Key -> how long it waits after its next failure. */
  readonly #backoff = new Map<string, number>();
  readonly #timers = new Map<string, NodeJS.Timeout>();
  /** Key -> what was said of it last: not again with every attempt. */
  readonly #said = new Map<string, string>();
  #closed = false;
  #quiet: () => void = () => undefined;

  constructor(private readonly spec: QueueSpec) {}

  add(key: string): void {
    if (this.#closed) return;
    clearTimeout(this.#timers.get(key));
    this.#timers.delete(key);
    this.#waiting.add(key);
    // What one turn of the event loop brings is looked at once.
    setImmediate(() => this.#next());
  }

  /** Nothing waits, runs, or will be tried again. */
  get idle(): boolean {
    return this.#waiting.size + this.#running.size + this.#timers.size === 0;
  }

  /** Resolves when what runs has ended; nothing begins any more. */
  async close(): Promise<void> {
    this.#closed = true;
    this.#waiting.clear();
    for (const timer of this.#timers.values()) clearTimeout(timer);
    this.#timers.clear();
    if (this.#running.size === 0) return;
    await new Promise<void>((resolve) => {
      this.#quiet = resolve;
    });
  }

  #next(): void {
    for (const key of this.#waiting) {
      if (this.#running.size >= this.spec.parallel) return;
      // A key that runs now waits for its turn: what it does may be about what came before.
      if (this.#running.has(key)) continue;
      this.#waiting.delete(key);
      void this.#run(key);
    }
  }

  async #run(key: string): Promise<void> {
    const { name, reconcile, log } = this.spec;
    this.#running.add(key);
    try {
      await reconcile(key);
      this.#backoff.delete(key);
      this.#said.delete(key);
    } catch (error) {
      if (!this.#closed) {
        const wait = this.#backoff.get(key) ?? BACKOFF_MS.first;
        this.#backoff.set(key, Math.min(wait * 2, BACKOFF_MS.most));
        const text = `${name}: ${key}: ${errorText(error)}`;
        const isNews = !(error instanceof ApiError && error.overtaken);
        if (isNews && this.#said.get(key) !== text) {
          this.#said.set(key, text);
          log(text);
        }
        if (!this.#waiting.has(key))
          this.#timers.set(
            key,
            setTimeout(() => this.add(key), wait),
          );
      }
    } finally {
      this.#running.delete(key);
      if (this.#running.size === 0) this.#quiet();
      this.#next();
    }
  }
}
