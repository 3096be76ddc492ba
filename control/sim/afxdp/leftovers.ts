/**
 * Removal of what a simulated cluster made: its namespaces (and with them its links), every process still inside
 * them, its files. For a cluster that closes, and for those whose owner was killed.
 */
import { readdirSync, rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import type { Native } from '../../../native/index.js';
import { removeSharedMemory } from '../vpp/shared-memory.js';
import { clusterOfNamespace, namespacePath } from './names.js';
import {
  isAlive,
  readOwner,
  recordedClusters,
  release,
  releaseForRestart,
  startTime,
  stateFolder,
  withStateLock,
} from './owner.js';

const EXIT_WAIT_MS = 2000;

/** Removes what clusters with a dead owner left. Resolves with their names. */
export async function cleanLeftovers(native: Native): Promise<readonly string[]> {
  return withStateLock(() => cleanDead(native));
}

/** As `cleanLeftovers`, for a caller that holds the state lock and is about to start `starting`. */
export async function cleanDead(native: Native, starting: string | null = null): Promise<readonly string[]> {
  // Owners are read after the namespaces are listed: a claim comes before the first namespace.
  const namespaces = ourNamespaces(native);
  const dead = new Set([...namespaces.keys(), ...recordedClusters()].filter(isDead));
  for (const cluster of dead) {
    await removeNamespaces(native, namespaces.get(cluster) ?? []);
    removeSharedMemory(cluster);
    if (cluster === starting) {
      releaseForRestart(cluster);
      continue;
    }
    release(cluster);
    // Its supervisor's log.
    rmSync(`${stateFolder(cluster)}.log`, { force: true });
  }
  return [...dead].sort();
}

function isDead(cluster: string): boolean {
  const owner = readOwner(cluster);
  return owner === null || !isAlive(owner);
}

/** Namespaces of one cluster. */
export function namespacesOf(native: Native, cluster: string): readonly string[] {
  return ourNamespaces(native).get(cluster) ?? [];
}

function ourNamespaces(native: Native): ReadonlyMap<string, readonly string[]> {
  const found = new Map<string, string[]>();
  for (const name of native.listNetns()) {
    const cluster = clusterOfNamespace(name);
    if (cluster === null) continue;
    found.set(cluster, [...(found.get(cluster) ?? []), name]);
  }
  return found;
}

/** Ends every process inside the namespaces, waits for their end, and removes the namespaces. */
export async function removeNamespaces(native: Native, names: readonly string[]): Promise<void> {
  const inodes = new Set<number>();
  for (const name of names) {
    const inode = inodeOf(namespacePath(name));
    if (inode !== null) inodes.add(inode);
  }
  const inside = processesIn(inodes);
  for (const { pid } of inside) kill(pid);
  const deadline = Date.now() + EXIT_WAIT_MS;
  while (inside.some(({ pid, started }) => startTime(pid) === started) && Date.now() < deadline)
    await delay(5);
  for (const name of names) native.deleteNetns(name);
}

function processesIn(namespaces: ReadonlySet<number>): readonly { pid: number; started: string }[] {
  const found: { pid: number; started: string }[] = [];
  if (namespaces.size === 0) return found;
  for (const entry of readdirSync('/proc')) {
    const pid = Number(entry);
    if (!Number.isInteger(pid) || pid === process.pid) continue;
    const inode = inodeOf(join('/proc', entry, 'ns/net'));
    const started = inode !== null && namespaces.has(inode) ? startTime(pid) : null;
    if (started !== null) found.push({ pid, started });
  }
  return found;
}

function inodeOf(path: string): number | null {
  try {
    return statSync(path).ino;
  } catch {
    return null;
  }
}

function kill(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch {
    // It ended by itself meanwhile.
  }
}
