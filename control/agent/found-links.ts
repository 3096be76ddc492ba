/** Pods' ends of links, looked for in the namespaces that the container runtime names: what a lost journal does not tell any more. */
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import type { LinkInfo, Native, Netns } from '../../native/index.js';
import type { FoundLink } from './links.js';

/** Where containerd and CRI-O keep sandboxes' namespaces. */
const NAMESPACES = '/run/netns';

/** Of `links` of the node those whose other end was found, and what is there. A namespace that cannot be opened is not looked into. */
export function findPodLinks(
  native: Pick<Native, 'openNetns'>,
  node: Pick<Netns, 'links'>,
  links: readonly string[],
  folder = NAMESPACES,
): readonly FoundLink[] {
  const wanted = node.links().filter(({ name, type }) => type === 'veth' && links.includes(name));
  return namesIn(folder).flatMap((name) => {
    const path = join(folder, name);
    let pod: Netns;
    try {
      pod = native.openNetns(path);
    } catch {
      return [];
    }
    try {
      return pairs(wanted, pod.links()).map(([near, far]) => ({
        ...{ link: near.name, netns: path, ifname: far.name, mac: near.mac, podMac: far.mac },
        addresses: pod.addresses(far.name).map((address) => address.replace(/\/\d+$/, '')),
      }));
    } finally {
      pod.close();
    }
  });
}

/** Each end tells the other's index; indexes of several namespaces may be alike, so who asks has to look at the addresses too. */
function pairs(
  near: readonly LinkInfo[],
  far: readonly LinkInfo[],
): readonly (readonly [LinkInfo, LinkInfo])[] {
  return far.flatMap((end) => {
    const other = near.find(({ index, peerIndex }) => peerIndex === end.index && end.peerIndex === index);
    return other === undefined || end.type !== 'veth' ? [] : [[other, end] as const];
  });
}

function namesIn(folder: string): readonly string[] {
  try {
    return readdirSync(folder);
  } catch {
    return [];
  }
}
