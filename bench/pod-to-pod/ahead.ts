/**
 * Runs what is measured ahead of everything else on the machine (SCHED_RR), so that others' work is not part of a figure. The kernel's
 * share of a packet runs in the threads that send and forward, and so comes ahead as well.
 */
import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';

/** Who counts comes before who is counted, with whom it may share a core. */
const COUNTING = 20;
export const SENDING = 10;

const set = (priority: number, thread: string): void => {
  execFileSync('chrt', ['--rr', '--pid', String(priority), thread]);
};

export function underPriority(priority: number, argv: readonly string[]): string[] {
  return ['chrt', '--rr', String(priority), ...argv];
}

/** All threads of this process, those of the JavaScript engine too, for which the one that counts may wait; and what is started from now on. */
export function countAhead(): void {
  for (const thread of readdirSync('/proc/self/task')) set(COUNTING, thread);
}

/** The threads of this process that may run on `core` alone, and the kernel's own for what comes in there; undone by what it returns. */
export function forwardAhead(core: number): () => void {
  for (const thread of readdirSync('/proc/self/task')) {
    const status = readFileSync(`/proc/self/task/${thread}/status`, 'utf8');
    if (/^Cpus_allowed_list:\s*(.*)$/m.exec(status)?.[1] === String(core)) set(SENDING, thread);
  }
  const kernels = readdirSync('/proc').filter((process) => name(process) === `ksoftirqd/${core}`);
  for (const thread of kernels) set(SENDING, thread);
  return () => {
    for (const thread of kernels) execFileSync('chrt', ['--other', '--pid', '0', thread]);
  };
}

/** A process's name; '' for what is none. */
function name(process: string): string {
  if (!/^\d+$/.test(process)) return '';
  try {
    return readFileSync(`/proc/${process}/comm`, 'utf8').trim();
  } catch {
    return ''; // it has ended since
  }
}
