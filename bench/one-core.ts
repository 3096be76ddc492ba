/** One core for both sides of a comparison: what else happens on a core, or on the hypervisor's thread behind it, meets both alike. */
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';

/**
 * Binds this thread, and processes that it starts from now on, to the last core that it may use (the first one has most interrupts).
 * V8's own threads, which compile and collect garbage, stay where they are. Undone by what it returns; does nothing without `taskset`.
 */
export function onOneCore(): () => void {
  const before = allowed();
  const last = before.split(/[,-]/).at(-1);
  if (last === undefined || last === before || !bind(last)) return () => undefined;
  return () => void bind(before);
}

/** As /proc has it: "0-3,8". */
function allowed(): string {
  return /^Cpus_allowed_list:\s*(\S+)$/m.exec(readFileSync('/proc/thread-self/status', 'utf8'))?.[1] ?? '';
}

function bind(cores: string): boolean {
  try {
    execFileSync('taskset', ['-cp', cores, String(process.pid)], { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
}
