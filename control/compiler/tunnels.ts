/** The VXLAN mesh: one tunnel for each peer that can be reached. */
import type { Ip, Key, TunnelItem } from '../ruleset/types.js';
import { type Context, familyOf } from './context.js';
import { podMtu } from './interfaces.js';
import type { NodeView } from './node-view.js';

export function tunnelKey(peer: NodeView): Key {
  return `tunnel/${peer.id}`;
}

export function compileTunnels(context: Context): readonly TunnelItem[] {
  return reachablePeers(context).map((reachable) => tunnelTo(context, reachable));
}

export function tunnelTo({ self, config }: Context, { peer, local, remote }: ReachablePeer): TunnelItem {
  return {
    kind: 'tunnel',
    key: tunnelKey(peer),
    peer: peer.name,
    vni: config.vni,
    local,
    remote,
    localMac: self.plan.bviMac,
    remoteMac: peer.plan.bviMac,
    localBvi: self.plan.bviAddress,
    remoteBvi: peer.plan.bviAddress,
    ...bvis6(self, peer),
    mtu: podMtu(config),
    ...(peer.answersByUplink ? { hidesClients: true as const } : {}),
  };
}

/** The second family's BVIs, in a dual-stack cluster. */
function bvis6(self: NodeView, peer: NodeView): Pick<TunnelItem, 'localBvi6' | 'remoteBvi6'> {
  if (self.plan.ipv6 === null || peer.plan.ipv6 === null) return {};
  return { localBvi6: self.plan.ipv6.bviAddress, remoteBvi6: peer.plan.ipv6.bviAddress };
}

export interface ReachablePeer {
  readonly peer: NodeView;
  readonly local: Ip;
  readonly remote: Ip;
}

/** Peers with an underlay address of a family this node has too. Of two records with one id the first by name counts. */
export function reachablePeers({ self, peers }: Context): readonly ReachablePeer[] {
  const seen = new Set([self.id]);
  return peers.flatMap((peer) => {
    if (seen.has(peer.id)) return [];
    for (const remote of peer.addresses) {
      const local = self.addresses.find((address) => familyOf(address) === familyOf(remote));
      if (local === undefined) continue;
      seen.add(peer.id);
      return [{ peer, local, remote }];
    }
    return [];
  });
}
