/**
 * What waits for its turn together is done together: one event, one change of the data plane, one entry of the journal. A runtime that
 * starts many pods at a time waits for one of these, not for each of the others'.
 */
import type { EventLoop, Transaction } from './loop.js';

export interface BatchWork<I, O> {
  /** Name of the events. */
  readonly name: string;
  /** Throws what keeps an input from being done; asked when its turn has come. */
  check(input: I): void;
  /** Does several; null for those that have to be done by themselves. If it throws, none is done. */
  together(tx: Transaction, inputs: readonly I[]): Promise<readonly (O | null)[]>;
  /** Does one, or throws why not. */
  alone(tx: Transaction, input: I): Promise<O>;
}

interface Waiting<I, O> {
  readonly input: I;
  readonly object: string;
  readonly resolve: (output: O) => void;
  readonly reject: (error: unknown) => void;
}

/** The later ones of a longer queue would only keep the first ones waiting. */
const MOST = 16;

export class Batch<I, O> {
  #waiting: Waiting<I, O>[] = [];
  #posted = false;

  constructor(
    private readonly loop: EventLoop,
    private readonly work: BatchWork<I, O>,
  ) {}

  /** `object`: what it is about, for the record. Settles with the outcome of this input. */
  push(object: string, input: I): Promise<O> {
    return new Promise((resolve, reject) => {
      this.#waiting.push({ input, object, resolve, reject });
      this.#post();
    });
  }

  #post(): void {
    if (this.#posted || this.#waiting.length === 0) return;
    this.#posted = true;
    let taken: readonly Waiting<I, O>[] = [];
    const event = {
      name: this.work.name,
      /** Known when it is recorded. */
      get object(): string {
        return taken.map(({ object }) => object).join(', ');
      },
      run: async (tx: Transaction): Promise<void> => {
        taken = this.#take();
        const [first, ...others] = taken;
        if (first === undefined) return;
        if (others.length > 0) await this.#together(tx, taken);
        else first.resolve(await this.work.alone(tx, first.input));
      },
    };
    this.loop.push(event).catch((error: unknown) => {
      if (taken.length > 1) {
        for (const one of taken) this.#alone(one);
        return;
      }
      // A loop that takes no more events refuses what waits, too.
      for (const one of taken.length === 0 ? this.#take() : taken) one.reject(error);
    });
  }

  #take(): readonly Waiting<I, O>[] {
    this.#posted = false;
    const taken = this.#waiting.splice(0, MOST).filter((one) => {
      try {
        this.work.check(one.input);
        return true;
      } catch (error) {
        one.reject(error);
        return false;
      }
    });
    this.#post();
    return taken;
  }

  async #together(tx: Transaction, taken: readonly Waiting<I, O>[]): Promise<void> {
    const outputs = await this.work.together(
      tx,
      taken.map(({ input }) => input),
    );
    taken.forEach((one, i) => {
      const output = outputs[i] ?? null;
      if (output === null) this.#alone(one);
      else one.resolve(output);
    });
  }

  /** As an event of its own, whose record says what is wrong with it. */
  #alone({ input, object, resolve, reject }: Waiting<I, O>): void {
    const run = async (tx: Transaction): Promise<O> => {
      this.work.check(input);
      return this.work.alone(tx, input);
    };
    this.loop.push({ name: this.work.name, object, run }).then(resolve, reject);
  }
}
