/** Huge pages for a benchmark's memory, as the data plane asks for. */
import { loadNative } from '../native/index.js';

/** False without the addon, or where the kernel has no huge pages. */
export function preferHugePages(bytes: Uint8Array): boolean {
  try {
    return loadNative().preferHugePages(bytes);
  } catch {
    return false;
  }
}
