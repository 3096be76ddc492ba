/**
 * The embedded store's file: one line for each commit, `CHECKSUM JSON`, appended and synced before the commit counts; the
 * first line is a snapshot. Compaction writes a new file beside it and renames.
 */
import { closeSync, fsyncSync, openSync, renameSync } from 'node:fs';
import { type FileHandle, open, readFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import { checksum } from '../common/checksum.js';
import { StoreDamagedError, StoreWriteError } from './errors.js';
import type { Commit, Keyspace } from './keyspace.js';
import type { LeaseId, Snapshot } from './store.js';

type Header = {
  readonly identity: string;
  readonly snapshot: Snapshot;
  readonly leases: Readonly<Record<string, LeaseId>>;
};
type Line = Header | Commit;

export interface OpenedLog {
  readonly log: StoreLog;
  readonly identity: string;
  /** Bytes cut off the end: a write that a crash had torn. 0 = none. */
  readonly torn: number;
}

export class StoreLog {
  #file: FileHandle;
  #bytes: number;
  /** Commits since the last snapshot. */
  #commits: number;

  private constructor(
    readonly path: string,
    private readonly identity: string,
    file: FileHandle,
    bytes: number,
    commits: number,
  ) {
    this.#file = file;
    this.#bytes = bytes;
    this.#commits = commits;
  }

  /**
   * Opens or makes the file and puts its contents into `keyspace`. A torn last line is cut off; damage before it throws
   * StoreDamagedError. `identity` is used for a new file.
   */
  static async open(path: string, keyspace: Keyspace, identity: string): Promise<OpenedLog> {
    const bytes = await readFile(path).catch((cause: NodeJS.ErrnoException) => {
      if (cause.code === 'ENOENT') return Buffer.alloc(0);
      throw new StoreDamagedError('cannot be read', { object: path, cause });
    });
    const { good, lines } = parseLog(bytes, path);
    const header = lines[0];
    if (header === undefined) {
      const log = await StoreLog.#write(path, keyspace, identity);
      return { log, identity, torn: bytes.length };
    }
    for (const line of lines) {
      if ('snapshot' in line) keyspace.reset(line.snapshot, line.leases);
      else keyspace.commit(line);
    }
    const name = 'identity' in header ? header.identity : identity;
    const file = await open(path, 'r+');
    await file.truncate(good);
    return {
      log: new StoreLog(path, name, file, good, lines.length - 1),
      identity: name,
      torn: bytes.length - good,
    };
  }

  /** Appends and syncs. Throws StoreWriteError, and then the file is as before. */
  async append(commits: readonly Commit[]): Promise<void> {
    const text = Buffer.from(commits.map(encode).join(''), 'utf8');
    try {
      await this.#file.write(text, 0, text.length, this.#bytes);
      await this.#file.datasync();
    } catch (cause) {
      await this.#file.truncate(this.#bytes).catch(() => undefined);
      throw new StoreWriteError('cannot be written', { object: this.path, cause, retryable: true });
    }
    this.#bytes += text.length;
    this.#commits += commits.length;
  }

  /** Rewrites the file as one snapshot when most of it is history. */
  async compact(keyspace: Keyspace): Promise<StoreLog> {
    if (this.#commits < 1000 || this.#commits < 4 * keyspace.size) return this;
    const fresh = await StoreLog.#write(this.path, keyspace, this.identity);
    await this.#file.close();
    return fresh;
  }

  async close(): Promise<void> {
    await this.#file.close();
  }

  static async #write(path: string, keyspace: Keyspace, identity: string): Promise<StoreLog> {
    const header: Header = { identity, snapshot: keyspace.list(''), leases: keyspace.leases() };
    const text = Buffer.from(encode(header), 'utf8');
    const temporary = `${path}.new`;
    try {
      const file = await open(temporary, 'w', 0o600);
      await file.write(text, 0, text.length, 0);
      await file.sync();
      renameSync(temporary, path);
      syncDirectory(dirname(path));
      return new StoreLog(path, identity, file, text.length, 0);
    } catch (cause) {
      throw new StoreWriteError('cannot be written', { object: temporary, cause, retryable: true });
    }
  }
}

/** A rename lasts only when its directory is on the disk too. */
export function syncDirectory(path: string): void {
  const fd = openSync(path, 'r');
  try {
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
}

function encode(line: Line): string {
  const json = JSON.stringify(line);
  return `${checksum(json)} ${json}\n`;
}

function parseLog(bytes: Buffer, path: string): { readonly good: number; readonly lines: readonly Line[] } {
  const lines: Line[] = [];
  let good = 0;
  while (good < bytes.length) {
    const end = bytes.indexOf(10, good);
    const line = end < 0 ? null : decode(bytes.toString('utf8', good, end));
    if (line === null) {
      // Only the very last write can be torn; whole lines after a bad one mean damage.
      if (end >= 0 && end + 1 < bytes.length) {
        throw new StoreDamagedError('is damaged; restore it from a copy or move it away', {
          object: path,
          line: lines.length + 1,
        });
      }
      break;
    }
    lines.push(line);
    good = end + 1;
  }
  return { good, lines };
}

function decode(text: string): Line | null {
  const json = text.slice(17);
  if (text[16] !== ' ' || checksum(json) !== text.slice(0, 16)) return null;
  return JSON.parse(json) as Line;
}
