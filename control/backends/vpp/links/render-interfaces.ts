/**
 * Pods, the uplink and the way to the host. Pods share the gateway's addresses, which are on a loopback in their table; the node's
 * addresses are VPP's on the uplink, so that it answers ARP and ND for them, and routes lead what is sent to them to the host.
 */
import type { InterfaceItem, Ip, Key } from '../../../ruleset/types.js';
import { GATEWAY_INTERFACE, interfaceKey, TABLE_IDS } from '../objects/names.js';
import type { ObjectKey, Renderer, View, VppObject } from '../objects/types.js';
import { connectedLength } from './connected.js';
import * as make from './objects.js';
import { sourceOf } from './source.js';
import { FAMILIES, familyOf, hostPrefix, UNLIMITED_MTU } from './specs.js';

/** Of the loopback; never on a wire. */
const GATEWAY_MAC = '02:fe:00:00:00:01';
const NODE: Key = 'node';
/** Seconds. */
const NEIGHBOR_AGE = 30;

const hasFamily = (addresses: readonly Ip[], family: 4 | 6): boolean =>
  addresses.some((address) => familyOf(address) === family);

export const interfacesRenderer: Renderer = {
  name: 'interfaces',
  kinds: ['interface'],
  render(item, view) {
    if (item.kind !== 'interface') return [];
    switch (item.role) {
      case 'pod':
        return podObjects(item, view);
      case 'uplink':
        return uplinkObjects(item, view);
      case 'host':
        return hostObjects(item, view);
    }
  },
};

function podObjects(item: InterfaceItem, view: View): VppObject[] {
  const key = interfaceKey(item.key);
  const { input, output } = { input: item.limits?.fromPod, output: item.limits?.toPod };
  const limits = Object.entries({ input, output }) as ['input' | 'output', typeof input][];
  return [
    ...interfaceObjects(item, view, TABLE_IDS.pod, GATEWAY_INTERFACE),
    ...neighbors(item, key, () => true),
    make.arpOff({ interface: key }),
    ...checks(key),
    ...gateway(item.ownAddresses),
    ...limits.flatMap(([direction, limit]) =>
      limit === undefined || limit === null ? [] : [make.policer({ interface: key, direction, ...limit })],
    ),
  ];
}

/** The same for all pods. Who is not in their table finds the gateway there. */
function gateway(addresses: readonly Ip[]): VppObject[] {
  const key = GATEWAY_INTERFACE;
  const { pod, main } = TABLE_IDS;
  return [
    make.iface(key, { source: { type: 'loopback' }, mac: GATEWAY_MAC, table: pod }),
    make.link({ interface: key, mtu: UNLIMITED_MTU, ip6: hasFamily(addresses, 6), unnumbered: null }),
    make.up({ interface: key }),
    ...addresses.map((address) => make.address({ interface: key, prefix: hostPrefix(address) })),
    ...addresses.map((address) =>
      make.route({ table: main, prefix: hostPrefix(address), path: { type: 'lookup', table: pod } }),
    ),
  ];
}

function uplinkObjects(item: InterfaceItem, view: View): VppObject[] {
  const key = interfaceKey(item.key);
  return [
    ...interfaceObjects(item, view, TABLE_IDS.main, null),
    ...ownAddresses(item, key, view),
    ...checks(key),
    ...FAMILIES.filter((family) => hasFamily(item.ownAddresses, family)).map((family) =>
      make.neighborAging({ family, seconds: NEIGHBOR_AGE }),
    ),
    // Tunnels run over IPv4.
    ...(hasFamily(item.ownAddresses, 4) ? [make.tunnelInput({ interface: key, family: 4 })] : []),
  ];
}

function hostObjects(item: InterfaceItem, view: View): VppObject[] {
  const key = interfaceKey(item.key);
  const node = view.get(NODE);
  const shared = node?.kind === 'node' ? node.addresses : [];
  const { main, pod } = TABLE_IDS;
  const own4 = item.ownAddresses.filter((address) => familyOf(address) === 4);
  return [
    ...interfaceObjects(item, view, main, null),
    ...ownAddresses(item, key, view),
    ...neighbors(item, key, (address) => !shared.includes(address)),
    // The host asks for its gateway with an address that VPP calls its own as well: only a proxy answers that.
    ...own4.map((address) => make.proxyAddress({ table: main, address })),
    ...(own4.length > 0 ? [make.proxyInterface({ interface: key })] : []),
    ...item.ownAddresses.map((address) =>
      make.route({ table: pod, prefix: hostPrefix(address), path: { type: 'lookup', table: main } }),
    ),
  ];
}

function interfaceObjects(
  item: InterfaceItem,
  view: View,
  table: number,
  unnumbered: ObjectKey | null,
): VppObject[] {
  const key = interfaceKey(item.key);
  const ip6 = hasFamily([...item.ownAddresses, ...item.peerAddresses], 6);
  const source = sourceOf(item, view.options);
  const cuts = view.options.cutSegments === true && source.type !== 'tap';
  return [
    make.iface(key, { source, mac: item.mac, table }),
    make.link({ interface: key, mtu: item.mtu, ip6, unnumbered }),
    make.up({ interface: key }),
    ...(cuts ? [make.cut({ interface: key })] : []),
  ];
}

function ownAddresses(item: InterfaceItem, key: ObjectKey, view: View): VppObject[] {
  return item.ownAddresses.map((address) =>
    make.address({ interface: key, prefix: `${address}/${connectedLength(item, address, view)}` }),
  );
}

function neighbors(item: InterfaceItem, key: ObjectKey, fib: (address: Ip) => boolean): VppObject[] {
  const mac = item.peerMac;
  if (mac === null) return [];
  return item.peerAddresses.map((ip) => make.neighbor({ interface: key, ip, mac, fib: fib(ip) }));
}

/** Both families: a pod without IPv6 addresses may send no IPv6 at all. */
function checks(key: ObjectKey): VppObject[] {
  return FAMILIES.map((family) => make.sourceCheck({ interface: key, family }));
}
