/**
 * Who owns a simulated cluster: a process, known by its pid and the time it started (pids are used again). A record on
 * disk outlives the owner, so that the next start can tell what a kill left behind.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { PteropusError } from '../../common/errors.js';
import { STATE_ROOT } from './names.js';

export interface OwnerRecord {
  readonly pid: number;
  /** Start time of the process in clock ticks since boot (field 22 of /proc/PID/stat). */
  readonly started: string;
}

/** The cluster's name is in use by a living process. */
export class ClusterRunningError extends PteropusError {}

/** The state folder could not be locked. */
export class StateLockError extends PteropusError {}

/** Start time of a process, or null if there is none. A zombie counts as gone: it holds nothing any more. */
export function startTime(pid: number): string | null {
  let stat: string;
  try {
    stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
  } catch {
    return null;
  }
  // The command's name is in parentheses and may itself hold spaces and parentheses.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return fields[0] === 'Z' || fields[0] === 'X' ? null : (fields[19] ?? null);
}

export function isAlive(owner: OwnerRecord): boolean {
  return startTime(owner.pid) === owner.started;
}

/** Sockets, journals and logs of a cluster: nothing else is ever removed with it. */
export const stateFolder = (cluster: string): string => join(STATE_ROOT, cluster);

/** Records lie beside the clusters' folders: one is there, whole, before anything else of its cluster, and goes last. */
const RECORDS = join(STATE_ROOT, '.owners');
const recordPath = (cluster: string): string => join(RECORDS, `${cluster}.json`);

/** The recorded owner of a cluster; null if there is no whole record. */
export function readOwner(cluster: string): OwnerRecord | null {
  try {
    const value = JSON.parse(readFileSync(recordPath(cluster), 'utf8')) as Partial<OwnerRecord>;
    const { pid, started } = value;
    if (typeof pid !== 'number' || typeof started !== 'string') return null;
    return { pid, started };
  } catch {
    return null;
  }
}

/** Clusters that have a record, dead or alive. */
export function recordedClusters(): string[] {
  let files: string[];
  try {
    files = readdirSync(RECORDS);
  } catch {
    return [];
  }
  return files.flatMap((file) => (file.endsWith('.json') ? [file.slice(0, -'.json'.length)] : []));
}

/**
 * Makes this process the owner of `cluster`; call with the state locked and after the leftovers are gone. Throws
 * ClusterRunningError if another process is.
 */
export function claim(cluster: string): void {
  const owner = readOwner(cluster);
  if (owner !== null && isAlive(owner)) {
    throw new ClusterRunningError(`a cluster of this name runs already (process ${owner.pid})`, {
      object: cluster,
    });
  }
  const path = recordPath(cluster);
  mkdirSync(RECORDS, { recursive: true, mode: 0o700 });
  const record: OwnerRecord = { pid: process.pid, started: startTime(process.pid) ?? '' };
  writeFileSync(`${path}.new`, `${JSON.stringify(record)}\n`, { mode: 0o600 });
  renameSync(`${path}.new`, path);
}

/** Removes all files of a cluster and ends the claim; its namespaces must be gone. */
export function release(cluster: string): void {
  rmSync(stateFolder(cluster), { recursive: true, force: true });
  endClaim(cluster);
}

/**
 * As `release`, but for a name that starts anew: what a driver makes goes; the supervisor's socket and log, which may be
 * in use already, stay.
 */
export function releaseForRestart(cluster: string): void {
  for (const entry of ['store.sock', 'etc', ...nodeFolders(cluster)]) {
    rmSync(join(stateFolder(cluster), entry), { recursive: true, force: true });
  }
  endClaim(cluster);
}

function nodeFolders(cluster: string): string[] {
  try {
    return readdirSync(stateFolder(cluster)).filter((name) => /^node\d+$/.test(name));
  } catch {
    return [];
  }
}

function endClaim(cluster: string): void {
  rmSync(recordPath(cluster), { force: true });
  // A claim that was killed before its record was whole.
  rmSync(`${recordPath(cluster)}.new`, { force: true });
}

/**
 * Runs `body` while holding the lock of the state folder. The lock is the kernel's (flock), held by a child that ends
 * with us, so that no kill leaves it behind.
 */
export async function withStateLock<T>(body: () => Promise<T> | T): Promise<T> {
  mkdirSync(STATE_ROOT, { recursive: true, mode: 0o755 });
  const path = join(STATE_ROOT, '.lock');
  const child = spawn('flock', [path, 'sh', '-c', 'echo held; exec cat'], {
    stdio: ['pipe', 'pipe', 'ignore'],
  });
  const gone = once(child, 'exit');
  const held = await Promise.race([
    once(child.stdout, 'data').then(() => true),
    gone.then(() => false),
  ]).catch((cause: unknown) => {
    throw new StateLockError('cannot run flock', { object: path, cause });
  });
  if (!held) throw new StateLockError('flock ended without the lock', { object: path });
  try {
    return await body();
  } finally {
    child.stdin.end();
    await gone;
  }
}
