/**
 * The statistics segment of a VPP, read under its optimistic lock: VPP raises the epoch when it moves things (interfaces, tables), and
 * says while it does; what was read meanwhile is thrown away and read again. Workers count without it, so figures of two
 * counters may be some packets apart, but each is whole.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { errorText } from '../../../common/errors.js';
import {
  type Entry,
  type Header,
  linkOf,
  type RawDirectory,
  readHeader,
  type SegmentBytes,
  SegmentReader,
} from './decode.js';
import { StatsBusyError, StatsTornError, StatsVersionError } from './errors.js';
import * as S from './layout.js';
import { type StatValue, simpleAt } from './values.js';

const QUICK_TRIES = 8;
const PAUSE_MS = 1;
const PATIENCE_MS = 2000;

/** Which entries to read: names, or what all names begin with that end in `*`. */
export type StatNames = readonly string[];

export class Stats {
  readonly #bytes: SegmentBytes;
  /** Read anew when the epoch has changed. */
  #directory: Directory | null = null;

  /** @param patience milliseconds to wait for VPP to leave the structure alone */
  constructor(
    bytes: SegmentBytes,
    readonly patience = PATIENCE_MS,
  ) {
    this.#bytes = bytes;
  }

  /** Names of all entries in use. Throws StatsBusyError, StatsVersionError, StatsTornError. */
  names(): Promise<readonly string[]> {
    return this.#consistent((_, { used }) => [...used.keys()]);
  }

  /** The entries that there are, of those asked for; all read under one epoch. Throws as `names`. */
  read(names: StatNames): Promise<ReadonlyMap<string, StatValue>> {
    return this.#consistent((reader, directory) => {
      const values = new Map<string, StatValue>();
      for (const entry of directory.select(names)) {
        const value = reader.value(entry, directory.entries);
        if (value !== null) values.set(entry.name, value);
      }
      return values;
    });
  }

  /**
   * The elements of a vector of counters by the names of the symlinks that show them, each summed over all threads: one copy of the
   * vector, where reading the symlinks would be some thousand. Throws as `names`.
   */
  elements(name: string): Promise<ReadonlyMap<string, number>> {
    return this.#consistent((reader, directory) => {
      const entry = directory.used.get(name);
      const vector = entry === undefined ? null : reader.value(entry, directory.entries);
      const elements = new Map<string, number>();
      if (entry === undefined || vector === null) return elements;
      for (const [link, element] of directory.linksTo(entry.index))
        elements.set(link, simpleAt(vector, element));
      return elements;
    });
  }

  /** Does `work` until VPP changed nothing meanwhile. A pause between tries lets VPP have the core that we share with it. */
  async #consistent<T>(work: (reader: SegmentReader, directory: Directory) => T): Promise<T> {
    const end = performance.now() + this.patience;
    for (let tries = 1; ; tries++) {
      const outcome = this.#once(work);
      if (outcome.done) return outcome.result;
      if (performance.now() > end) throw outcome.why;
      if (tries % QUICK_TRIES === 0) await sleep(PAUSE_MS);
    }
  }

  #once<T>(
    work: (reader: SegmentReader, directory: Directory) => T,
  ): { readonly done: true; readonly result: T } | { readonly done: false; readonly why: Error } {
    const busy = new StatsBusyError('VPP does not stop changing its statistics segment', { retryable: true });
    const header = readHeader(this.#bytes);
    if (header.version !== S.VERSION) {
      const value = header.version;
      throw new StatsVersionError(`statistics segments of version ${S.VERSION} are understood`, { value });
    }
    if (header.busy) return { done: false, why: busy };
    try {
      const reader = new SegmentReader(this.#bytes, header);
      const directory = this.#directoryOf(header, reader);
      const result = work(reader, directory);
      if (this.#changedSince(header)) return { done: false, why: busy };
      this.#directory = directory;
      return { done: true, result };
    } catch (error) {
      if (!(error instanceof StatsTornError)) throw error;
      // Read while it changed, or broken for good: the next try tells.
      return { done: false, why: new StatsTornError(errorText(error), { cause: error, retryable: true }) };
    }
  }

  #changedSince(before: Header): boolean {
    const now = readHeader(this.#bytes);
    return now.busy || now.epoch !== before.epoch;
  }

  #directoryOf(header: Header, reader: SegmentReader): Directory {
    const known = this.#directory;
    if (known !== null && known.epoch === header.epoch && known.pointer === header.directory) return known;
    return new Directory(header.epoch, header.directory, reader.directory(known?.raw ?? null));
  }
}

class Directory {
  readonly used: ReadonlyMap<string, Entry>;
  readonly #links = new Map<number, ReadonlyMap<string, number>>();
  readonly #beginnings = new Map<string, readonly Entry[]>();

  constructor(
    readonly epoch: bigint,
    readonly pointer: number,
    readonly raw: RawDirectory,
  ) {
    const used = new Map<string, Entry>();
    for (const entry of raw.entries) if (inUse(entry)) used.set(entry.name, entry);
    this.used = used;
  }

  get entries(): readonly Entry[] {
    return this.raw.entries;
  }

  /** Symlinks into an entry: name and element. */
  linksTo(index: number): ReadonlyMap<string, number> {
    const known = this.#links.get(index);
    if (known !== undefined) return known;
    const links = new Map<string, number>();
    for (const { type, name, word } of this.entries) {
      if (type !== S.TYPE.symlink) continue;
      const link = linkOf(word);
      if (link.target === index) links.set(name, link.element);
    }
    this.#links.set(index, links);
    return links;
  }

  select(names: StatNames): Entry[] {
    return names.flatMap((name) =>
      name.endsWith('*') ? this.#startingWith(name) : (this.used.get(name) ?? []),
    );
  }

  #startingWith(pattern: string): readonly Entry[] {
    const known = this.#beginnings.get(pattern);
    if (known !== undefined) return known;
    const start = pattern.slice(0, -1);
    const found: Entry[] = [];
    for (const [name, entry] of this.used) if (name.startsWith(start)) found.push(entry);
    this.#beginnings.set(pattern, found);
    return found;
  }
}

function inUse({ type, name }: Entry): boolean {
  return type !== 0 && type !== S.TYPE.empty && name !== '';
}
