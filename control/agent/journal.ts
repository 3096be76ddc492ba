/**
 * What the agent must know again after a restart, whatever else is lost: its node id, the pods wired here, and where the
 * address pool stands. One JSON file with a checksum, replaced whole: temporary file, sync, rename, sync of the directory.
 */
import { mkdirSync, readFileSync, renameSync, unlinkSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { dirname } from 'node:path';
import { checksum } from '../common/checksum.js';
import { errorText } from '../common/errors.js';
import type { HostPort } from '../compiler/input.js';
import type { Ip, Mac, PodRef, RateLimits } from '../ruleset/types.js';
import { syncDirectory } from '../store/log.js';
import { JournalWriteError } from './errors.js';
import type { PodFeed } from './pod-feed.js';

/** A pod wired on this node: what ADD was asked and what it made. */
export interface PodRecord {
  readonly pod: PodRef;
  readonly uid: string | null;
  /** null when the record was read back from the data plane after the journal was lost. */
  readonly containerId: string | null;
  /** Name of the network configuration it was wired for. */
  readonly network: string;
  readonly netns: string;
  readonly ifname: string;
  readonly link: string;
  /** Absent: afxdp. */
  readonly feed?: PodFeed;
  readonly mac: Mac;
  readonly podMac: Mac;
  readonly addresses: readonly Ip[];
  /** Absent: none. */
  readonly hostPorts?: readonly HostPort[];
  /** Absent: no limit. */
  readonly limits?: RateLimits;
}

export interface JournalState {
  readonly node: string;
  readonly id: number;
  /** Addresses given out last, one of each family. */
  readonly cursors: readonly Ip[];
  readonly pods: readonly PodRecord[];
}

export interface LoadedJournal {
  /** null: there is none (or none that can be used). */
  readonly state: JournalState | null;
  /** Why an existing file was not used, and where it lies now; null = all well. */
  readonly damage: string | null;
}

const VERSION = 2;

export class Journal {
  /** The write under way; the next one waits for it. */
  #saving: Promise<void> = Promise.resolve();
  /** The file's text as it was read or written last; null = not known. */
  #onDisk: string | null = null;
  #problem: string | null = null;

  constructor(readonly path: string) {}

  get #temporary(): string {
    return `${this.path}.new`;
  }

  /** Why the last state is not on the disk; null = it is. */
  get problem(): string | null {
    return this.#problem;
  }

  /** Reads the file. A damaged one is renamed to `PATH.damaged`, and `damage` says so. What an agent killed while it wrote left is taken away. */
  load(): LoadedJournal {
    this.#discardHalfWritten();
    let text: string;
    try {
      text = readFileSync(this.path, 'utf8');
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return { state: null, damage: null };
      return this.#setAside(errorText(error));
    }
    const end = text.indexOf('\n');
    const body = text.slice(end + 1);
    if (end < 0 || checksum(body) !== text.slice(0, end)) return this.#setAside('its checksum is wrong');
    const parsed = JSON.parse(body) as { readonly version: number; readonly state: JournalState };
    if (parsed.version !== VERSION)
      return this.#setAside(`its version is ${parsed.version}, ours is ${VERSION}`);
    this.#onDisk = text;
    return { state: parsed.state, damage: null };
  }

  /**
   * Resolves when `state` is on the disk. Calls are done in order. What is there already is not written again: an agent whose
   * disk is full starts with the pods it has. Throws JournalWriteError.
   */
  save(state: JournalState): Promise<void> {
    const saved = this.#saving.then(() => this.#write(state));
    this.#saving = saved.catch(() => undefined);
    return saved;
  }

  async #write(state: JournalState): Promise<void> {
    const body = `${JSON.stringify({ version: VERSION, state }, null, 1)}\n`;
    const text = `${checksum(body)}\n${body}`;
    if (text === this.#onDisk) return;
    const temporary = this.#temporary;
    this.#onDisk = null;
    try {
      mkdirSync(dirname(this.path), { recursive: true, mode: 0o700 });
      const file = await open(temporary, 'w', 0o600);
      try {
        await file.writeFile(text);
        await file.sync();
      } finally {
        await file.close();
      }
      renameSync(temporary, this.path);
      syncDirectory(dirname(this.path));
      this.#onDisk = text;
      this.#problem = null;
    } catch (cause) {
      const error = new JournalWriteError(`the journal cannot be written: ${errorText(cause)}`, {
        object: this.path,
        cause,
        retryable: true,
      });
      this.#problem = error.message;
      throw error;
    }
  }

  /** A state that is on the disk already is not written again, so no later write would replace it. */
  #discardHalfWritten(): void {
    try {
      unlinkSync(this.#temporary);
    } catch {
      // There is none; or it cannot be taken away, which the next write runs into and tells.
    }
  }

  #setAside(reason: string): LoadedJournal {
    const aside = `${this.path}.damaged`;
    let where = `kept as ${aside}`;
    try {
      renameSync(this.path, aside);
    } catch (error) {
      where = `and cannot be moved: ${errorText(error)}`;
    }
    return { state: null, damage: `journal ${this.path}: ${reason}; ${where}` };
  }
}
