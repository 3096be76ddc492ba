/** The shared memory of a simulated cluster's VPPs: files that stay when a VPP is killed, known by their names. */
import { readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';

const FOLDER = '/dev/shm';

/** Prefix of the files of one node's VPP. A cluster's name cannot be mistaken for another's: what follows it splits one way only. */
export function segmentOf(cluster: string, node: number): string {
  return `pteropus-${cluster}-node${node}`;
}

/** The cluster whose VPP made this file, or null if it is none of ours. */
export function clusterOfSegment(file: string): string | null {
  return /^pteropus-([a-z0-9-]+)-node\d+-(?:global_vm|vpe-api)$/.exec(file)?.[1] ?? null;
}

/** Removes the files of a cluster whose VPPs have ended. */
export function removeSharedMemory(cluster: string): void {
  let files: string[];
  try {
    files = readdirSync(FOLDER);
  } catch {
    // Only Linux has it, and only there VPP runs.
    return;
  }
  for (const file of files) {
    if (clusterOfSegment(file) === cluster) rmSync(join(FOLDER, file), { force: true });
  }
}
