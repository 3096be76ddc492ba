/** TAPs in pods' namespaces, found again and removed. A namespace that is gone has none. */
import { type Native, NativeError, type Netns } from '../../native/index.js';
import type { TapEnd } from '../ruleset/types.js';

/** What netlink calls a TAP. */
export const TAP_TYPE = 'tun';

export function hasTap(native: Native, tap: TapEnd): boolean {
  return inside(native, tap.netns, (pod) => isThere(pod, tap.ifname)) ?? false;
}

/** Absent is fine. */
export function removeTap(native: Native, tap: TapEnd): void {
  inside(native, tap.netns, (pod) => {
    if (isThere(pod, tap.ifname)) pod.deleteLink(tap.ifname);
  });
}

function isThere(pod: Netns, ifname: string): boolean {
  return pod.links().some(({ name, type }) => name === ifname && type === TAP_TYPE);
}

/** null: the namespace is gone. A runtime that removed it may leave the file without a namespace behind (EINVAL). */
function inside<T>(native: Native, path: string, work: (pod: Netns) => T): T | null {
  let pod: Netns | undefined;
  try {
    pod = native.openNetns(path);
    return work(pod);
  } catch (error) {
    if (error instanceof NativeError && ['ENOENT', 'EINVAL', 'ENODEV'].includes(error.code)) return null;
    throw error;
  } finally {
    pod?.close();
  }
}
