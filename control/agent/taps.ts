/** TAPs in pods' namespaces, found again and removed. A namespace that is gone has none. */
import { type Native, NativeError, type Netns } from '../../native/index.js';
import type { Mac, TapEnd } from '../ruleset/types.js';

/** What netlink calls a TAP. */
export const TAP_TYPE = 'tun';

export function hasTap(native: Native, tap: TapEnd): boolean {
  return inside(native, tap.netns, (pod) => isThere(pod, tap.ifname)) ?? false;
}

/** Absent is fine. With `mac`: only if it has this one. */
export function removeTap(native: Native, tap: TapEnd, mac?: Mac): void {
  inside(native, tap.netns, (pod) => {
    if (isThere(pod, tap.ifname, mac)) pod.deleteLink(tap.ifname);
  });
}

function isThere(pod: Netns, ifname: string, mac?: Mac): boolean {
  return pod
    .links()
    .some(
      (link) => link.name === ifname && link.type === TAP_TYPE && (mac === undefined || link.mac === mac),
    );
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
