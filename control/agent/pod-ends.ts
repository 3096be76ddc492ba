/** A pod's link: made in the pod's namespace, as a TAP there or as a pair with one end on the node, set up, compared and removed. */
import { type Native, NativeError, type Netns } from '../../native/index.js';
import { parseIp } from '../common/ip.js';
import { LinkExistsError } from './errors.js';
import { noRouterAdvertisements, single, speakIpv6 } from './kernel-settings.js';
import type { PodLinkSpec } from './links.js';
import { removeTap, TAP_TYPE } from './taps.js';

/**
 * The data plane attaches to it when its interface is in force. It is made under the name that no other sandbox gives, so that what a
 * crash leaves half made can be told from other plugins' links. Throws LinkExistsError, NativeError.
 */
export function makeTap(
  native: Native,
  { netns, link, ifname, podMac, mtu }: PodLinkSpec,
  pod: Netns,
  multiQueue: boolean,
): void {
  removeTap(native, { netns, ifname: link });
  if (hasLink(pod, ifname)) throw new LinkExistsError('is in the sandbox already', { object: ifname });
  pod.createTap(link, { multiQueue });
  try {
    pod.setLink(link, { mac: podMac, mtu });
    pod.setLink(link, { newName: ifname });
  } catch (error) {
    removeTap(native, { netns, ifname: link });
    throw error;
  }
}

/** Throws LinkExistsError, NativeError. */
export function makePair(
  node: Netns,
  { link, ifname, mac, podMac, mtu }: PodLinkSpec,
  pod: Netns,
  queues: number,
): void {
  const make = (): void =>
    node.createVeth({ name: link, mac, mtu, queues }, { name: ifname, mac: podMac, mtu, queues, netns: pod });
  // A leftover of an ADD that a crash cut short: its name belongs to this sandbox alone.
  if (hasLink(pod, ifname)) removeLink(node, link);
  if (hasLink(pod, ifname)) throw new LinkExistsError('is in the sandbox already', { object: ifname });
  try {
    make();
  } catch (error) {
    if (!(error instanceof NativeError) || error.code !== 'EEXIST') throw error;
    removeLink(node, link);
    make();
  }
}

/** Absent is fine. */
export function removeLink(node: Netns, link: string): void {
  try {
    node.deleteLink(link);
  } catch (error) {
    if (!(error instanceof NativeError) || error.code !== 'ENODEV') throw error;
  }
}

/** The pod's address has no subnet; everything else is behind the gateway, whose MAC it knows. */
export function configureEnd({ ifname, addresses, gateways, mac }: PodLinkSpec, pod: Netns): void {
  noRouterAdvertisements(pod, ifname);
  if (addresses.some((address) => parseIp(address).family === 6)) {
    speakIpv6(pod, 'lo');
    speakIpv6(pod, ifname);
  }
  pod.setLink('lo', { up: true });
  for (const address of addresses) pod.addAddress(ifname, single(address));
  pod.setLink(ifname, { up: true });
  for (const gateway of gateways) {
    pod.addNeighbor(ifname, gateway, mac);
    pod.addRoute({ destination: single(gateway), link: ifname, scope: 'link' });
    pod.addRoute({ destination: 'default', link: ifname, gateway });
  }
}

/** What is not as it was made, in words. */
export function differencesOf(
  { ifname, feed, podMac, mtu, addresses }: PodLinkSpec,
  pod: Netns,
): readonly string[] {
  const end = pod.links().find(({ name }) => name === ifname);
  if (end === undefined) return [`${ifname} is gone from the sandbox`];
  const there = pod.addresses(ifname);
  return [
    feed === 'tap' && end.type !== TAP_TYPE ? `${ifname} is not a TAP` : null,
    end.up ? null : `${ifname} is down`,
    end.mac === podMac ? null : `${ifname} has MAC ${end.mac}, not ${podMac}`,
    end.mtu === mtu ? null : `${ifname} has MTU ${end.mtu}, not ${mtu}`,
    ...addresses.map((address) =>
      there.includes(single(address)) ? null : `${ifname} has lost its address ${address}`,
    ),
  ].filter((text) => text !== null);
}

function hasLink(netns: Netns, link: string): boolean {
  return netns.links().some(({ name }) => name === link);
}
