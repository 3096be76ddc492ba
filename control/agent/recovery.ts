/** Pods of an agent whose journal was lost: as the data plane still has them, or, if that is new as well, as their links tell. */
import type { Pod } from '../objects/types.js';
import type { Ruleset } from '../ruleset/types.js';
import type { PodRecord } from './journal.js';
import type { FoundLink } from './links.js';
import { type NodeState, podKey } from './node-state.js';

/** Traffic goes on, addresses stay taken. */
export function recoverPods(ruleset: Ruleset): readonly PodRecord[] {
  return [...ruleset.values()].flatMap((item): readonly PodRecord[] => {
    if (item.kind !== 'interface' || item.pod === null || item.peerMac === null) return [];
    return [
      {
        pod: item.pod,
        uid: null,
        containerId: null,
        network: '',
        netns: item.tap?.netns ?? '',
        ifname: item.tap?.ifname ?? '',
        link: item.link,
        ...(item.tap === undefined ? {} : { feed: 'tap' as const }),
        mac: item.mac,
        podMac: item.peerMac,
        addresses: item.peerAddresses,
      },
    ];
  });
}

/** Whose a link is says its address: the pod's that has it by the store, and runs on this node. What is nobody's is left out. */
export function recoverLinks(found: readonly FoundLink[], state: NodeState): readonly PodRecord[] {
  const node = state.identity.record.metadata.name;
  const pods = [...state.model.all('Pod')].filter(
    ({ spec, status }) => spec.nodeName === node && !spec.hostNetwork && status.podIPs.length > 0,
  );
  const records = new Map<string, PodRecord>();
  for (const { link, netns, ifname, mac, podMac, addresses } of found) {
    const pod = pods.find(({ status }) => status.podIPs.every((ip) => addresses.includes(ip)));
    if (pod === undefined) continue;
    const ref = refOf(pod);
    if (state.pod(ref) !== undefined || records.has(podKey(ref))) continue;
    const { uid } = pod.metadata;
    const ends = { netns, ifname, link, mac, podMac, addresses: pod.status.podIPs };
    records.set(podKey(ref), { pod: ref, uid, containerId: null, network: '', ...ends });
  }
  return [...records.values()];
}

function refOf({ metadata: { namespace, name } }: Pod): PodRecord['pod'] {
  return { namespace: namespace ?? '', name };
}
