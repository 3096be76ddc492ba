/** A command line that runs a program as if in a simulated pod: its network, its names, its host name. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { PodRef } from '../../ruleset/types.js';
import { hostsFile, type NameSources, resolvFile } from './hosts.js';

export interface CommandLine {
  readonly command: string;
  readonly args: readonly string[];
}

/**
 * Inside a mount namespace of its own the pod's files cover the machine's; /sys is mounted anew so that it shows the pod's
 * links. A machine without /etc/resolv.conf has nothing to cover.
 */
const ENTER = [
  'set -e',
  'for f in hosts resolv.conf; do if [ -e "/etc/$f" ]; then mount --bind "$1/$f" "/etc/$f"; fi; done',
  'mount -t sysfs sysfs /sys 2>/dev/null || :',
  'echo "$2" > /proc/sys/kernel/hostname',
  'shift 2',
  'exec "$@"',
].join('\n');

/** `files` is the folder the pod's files are in (`writePodFiles`). */
export function enterPod(
  netns: string,
  files: string,
  hostname: string,
  argv: readonly string[],
): CommandLine {
  const inside = ['unshare', '--mount', '--uts', '--', 'sh', '-c', ENTER, 'sh', files, hostname, ...argv];
  return { command: 'nsenter', args: [`--net=${netns}`, '--', ...inside] };
}

/** Writes hosts and resolv.conf in place: a shell that runs in the pod already sees the new ones. Returns their folder. */
export function writePodFiles(runDir: string, pod: PodRef, sources: NameSources): string {
  const dir = join(runDir, 'etc', `${pod.namespace}_${pod.name}`);
  mkdirSync(dir, { recursive: true, mode: 0o755 });
  writeFileSync(join(dir, 'hosts'), hostsFile(pod, sources));
  writeFileSync(join(dir, 'resolv.conf'), resolvFile(pod, sources));
  return dir;
}
