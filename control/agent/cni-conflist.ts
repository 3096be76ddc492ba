/**
 * Keeps the network configuration where the container runtime looks for it, and only as long as pods can be wired: a configuration that
 * is there too early starts pods without network. A pause (a restart, a data plane that is replaced) does not take it away: the runtime
 * would report the node as not ready, and its pods would lose their place behind Services; ADD answers "try again later" meanwhile.
 * Nor does a runtime need it gone that asks STATUS: without it containerd takes no pod away either, and a node with a broken data plane
 * could not be drained.
 * What somebody removes (an old plugin's removal, an image of the node that comes with other executables) is put back.
 */
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { goesFirst } from '../cni/conflist.js';
import {
  hasConflist,
  hasExecutable,
  installConflist,
  installExecutable,
  removeConflist,
} from '../cni/install.js';
import { errorText } from '../common/errors.js';
import { Every } from './every.js';

export interface ConflistOptions {
  /** Where the executable is put before the configuration; null = it is there, or somebody else's business. */
  readonly binDir: string | null;
  readonly confDir: string;
  readonly text: string;
  /** Whether the runtime asks STATUS, and so learns of the agent itself why the node is not ready. */
  readonly asksStatus?: () => boolean;
  /** How long the agent may be unready before the configuration goes, milliseconds. */
  readonly graceMs?: number;
  /** The same at its start, when the runtime may not have asked yet. */
  readonly startGraceMs?: number;
  /** Pause between two looks whether it is still there, milliseconds. */
  readonly lookMs?: number;
  readonly log: (line: string) => void;
}

const GRACE_MS = 5000;
// kubelet asks its runtime every 5 s.
const START_GRACE_MS = 15_000;
const RETRY_MS = 1000;
const LOOK_MS = 10_000;

export class ConflistKeeper {
  #ready = false;
  #installed = false;
  #timer: NodeJS.Timeout | null = null;
  readonly #looks: Every;
  #failure: string | null = null;
  #closed = false;

  /** Not ready is what it starts with: a configuration that an earlier agent left goes when the time is over. */
  constructor(private readonly options: ConflistOptions) {
    this.#later(options.startGraceMs ?? START_GRACE_MS, () => this.#remove());
    this.#looks = new Every(options.lookMs ?? LOOK_MS, async () => this.#look());
  }

  /** Why pods are not wired though the agent could. */
  get problems(): readonly string[] {
    const { confDir } = this.options;
    const others = this.#installed ? namesIn(confDir).filter(goesFirst) : [];
    return [
      ...(this.#failure === null ? [] : [this.#failure]),
      ...others.map((name) => `${join(confDir, name)} goes before ours: another plugin wires the pods`),
    ];
  }

  /** Told of every change, and of no change. */
  follow(ready: boolean): void {
    if (ready === this.#ready || this.#closed) return;
    this.#ready = ready;
    this.#cancel();
    if (ready) this.#install();
    else this.#later(this.options.graceMs ?? GRACE_MS, () => this.#remove());
  }

  /**
   * Ends; what is there stays: the next agent needs it as it is, and without it containerd takes no pod away. May be called before the
   * agent is closed, whose last words are that it is not ready.
   */
  close(): Promise<void> {
    this.#closed = true;
    this.#cancel();
    this.#looks.close();
    return Promise.resolve();
  }

  #look(): void {
    const { binDir, confDir, text, log } = this.options;
    // Not yet, or it is being tried.
    if (!this.#installed || this.#timer !== null) return;
    if (hasConflist(confDir, text) && (binDir === null || hasExecutable(binDir))) return;
    log('the executable or the network configuration was removed or changed: putting both back');
    this.#installed = false;
    this.#install();
  }

  #install(): void {
    const { binDir, confDir, text, log } = this.options;
    this.#try(
      () => {
        if (binDir !== null && !this.#installed) log(`installed ${installExecutable(binDir)}`);
        const path = installConflist(confDir, text);
        if (!this.#installed) log(`installed ${path}`);
        this.#installed = true;
      },
      () => this.#install(),
    );
  }

  #remove(): void {
    const { confDir, log, asksStatus } = this.options;
    if (asksStatus?.() === true) return;
    this.#try(
      () => {
        removeConflist(confDir);
        if (this.#installed) log('removed the network configuration: no pods can be wired');
        this.#installed = false;
      },
      () => this.#remove(),
    );
  }

  /** Does it, or tells why not, once, and does it `again` later. */
  #try(work: () => void, again: () => void): void {
    this.#timer = null;
    try {
      work();
      this.#failure = null;
    } catch (error) {
      const failure = errorText(error);
      if (failure !== this.#failure) this.options.log(failure);
      this.#failure = failure;
      this.#later(RETRY_MS, again);
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

function namesIn(folder: string): readonly string[] {
  try {
    return readdirSync(folder);
  } catch {
    return [];
  }
}
