/**
 * Keeps a workload's process running, as a kubelet restarts a container: in the same sandbox, with the same addresses, at
 * once the first time, then more and more slowly.
 */
import { errorText } from '../../common/errors.js';
import { NotRunningError } from './not-running.js';
import { Workload, type WorkloadSpec } from './workload.js';

const BACKOFF_MS = { first: 20, most: 10_000 };
/** A process that ran this long may be started again at once. */
const STEADY_MS = 10_000;

/** Is told of each unexpected end, in a line for a person. */
export type OnDeath = (line: string) => void;

export class KeptWorkload {
  #current: Workload | null = null;
  #restarted: Promise<void> = Promise.resolve();
  /** Ends the wait before the next start. */
  #wake: () => void = () => undefined;
  #backoff = BACKOFF_MS.first;
  #closing = false;

  private constructor(
    readonly spec: WorkloadSpec,
    private readonly onDeath: OnDeath,
  ) {}

  /** Resolves when it listens. Throws WorkloadError where it does not start the first time. */
  static async start(spec: WorkloadSpec, onDeath: OnDeath): Promise<KeptWorkload> {
    const kept = new KeptWorkload(spec, onDeath);
    await kept.#start();
    return kept;
  }

  /** The process that runs now. Throws NotRunningError while the next one starts. */
  get current(): Workload {
    if (this.#current === null) {
      throw new NotRunningError('its process is being started again', {
        object: this.spec.name,
        retryable: true,
      });
    }
    return this.#current;
  }

  /** Resolves when a process runs again; at once if one does. */
  settled(): Promise<void> {
    return this.#restarted;
  }

  async close(): Promise<void> {
    this.#closing = true;
    this.#wake();
    await this.#restarted;
    await this.#current?.close();
    this.#current = null;
  }

  async #start(): Promise<void> {
    const workload = await Workload.start(this.spec);
    const started = Date.now();
    this.#current = workload;
    void workload.exited.then((reason) => {
      if (this.#closing) return;
      this.#current = null;
      this.onDeath(`process of ${this.spec.name} ${reason}, starting it again`);
      if (Date.now() - started > STEADY_MS) this.#backoff = BACKOFF_MS.first;
      this.#restarted = this.#restart();
    });
  }

  /** Tries until it runs, or until it is closed. Never rejects. */
  async #restart(): Promise<void> {
    while (!this.#closing) {
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, this.#backoff);
        this.#wake = () => {
          clearTimeout(timer);
          resolve();
        };
      });
      this.#backoff = Math.min(this.#backoff * 2, BACKOFF_MS.most);
      if (this.#closing) return;
      try {
        await this.#start();
        return;
      } catch (error) {
        this.onDeath(`process of ${this.spec.name}: ${errorText(error)}`);
      }
    }
  }
}
