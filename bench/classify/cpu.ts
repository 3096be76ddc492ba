/** What one side of the benchmark used: its own CPU time, so that others' load on the machine counts as little as may be. */
import { loadNative } from '../../native/index.js';

/** CPU time of this process, milliseconds. All threads: nothing but the caller may be busy. */
export function cpuMilliseconds(): number {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1000;
}

/** As the data plane does with its memory; false without the addon, or where the kernel has no huge pages. */
export function preferHuge(memory: WebAssembly.Memory): boolean {
  try {
    return loadNative().preferHugePages(new Uint8Array(memory.buffer));
  } catch {
    return false;
  }
}
