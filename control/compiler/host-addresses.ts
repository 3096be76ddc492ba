/**
 * Addresses of nodes' own stacks that the data plane's link does not have. A node is known to Kubernetes by the address of another link
 * than the one that belongs to the data plane (`status.addresses`, InternalIP): kubelet, API server and pods on the host's network are
 * there. From pods they are reached as the node's underlay addresses are, by the interconnect or by the tunnel.
 */
import { cidrContains, formatIp, type ParsedIp, parseCidr, parseIp } from '../common/ip.js';
import type { Node } from '../objects/types.js';
import type { Ip } from '../ruleset/types.js';
import { type ClusterConfig, rangesOf } from './input.js';
import type { NodeView } from './node-view.js';

/**
 * A node's internal addresses in canonical text, of the cluster's families. Without those that are never a node's alone: inside of the
 * cluster's own ranges, a gateway's, or one of `hostAddresses`.
 */
export function internalAddresses(config: ClusterConfig, node: Node | undefined): readonly Ip[] {
  const written = (node?.status.addresses ?? []).filter(({ type }) => type === 'InternalIP');
  const addresses = written.flatMap(({ address }) => readIp(address)).filter((ip) => mayBeNodes(config, ip));
  return [...new Set(addresses.map(formatIp))];
}

function mayBeNodes(config: ClusterConfig, ip: ParsedIp): boolean {
  const ranges = rangesOf(config).find(({ podSubnetCIDR }) => parseCidr(podSubnetCIDR).family === ip.family);
  if (ranges === undefined) return false;
  const { podSubnetCIDR, hostSubnetCIDR, vxlanCIDR, serviceCIDR, defaultGateway } = ranges;
  const own = [podSubnetCIDR, hostSubnetCIDR, vxlanCIDR, serviceCIDR];
  const text = formatIp(ip);
  return (
    !own.some((range) => cidrContains(parseCidr(range), ip)) &&
    ![defaultGateway, ...config.hostAddresses].includes(text)
  );
}

/**
 * The peers with what each has for itself alone: no other node's underlay address, and of what several claim the first has it, this node
 * before all. Else whoever may write one Node could draw what is meant for another to it.
 */
export function withoutSharedAddresses(self: NodeView, peers: readonly NodeView[]): readonly NodeView[] {
  if (peers.every(({ hostAddresses }) => hostAddresses.length === 0)) return peers;
  const taken = new Set([...self.hostAddresses, ...[self, ...peers].flatMap(({ addresses }) => addresses)]);
  return peers.map((peer) => {
    const alone = peer.hostAddresses.filter((ip) => !taken.has(ip));
    for (const ip of alone) taken.add(ip);
    return alone.length === peer.hostAddresses.length ? peer : { ...peer, hostAddresses: alone };
  });
}

/** Names are no addresses; kubelet writes some. */
function readIp(text: string): readonly ParsedIp[] {
  try {
    return [parseIp(text)];
  } catch {
    return [];
  }
}
