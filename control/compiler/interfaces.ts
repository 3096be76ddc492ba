/** Where packets enter and leave: the uplink, the host's own stack, and the pods wired here. */

import { plansOf } from '../ipam/arithmetic.js';
import type { InterfaceItem, Key, PodRef } from '../ruleset/types.js';
import { allAddresses, type Context, sortedSet } from './context.js';
import type { Attachment, ClusterConfig } from './input.js';

/** Outer IPv4, UDP, VXLAN and inner Ethernet headers (RFC 7348): what a tunnel takes from the underlay's MTU. */
export const TUNNEL_OVERHEAD = 50;

export const UPLINK: Key = 'interface/uplink';
export const HOST: Key = 'interface/host';

export function podInterfaceKey(pod: PodRef): Key {
  return `interface/pod/${pod.namespace}/${pod.name}`;
}

/** Largest IP packet of a pod, bytes: it fits a tunnel, so that no packet between pods depends on where they run. */
export function podMtu(config: ClusterConfig): number {
  return config.underlayMtu - TUNNEL_OVERHEAD;
}

export function compileInterfaces(context: Context): readonly InterfaceItem[] {
  const pods = [...context.attached.values()].map((attachment) => podInterface(context, attachment));
  return [...nodeInterfaces(context), ...pods];
}

/** The uplink, and the way to the host's own stack. */
export function nodeInterfaces({ self, local, config }: Context): readonly InterfaceItem[] {
  const { uplink, host } = local;
  const plans = plansOf(self.plan);
  const items: InterfaceItem[] = [
    {
      kind: 'interface',
      key: UPLINK,
      role: 'uplink',
      pod: null,
      link: uplink.link,
      mac: uplink.mac,
      peerMac: null,
      peerAddresses: [],
      ownAddresses: self.addresses,
      mtu: config.underlayMtu,
    },
  ];
  if (host !== null) {
    items.push({
      kind: 'interface',
      key: HOST,
      role: 'host',
      pod: null,
      link: host.link,
      mac: host.mac,
      peerMac: host.peerMac,
      peerAddresses: [
        ...plans.map(({ hostLinuxAddress }) => hostLinuxAddress),
        ...allAddresses(self),
        ...config.hostAddresses,
      ],
      ownAddresses: plans.map(({ hostDataplaneAddress }) => hostDataplaneAddress),
      mtu: config.underlayMtu,
    });
  }
  return items;
}

export function podInterface({ self, config }: Context, attachment: Attachment): InterfaceItem {
  return {
    kind: 'interface',
    key: podInterfaceKey(attachment.pod),
    role: 'pod',
    pod: attachment.pod,
    link: attachment.link,
    ...(attachment.tap === undefined ? {} : { tap: attachment.tap }),
    mac: attachment.mac,
    peerMac: attachment.peerMac,
    peerAddresses: sortedSet(attachment.addresses),
    ownAddresses: plansOf(self.plan).map(({ gateway }) => gateway),
    mtu: podMtu(config),
    ...(attachment.limits === undefined ? {} : { limits: attachment.limits }),
  };
}
