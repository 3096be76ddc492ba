/**
 * A rig whose pods are behind TAPs, uplink and host behind veths: the stations' AF_XDP sockets sit on the TAPs' own devices, which
 * is where a pod's stack would be.
 */
import type { Backend } from '../../control/backends/backend.js';
import type { Change, Item, Key } from '../../control/ruleset/types.js';
import type { Native } from '../../native/index.js';
import type { Rig } from './rig.js';
import { openXdpRig } from './xdp-rig.js';

/** `p1-NAME`, as items.ts names pods' links. */
const POD_LINK = /^p\d+-/;

export async function openTapRig(native: Native): Promise<Rig> {
  const rig = await openXdpRig(native, (netns, link) => {
    if (!POD_LINK.test(link)) return null;
    netns.createTap(link);
    netns.setSysctl(`net/ipv6/conf/${link}/disable_ipv6`, '1');
    netns.setLink(link, { up: true });
    return { far: link };
  });
  return { ...rig, backend: withTaps(rig.backend, rig.netns) };
}

/** Tells the backend of each pod's interface that it is a TAP, and the suite what it said itself. */
function withTaps(backend: Backend, netns: string): Backend {
  const add = <T extends Item>(item: T): T =>
    item.kind === 'interface' && item.role === 'pod' ? { ...item, tap: { netns, ifname: item.link } } : item;
  const taken = (change: Change): Change => {
    if (change.type === 'remove') return { ...change, old: add(change.old) };
    if (change.type === 'add') return { ...change, item: add(change.item) };
    return { ...change, item: add(change.item), old: add(change.old) };
  };
  return {
    name: backend.name,
    lost: backend.lost,
    apply: (changes) => backend.apply(changes.map(taken)),
    dump: async () => {
      const items = [...(await backend.dump())].map(([key, item]): [Key, Item] => {
        if (item.kind !== 'interface') return [key, item];
        const { tap, ...said } = item;
        if (item.role === 'pod' && tap?.ifname !== item.link) throw new Error(`${key} has lost its TAP`);
        return [key, said];
      });
      return new Map(items);
    },
    counters: () => backend.counters(),
    trace: (filter) => backend.trace(filter),
    close: () => backend.close(),
  };
}
