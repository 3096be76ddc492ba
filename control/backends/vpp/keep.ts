/**
 * The items in force, in a file beside VPP's socket, so that an agent that comes back knows them. It counts only for the run of VPP
 * whose stamp it carries, and only as far as VPP still holds what it says; a machine that loses power loses VPP with it, so nothing
 * here is synced to the disk, and a file that is damaged or gone costs no more than the comparison it would have saved.
 *
 * One line for each transaction, `CHECKSUM JSON`, after a first one that holds everything.
 */
import { type FileHandle, mkdir, open, readFile, rename } from 'node:fs/promises';
import { dirname } from 'node:path';
import { checksum } from '../../common/checksum.js';
import { errorText } from '../../common/errors.js';
import type { Change, Item, Key } from '../../ruleset/types.js';
import { type RunStamp, sameRun } from './run.js';

const VERSION = 1;
/** The file is written anew when its history is so many times as large as what is in force, and that many bytes. */
const MOST_HISTORY = 3;
const LEAST_COMPACTED = 256 * 1024;

interface Head {
  readonly version: number;
  readonly run: RunStamp;
  readonly items: readonly Item[];
}

interface Step {
  readonly put: readonly Item[];
  readonly gone: readonly Key[];
}

export interface Kept {
  readonly items: ReadonlyMap<Key, Item>;
  /** Why what the file says does not count; null = it does, or there is none. */
  readonly refused: string | null;
}

export class Keep {
  #file: FileHandle | null = null;
  /** The file does not say what was noted last: the next line holds everything. */
  #behind = true;
  /** Bytes of the first line, and of those after it. */
  #snapshot = 0;
  #history = 0;
  #writing: Promise<void> = Promise.resolve();

  constructor(
    readonly path: string,
    private readonly run: RunStamp,
  ) {}

  /** What the file says of this run of VPP. A line torn at the end is left out, with all that follows. */
  async load(): Promise<Kept> {
    let text: string;
    try {
      text = await readFile(this.path, 'utf8');
    } catch (error) {
      const absent = (error as NodeJS.ErrnoException).code === 'ENOENT';
      return { items: new Map(), refused: absent ? null : errorText(error) };
    }
    const [first, ...rest] = text.split('\n');
    const head = parseLine<Head>(first ?? '');
    if (head === null) return { items: new Map(), refused: 'its first line is damaged' };
    if (head.version !== VERSION) return { items: new Map(), refused: `its version is ${head.version}` };
    if (!sameRun(head.run, this.run)) return { items: new Map(), refused: 'VPP has been started anew since' };
    const items = new Map(head.items.map((item) => [item.key, item]));
    for (const line of rest) {
      const step = parseLine<Step>(line);
      if (step === null) break;
      for (const item of step.put) items.set(item.key, item);
      for (const key of step.gone) items.delete(key);
    }
    return { items, refused: null };
  }

  /**
   * Notes a transaction that is in force. `items` = all of them, after it; they are not looked at after the call. Resolves when the file
   * says so; who does not wait loses nothing but that.
   */
  note(changes: readonly Change[], gone: readonly Key[], items: Iterable<Item>): Promise<void> {
    const line = Buffer.from(formatLine(stepOf(changes, gone)));
    const at = this.#snapshot + this.#history;
    const most = Math.max(LEAST_COMPACTED, MOST_HISTORY * this.#snapshot);
    if (!this.#behind && this.#history + line.length <= most) {
      this.#history += line.length;
      return this.#inTurn(() => this.#append(line, at));
    }
    const all = Buffer.from(
      formatLine({ version: VERSION, run: this.run, items: [...items] } satisfies Head),
    );
    this.#behind = false;
    this.#snapshot = all.length;
    this.#history = 0;
    return this.#inTurn(() => this.#replace(all));
  }

  /** After what was noted so far is written. */
  async close(): Promise<void> {
    await this.#writing;
    const file = this.#file;
    this.#file = null;
    this.#behind = true;
    await file?.close();
  }

  #inTurn(write: () => Promise<void>): Promise<void> {
    const written = this.#writing.then(write).catch((error: unknown) => {
      this.#behind = true;
      throw error;
    });
    this.#writing = written.catch(() => undefined);
    return written;
  }

  async #append(line: Buffer, at: number): Promise<void> {
    // After a line that failed nothing is of use until all is written anew.
    if (this.#behind) return;
    await this.#file?.write(line, 0, line.length, at);
  }

  async #replace(all: Buffer): Promise<void> {
    await mkdir(dirname(this.path), { recursive: true, mode: 0o700 });
    const temporary = `${this.path}.new`;
    const file = await open(temporary, 'w', 0o600);
    try {
      await file.writeFile(all);
      await rename(temporary, this.path);
    } catch (error) {
      await file.close();
      throw error;
    }
    await this.#file?.close();
    this.#file = file;
  }
}

function stepOf(changes: readonly Change[], gone: readonly Key[]): Step {
  const last = [...new Map(changes.map((change) => [change.key, change])).values()];
  return {
    put: last.flatMap((change) => (change.type === 'remove' ? [] : [change.item])),
    gone: [...gone, ...last.flatMap((change) => (change.type === 'remove' ? [change.key] : []))],
  };
}

function formatLine(value: Head | Step): string {
  const body = JSON.stringify(value);
  return `${checksum(body)} ${body}\n`;
}

function parseLine<T>(line: string): T | null {
  const body = line.slice(17);
  return body !== '' && checksum(body) === line.slice(0, 16) ? (JSON.parse(body) as T) : null;
}
