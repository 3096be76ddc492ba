/**
 * Keeps the network configuration where the container runtime looks for it, and only as long as pods can be wired: a configuration that
 * is there too early starts pods without network. A pause (a restart, a data plane that is replaced) does not take it away: the runtime
 * would report the node as not ready, and its pods would lose their place behind Services; ADD answers "try again later" meanwhile.
 */
import { installConflist, installExecutable, removeConflist } from '../cni/install.js';
import { errorText } from '../common/errors.js';

export interface ConflistOptions {
  /** Where the executable is put before the configuration; null = it is there, or somebody else's business. */
  readonly binDir: string | null;
  readonly confDir: string;
  readonly text: string;
  /** How long the agent may be unready before the configuration goes, milliseconds. */
  readonly graceMs?: number;
  readonly log: (line: string) => void;
}

const GRACE_MS = 5000;
const RETRY_MS = 1000;

export class ConflistKeeper {
  #ready = false;
  #installed = false;
  #timer: NodeJS.Timeout | null = null;

  /** Not ready is what it starts with: a configuration that an earlier agent left goes when the time is over. */
  constructor(private readonly options: ConflistOptions) {
    this.#later(options.graceMs ?? GRACE_MS, () => this.#remove());
  }

  /** Told of every change, and of no change. */
  follow(ready: boolean): void {
    if (ready === this.#ready) return;
    this.#ready = ready;
    this.#cancel();
    if (ready) this.#install();
    else this.#later(this.options.graceMs ?? GRACE_MS, () => this.#remove());
  }

  /** Ends; what is there stays: the next agent needs it as it is. */
  close(): Promise<void> {
    this.#cancel();
    return Promise.resolve();
  }

  #install(): void {
    const { binDir, confDir, text, log } = this.options;
    try {
      if (binDir !== null && !this.#installed) log(`installed ${installExecutable(binDir)}`);
      const path = installConflist(confDir, text);
      if (!this.#installed) log(`installed ${path}`);
      this.#installed = true;
    } catch (error) {
      log(errorText(error));
      this.#later(RETRY_MS, () => this.#install());
    }
  }

  #remove(): void {
    const { confDir, log } = this.options;
    try {
      removeConflist(confDir);
      if (this.#installed) log('removed the network configuration: no pods can be wired');
      this.#installed = false;
    } catch (error) {
      log(errorText(error));
      this.#later(RETRY_MS, () => this.#remove());
    }
  }

  #later(ms: number, work: () => void): void {
    this.#timer = setTimeout(work, ms).unref();
  }

  #cancel(): void {
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
  }
}
