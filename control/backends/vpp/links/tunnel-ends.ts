/** Addresses and ports that only nodes may send to. */
import type { Ip, Protocol } from '../../../ruleset/types.js';
import type { View } from '../objects/types.js';

/** UDP port of VXLAN (RFC 7348). */
export const VXLAN_PORT = 4789;

/**
 * Whether a tunnel of the mesh ends there. What a Service leads to such an end may come to have a node's address as its source, and would
 * be taken for a tunnel's packet by the other node.
 */
export function isTunnelEnd(
  { address, port }: { readonly address: Ip; readonly port: number },
  protocol: Protocol,
  view: View,
): boolean {
  if (protocol !== 'UDP' || port !== VXLAN_PORT) return false;
  return view.all('tunnel').some(({ local, remote }) => address === local || address === remote);
}
