/**
 * A copy on this machine's disk of what was read from the store, so that a node can start while the store is away. One line for
 * each entry, `CHECKSUM JSON`; a `commit` line ends what belongs together, and what has none behind it does not count. Written
 * in the background, synced, a little behind: an older state of the store is what it is for.
 */
import { mkdirSync, renameSync } from 'node:fs';
import { type FileHandle, open, readFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import { checksum } from '../common/checksum.js';
import { errorText } from '../common/errors.js';
import { syncDirectory } from './log.js';
import type { Entry, Snapshot, StoreEvent } from './store.js';

type Line =
  | readonly ['mirror', number]
  | readonly ['put', Entry]
  | readonly ['delete', string]
  | readonly ['commit', number];

const VERSION = 1;
/** Changes of this long are written, and synced, together; milliseconds. */
const GATHER_MS = 100;
/** The file is written anew when its changes outgrow what it began with, and this many bytes. */
const SLACK_BYTES = 8 << 20;
/** Characters written at a time: others get their turn between two. */
const PIECE = 1 << 18;

export interface OpenedMirror {
  readonly mirror: Mirror;
  /** What it holds; null if there is none, or none that can be used. */
  readonly content: Snapshot | null;
  /** Why an existing file was not used, and where it lies now; null = all well. */
  readonly damage: string | null;
}

export class Mirror {
  /** What the file is to begin with next; null: changes are appended. */
  #fresh: Snapshot | null = null;
  #changes: Line[] = [];
  #timer: NodeJS.Timeout | null = null;
  #writing: Promise<void> = Promise.resolve();
  #file: FileHandle | null = null;
  #bytes = 0;
  #startBytes = 0;
  #failed = false;

  private constructor(
    readonly path: string,
    private readonly log: (line: string) => void,
  ) {}

  /** Reads the file. A damaged one is renamed to `PATH.damaged`; `replace` has to be called before changes are kept. */
  static async open(path: string, log: (line: string) => void): Promise<OpenedMirror> {
    const mirror = new Mirror(path, log);
    let bytes: Buffer;
    try {
      bytes = await readFile(path);
    } catch (error) {
      const absent = (error as NodeJS.ErrnoException).code === 'ENOENT';
      return { mirror, content: null, damage: absent ? null : setAside(path, errorText(error)) };
    }
    const read = parse(bytes);
    return 'damage' in read
      ? { mirror, content: null, damage: setAside(path, read.damage) }
      : { mirror, content: read, damage: null };
  }

  /** The store holds this. */
  replace(snapshot: Snapshot): void {
    this.#fresh = snapshot;
    this.#changes = [];
    this.#schedule();
  }

  /** This changed since; nothing is kept before the first `replace`. */
  apply(events: readonly StoreEvent[], revision: number): void {
    if (this.#fresh === null && this.#file === null && !this.#failed) return;
    for (const event of events) {
      this.#changes.push(event.type === 'put' ? ['put', event.entry] : ['delete', event.key]);
    }
    this.#changes.push(['commit', revision]);
    this.#schedule();
  }

  /** Writes what waits; resolves when it is on the disk. */
  async flush(): Promise<void> {
    if (this.#timer !== null) this.#start();
    await this.#writing;
  }

  async close(): Promise<void> {
    await this.flush();
    await this.#file?.close();
    this.#file = null;
  }

  #schedule(): void {
    this.#timer ??= setTimeout(() => this.#start(), GATHER_MS);
  }

  #start(): void {
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
    this.#writing = this.#writing.then(() => this.#write()).catch((error: unknown) => this.#fail(error));
  }

  async #write(): Promise<void> {
    const fresh = this.#fresh;
    const changes = this.#changes;
    this.#fresh = null;
    this.#changes = [];
    if (fresh !== null) await this.#rewrite(fresh);
    if (this.#file === null || changes.length === 0) return;
    const text = Buffer.from(changes.map(encode).join(''), 'utf8');
    await this.#file.write(text, 0, text.length, this.#bytes);
    await this.#file.datasync();
    this.#bytes += text.length;
    if (this.#bytes < 2 * this.#startBytes + SLACK_BYTES) return;
    const read = parse(await readFile(this.path));
    if ('damage' in read) throw new Error(read.damage);
    await this.#rewrite(read);
  }

  /** A new file beside the old one, then in its place. */
  async #rewrite({ entries, revision }: Snapshot): Promise<void> {
    const temporary = `${this.path}.new`;
    mkdirSync(dirname(this.path), { recursive: true, mode: 0o700 });
    const file = await open(temporary, 'w', 0o600);
    let bytes = 0;
    try {
      let piece = encode(['mirror', VERSION]);
      const push = async (): Promise<void> => {
        const text = Buffer.from(piece, 'utf8');
        piece = '';
        await file.write(text, 0, text.length, bytes);
        bytes += text.length;
      };
      for (const entry of entries) {
        piece += encode(['put', entry]);
        if (piece.length >= PIECE) await push();
      }
      piece += encode(['commit', revision]);
      await push();
      await file.sync();
      renameSync(temporary, this.path);
      syncDirectory(dirname(this.path));
    } catch (error) {
      await file.close();
      throw error;
    }
    await this.#file?.close();
    this.#file = file;
    this.#bytes = bytes;
    this.#startBytes = bytes;
    this.#failed = false;
  }

  /** A mirror that cannot be written is of an older state from here on, until the next listing. */
  #fail(error: unknown): void {
    if (!this.#failed) this.log(`the mirror ${this.path} cannot be written: ${errorText(error)}`);
    this.#failed = true;
    this.#file?.close().catch(() => undefined);
    this.#file = null;
  }
}

function encode(line: Line): string {
  const json = JSON.stringify(line);
  return `${checksum(json)} ${json}\n`;
}

function decode(text: string): Line | null {
  const json = text.slice(17);
  if (text[16] !== ' ' || checksum(json) !== text.slice(0, 16)) return null;
  return JSON.parse(json) as Line;
}

/** The state at the last commit. Lines behind it, and a last line that was torn, do not count. */
function parse(bytes: Buffer): Snapshot | { readonly damage: string } {
  const entries = new Map<string, Entry>();
  let waiting: Line[] = [];
  let revision: number | null = null;
  let count = 0;
  for (let at = 0; at < bytes.length; ) {
    const end = bytes.indexOf(10, at);
    const line = end < 0 ? null : decode(bytes.toString('utf8', at, end));
    count++;
    if (line === null) {
      if (end >= 0 && end + 1 < bytes.length) return { damage: `line ${count} is damaged` };
      break;
    }
    at = end + 1;
    if (count === 1) {
      if (line[0] !== 'mirror') return { damage: 'is not a mirror of the store' };
      if (line[1] !== VERSION) return { damage: `its version is ${line[1]}, ours is ${VERSION}` };
    } else if (line[0] !== 'commit') waiting.push(line);
    else {
      for (const change of waiting) {
        if (change[0] === 'put') entries.set(change[1].key, change[1]);
        else if (change[0] === 'delete') entries.delete(change[1]);
      }
      waiting = [];
      revision = line[1];
    }
  }
  if (revision === null) return { damage: 'ends before its first commit' };
  return { entries: [...entries.values()].sort((a, b) => (a.key < b.key ? -1 : 1)), revision };
}

function setAside(path: string, reason: string): string {
  const aside = `${path}.damaged`;
  try {
    renameSync(path, aside);
    return `mirror ${path}: ${reason}; kept as ${aside}`;
  } catch (error) {
    return `mirror ${path}: ${reason}; and cannot be moved: ${errorText(error)}`;
  }
}
