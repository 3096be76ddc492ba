/** Looking at the machine from a test: namespaces, processes, and `ip` inside a namespace. */
import { execFile, spawnSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { promisify } from 'node:util';

/** Runs a program to its end and returns its standard output; throws with its standard error if it fails. */
export function run(command: string, ...args: readonly string[]): string {
  const { status, stdout, stderr, error } = spawnSync(command, args, { encoding: 'utf8', timeout: 30_000 });
  if (status !== 0) {
    throw new Error(
      `${command} ${args.join(' ')}: ${error?.message ?? (stderr.trim() || `status ${status}`)}`,
    );
  }
  return stdout;
}

/** Runs a program inside a named network namespace. */
export function inNetns(netns: string, ...argv: readonly string[]): string {
  return run('nsenter', `--net=/run/netns/${netns}`, '--', ...argv);
}

/** As `inNetns`, without stopping our own event loop meanwhile. */
export async function inNetnsAsync(netns: string, ...argv: readonly string[]): Promise<string> {
  const { stdout } = await promisify(execFile)('nsenter', [`--net=/run/netns/${netns}`, '--', ...argv], {
    timeout: 30_000,
  });
  return stdout;
}

export function netnsNames(prefix: string): string[] {
  try {
    return readdirSync('/run/netns').filter((name) => name.startsWith(prefix));
  } catch {
    return [];
  }
}

/** Processes (not zombies) that have `text` on their command line, as `PID COMMAND`. */
export function processesWith(text: string): string[] {
  const found: string[] = [];
  for (const pid of readdirSync('/proc')) {
    if (!/^\d+$/.test(pid) || Number(pid) === process.pid) continue;
    try {
      const command = readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ');
      if (command.includes(text)) found.push(`${pid} ${command}`);
    } catch {
      // It ended while we looked.
    }
  }
  return found;
}

/** Polls until `probe` gives something; for states of the kernel that announce themselves to nobody. */
export async function until<T>(
  what: string,
  timeoutMs: number,
  probe: () => T | null | Promise<T | null>,
): Promise<T> {
  const deadline = Date.now() + timeoutMs;
  for (;;) {
    const value = await probe();
    if (value !== null) return value;
    if (Date.now() > deadline) throw new Error(`${what}: not within ${timeoutMs} ms`);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}
