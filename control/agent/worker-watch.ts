/**
 * Whether the data plane's workers live. One that dies is replaced in a fraction of a second, and its data plane answers as ever; one
 * that dies again and again forwards next to nothing meanwhile, which nothing else would tell.
 */
import type { Backend } from '../backends/backend.js';

export class WorkerWatch {
  #backend: Pick<Backend, 'counters'> | null = null;
  #restarts = 0;
  #problem: string | null = null;

  constructor(private readonly log: (line: string) => void) {}

  /** null = none died between the last two looks. */
  get problem(): string | null {
    return this.#problem;
  }

  /** Called now and then. A data plane that is lost, or has no workers of ours, tells nothing. */
  async look(backend: Pick<Backend, 'counters'> | null): Promise<void> {
    const { restarts } = (await backend?.counters().catch(() => null)) ?? {};
    // Of one that was opened since, it is not known when they died.
    const died = backend === this.#backend ? (restarts ?? 0) - this.#restarts : 0;
    this.#backend = backend;
    this.#restarts = restarts ?? 0;
    const last = this.#problem;
    this.#problem =
      died > 0 ? `workers of the data plane died ${died} times since the last look: its log says why` : null;
    if (this.#problem !== null && this.#problem !== last) this.log(this.#problem);
  }
}
