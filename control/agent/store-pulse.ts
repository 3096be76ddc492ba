/**
 * Whether the store answers. A watch is silent while nothing changes, and just so when the node is cut off from the store or the
 * store hangs: then nothing is wrong with traffic, but changes of policies do not come, and somebody should know.
 */
import { errorText } from '../common/errors.js';
import { COMPLETE_KEY } from '../objects/stored-keys.js';
import type { Store } from '../store/store.js';
import { Every } from './every.js';

/** Between two questions, milliseconds. */
const INTERVAL_MS = 10_000;

export class StorePulse {
  readonly #every: Every;
  #problem: string | null = null;

  constructor(
    private readonly store: Pick<Store, 'get'>,
    private readonly log: (line: string) => void,
    intervalMs = INTERVAL_MS,
  ) {
    this.#every = new Every(intervalMs, () => this.#ask());
  }

  /** Why what it holds may be newer than what is known here; null = it answered the last question. */
  get problem(): string | null {
    return this.#problem;
  }

  close(): void {
    this.#every.close();
  }

  async #ask(): Promise<void> {
    try {
      await this.store.get(COMPLETE_KEY);
      if (this.#problem !== null) this.log('the store answers again');
      this.#problem = null;
    } catch (error) {
      if (this.#problem === null) this.log(`the store does not answer: ${errorText(error)}`);
      this.#problem = `the store does not answer, objects are as they were last: ${errorText(error)}`;
    }
  }
}
