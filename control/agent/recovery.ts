/** Pods as the data plane still has them, for an agent whose journal was lost: traffic goes on, addresses stay taken. */
import type { Ruleset } from '../ruleset/types.js';
import type { PodRecord } from './journal.js';

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
