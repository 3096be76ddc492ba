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
  /** Bytes of the first line, and of those after it. */
  #snapshot = 0;
  #history = 0;

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

  /** Notes a transaction that is in force. `items` = all of them, after it. */
  async note(changes: readonly Change[], gone: readonly Key[], items: Iterable<Item>): Promise<void> {
    if (this.#file === null || this.#history > Math.max(LEAST_COMPACTED, MOST_HISTORY * this.#snapshot)) {
      await this.#writeAll(items);
      return;
    }
    const last = new Map(changes.map((change) => [change.key, change]));
    const put = [...last.values()].flatMap((change) => (change.type === 'remove' ? [] : [change.item]));
    const removed = [...last.values()].flatMap((change) => (change.type === 'remove' ? [change.key] : []));
    const line = Buffer.from(formatLine({ put, gone: [...removed, ...gone] } satisfies Step));
    await this.#file.write(line, 0, line.length, this.#snapshot + this.#history);
    this.#history += line.length;
  }

  async close(): Promise<void> {
    const file = this.#file;
    this.#file = null;
    await file?.close();
  }

  async #writeAll(items: Iterable<Item>): Promise<void> {
    await this.close();
    await mkdir(dirname(this.path), { recursive: true, mode: 0o700 });
    const line = Buffer.from(
      formatLine({ version: VERSION, run: this.run, items: [...items] } satisfies Head),
    );
    const temporary = `${this.path}.new`;
    const file = await open(temporary, 'w', 0o600);
    try {
      await file.writeFile(line);
      await rename(temporary, this.path);
    } catch (error) {
      await file.close();
      throw error;
    }
    this.#file = file;
    this.#snapshot = line.length;
    this.#history = 0;
  }
}

function formatLine(value: Head | Step): string {
  const body = JSON.stringify(value);
  return `${checksum(body)} ${body}\n`;
}

function parseLine<T>(line: string): T | null {
  const body = line.slice(17);
  return body !== '' && checksum(body) === line.slice(0, 16) ? (JSON.parse(body) as T) : null;
}
