/** What the kernel is told of links: to be deaf on those that the data plane serves, and to speak where the host or a pod does. */
import { NativeError, type Netns } from '../../native/index.js';
import { bitsOf, parseIp } from '../common/ip.js';
import type { Ip } from '../ruleset/types.js';

/**
 * Packets reach an AF_XDP socket as the sender's stack leaves them: with offloads on, checksums would be missing and TCP
 * segments larger than any frame. Receive offloads do no harm.
 */
export const SOFTWARE_CHECKSUMS = { txChecksum: false, tso: false } as const;

/** A NIC that takes VLAN tags off would show packets of every VLAN as packets of the underlay: nothing tells an AF_XDP socket of the tag. */
export const VLAN_TAGS_STAY = { rxVlan: false } as const;

/** An address as a prefix of its own. */
export function single(address: Ip): string {
  return `${address}/${bitsOf(parseIp(address).family)}`;
}

/** The kernel says, believes and answers nothing on a link that the data plane serves. `vpp`: by VPP. */
export function quiet(netns: Netns, link: string, vpp: boolean): void {
  disableIpv6(netns, link);
  trustSources(netns, link);
  deafen(netns, link, vpp);
  // What the driver joined would be longer than the frames VPP has room for.
  if (vpp) netns.setOffloads(link, { gro: false });
}

/**
 * VPP reads by packet sockets, which leave packets to the kernel as well. Of our own data plane nothing is left, but only while it runs:
 * while it starts again, pods would reach the host and what it forwards to, past all policies, and the kernel would reset connections
 * it knows nothing of. There it is a second bolt, and a kernel without tc's BPF classifier does without.
 */
function deafen(netns: Netns, link: string, vpp: boolean): void {
  try {
    netns.deafen(link);
  } catch (error) {
    const missing = error instanceof NativeError && ['ENOENT', 'EOPNOTSUPP'].includes(error.code);
    if (!missing || vpp) throw error;
  }
}

export function disableIpv6(netns: Netns, link: string): void {
  trySysctl(netns, `net/ipv6/conf/${link}/disable_ipv6`, '1');
}

/**
 * Packets from a source to which the host has a route of any kind may come by this link: the data plane's check of source addresses stands
 * in. The kernel takes the larger one of the link's setting and that of all links, and "loose" (2) is the largest: so the other links of
 * the host keep what its administrator gave them.
 */
export function trustSources(netns: Netns, link: string): void {
  netns.setSysctl(`net/ipv4/conf/${link}/rp_filter`, '2');
}

/** Runtimes make sandboxes with IPv6 switched off. Throws NativeError (ENOENT) where the kernel has none. */
export function speakIpv6(netns: Netns, link: string): void {
  netns.setSysctl(`net/ipv6/conf/${link}/disable_ipv6`, '0');
  noRouterAdvertisements(netns, link);
}

/** A neighbor must not become the pod's router (CVE-2020-10749). */
export function noRouterAdvertisements(netns: Netns, link: string): void {
  trySysctl(netns, `net/ipv6/conf/${link}/accept_ra`, '0');
}

/** A kernel without IPv6 has no such setting. */
function trySysctl(netns: Netns, name: string, value: string): void {
  try {
    netns.setSysctl(name, value);
  } catch (error) {
    if (!(error instanceof NativeError) || error.code !== 'ENOENT') throw error;
  }
}
