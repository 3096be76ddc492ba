/** Memory of a process by what it is for, as Linux tells it in /proc/PID/smaps (proc_pid_smaps(5)). */
import { readFileSync } from 'node:fs';

export interface Part {
  readonly name: string;
  /** Resident. */
  readonly mib: number;
  /** Pages of a file, which are in memory once for all who map it. */
  readonly shared: boolean;
}

/** MiB. */
export interface ProcessMemory {
  readonly resident: number;
  /** The most that was resident at a time. */
  readonly peak: number;
  /** The largest first. */
  readonly parts: readonly Part[];
}

/** A WebAssembly memory lies in reserved addresses: no other mapping without a name is so large. */
const LARGE_MIB = 64;

function partOf(path: string, mib: number): { readonly name: string; readonly shared: boolean } {
  if (path.endsWith('/node')) return { name: 'Node', shared: true };
  if (path.startsWith('/') && !path.startsWith('/memfd')) return { name: 'libraries', shared: true };
  if (path === '[heap]') return { name: 'malloc', shared: false };
  return { name: mib >= LARGE_MIB ? 'sessions and packets' : 'JavaScript and tables', shared: false };
}

/** Throws what reading /proc throws. */
export function memoryOf(pid: number): ProcessMemory {
  const parts = new Map<string, Part>();
  let current = '';
  for (const line of readFileSync(`/proc/${pid}/smaps`, 'utf8').split('\n')) {
    const head = /^([0-9a-f]+)-([0-9a-f]+) \S+ \S+ \S+ \S+ *(.*)$/.exec(line);
    if (head !== null) {
      const [, from = '', to = '', path = ''] = head;
      const part = partOf(path, (Number.parseInt(to, 16) - Number.parseInt(from, 16)) / 2 ** 20);
      current = part.name;
      if (!parts.has(current)) parts.set(current, { ...part, mib: 0 });
    }
    const resident = /^Rss: +(\d+) kB$/.exec(line);
    const part = parts.get(current);
    if (resident === null || part === undefined) continue;
    parts.set(current, { ...part, mib: part.mib + Number(resident[1]) / 1024 });
  }
  const peak = /^VmHWM:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'));
  return {
    resident: sum([...parts.values()].map(({ mib }) => mib)),
    peak: Number(peak?.[1] ?? 0) / 1024,
    parts: [...parts.values()].sort((a, b) => b.mib - a.mib),
  };
}

/** MiB of several processes: what all map of a file counts once, everything else for each. */
export function together(...processes: readonly ProcessMemory[]): number {
  const files = new Map<string, number>();
  for (const { parts } of processes) {
    for (const { name, mib, shared } of parts)
      if (shared) files.set(name, Math.max(files.get(name) ?? 0, mib));
  }
  const own = processes.flatMap(({ parts }) => parts.filter(({ shared }) => !shared).map(({ mib }) => mib));
  return sum([...files.values(), ...own]);
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, number) => total + number, 0);
}
