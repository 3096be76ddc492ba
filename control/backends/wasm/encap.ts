/** The headers a VXLAN tunnel puts before each packet (RFC 7348 section 5), as far as they are the same for all. */
import * as L from '../../../dataplane-as/layout/index.js';
import type { Mac, TunnelItem } from '../../ruleset/types.js';
import { ip4Word, macBytes } from './bytes.js';
import { ip6Words, NO_ADDRESS6 } from './bytes6.js';

const OUTER_ETHERNET = 14;
const OUTER_IP = 20;
const OUTER_UDP = 8;
const VXLAN = 8;
const TTL = 64;
const VNI_VALID = 0x08;

/**
 * Fills an adjacency's template and tunnel fields. Left zero, for each packet: outer destination MAC, lengths,
 * identification, IP checksum, UDP source port. The UDP checksum stays zero, as the RFC recommends over IPv4.
 */
export function encapTemplate(row: Uint8Array, view: DataView, tunnel: TunnelItem, outerMac: Mac): void {
  const local = ip4Word(tunnel.local) ?? 0;
  const remote = ip4Word(tunnel.remote) ?? 0;
  const ethernet = L.ADJ_TEMPLATE;
  row.set(macBytes(outerMac, tunnel.key), ethernet + 6);
  view.setUint16(ethernet + 12, 0x0800);
  const ip = ethernet + OUTER_ETHERNET;
  row[ip] = 0x45;
  row[ip + 8] = TTL;
  row[ip + 9] = 17;
  view.setUint32(ip + 12, local, true);
  view.setUint32(ip + 16, remote, true);
  const udp = ip + OUTER_IP;
  view.setUint16(udp + 2, L.VXLAN_PORT);
  const vxlan = udp + OUTER_UDP;
  row[vxlan] = VNI_VALID;
  view.setUint32(vxlan + 4, tunnel.vni * 256);
  const inner = vxlan + VXLAN;
  row.set(macBytes(tunnel.remoteMac, tunnel.key), inner);
  row.set(macBytes(tunnel.localMac, tunnel.key), inner + 6);
  view.setUint16(inner + 12, 0x0800);
  view.setUint32(L.ADJ_REMOTE4, remote, true);
  view.setUint32(L.ADJ_LOCAL4, local, true);
  view.setUint32(L.ADJ_VNI, tunnel.vni, true);
  view.setUint32(L.ADJ_LOCAL_BVI4, ip4Word(tunnel.localBvi) ?? 0, true);
  view.setUint32(L.ADJ_REMOTE_BVI4, ip4Word(tunnel.remoteBvi) ?? 0, true);
  const bvi6 = tunnel.localBvi6 === undefined ? null : ip6Words(tunnel.localBvi6);
  for (const [i, word] of (bvi6 ?? NO_ADDRESS6).entries())
    view.setUint32(L.ADJ_LOCAL_BVI6 + i * 4, word, true);
  row.set(macBytes(tunnel.localMac, tunnel.key), L.ADJ_LOCAL_MAC);
}
