/**
 * IPv6 pings out of the cluster, where CNAT loses their answers (26.06): at an interface's output it gives an echo another number, and looks
 * for the answer under the one the pod had chosen. Its other source translation, at an interface's input, does it right. So a classifier at
 * the pods looks echo requests up in a table of their own, which leads those that leave by the uplink round by a loopback, where their
 * source is changed; and another one at the uplink does so with the answers. What comes there and is none of it (an answer to the host's
 * own ping) goes on as it came.
 */
import { cidrContains, parseCidr } from '../../../common/ip.js';
import type { InterfaceItem, Item, Key, RouteItem } from '../../../ruleset/types.js';
import { PING_INTERFACE, PING_NEXT_HOP, PING_TABLE, TABLE_IDS } from '../objects/names.js';
import type { Renderer, View, VppObject } from '../objects/types.js';
import * as make from './objects.js';
import { familyOf, hostPrefix, isHostPrefix, type RoutePath } from './specs.js';

/** Of both ends of the loopback; never on a wire. */
const MAC = '02:fe:00:00:00:04';
const UPLINK: Key = 'interface/uplink';
const TO_LOOPBACK: RoutePath = {
  ...{ type: 'interface', interface: PING_INTERFACE, nextHop: PING_NEXT_HOP },
};

/** Whether pings are led apart: where VPP needs it, and the sources of all pods are changed that have IPv6 addresses. */
export function arePingsApart(view: View): boolean {
  return view.options.pingsApart === true && uplinkOf(view) !== null && areSourcesChanged(view);
}

export const pingsRenderer: Renderer = {
  name: 'pings',
  kinds: ['interface', 'route'],
  render(item, view) {
    if (!isOfPings(item) || !arePingsApart(view)) return [];
    const uplink = uplinkOf(view);
    if (uplink === null) return [];
    return item.kind === 'route' ? routeObjects(item, uplink, view) : loopback(uplink);
  },
};

const isOfPings = (item: Item): item is RouteItem | InterfaceItem =>
  item.kind === 'route'
    ? item.vrf === 'pod' && familyOf(item.prefix) === 6
    : item.kind === 'interface' && item.role === 'uplink';

function uplinkOf(view: View): InterfaceItem | null {
  const item = view.get(UPLINK);
  return item?.kind === 'interface' && item.ownAddresses.some((address) => familyOf(address) === 6)
    ? item
    : null;
}

function areSourcesChanged(view: View): boolean {
  const [node, snat] = [view.get('node'), view.get('snat')];
  if (node?.kind !== 'node' || snat?.kind !== 'snat') return false;
  const sources = snat.sources.map(parseCidr);
  const pods = node.podCidrs.filter((cidr) => familyOf(cidr) === 6).map(parseCidr);
  return (
    pods.length > 0 &&
    pods.every((cidr) => sources.some((source) => source.length <= cidr.length && cidrContains(source, cidr)))
  );
}

/** Too long a packet is refused before its source is changed: whoever sent it is told. */
function loopback({ mtu, ownAddresses }: InterfaceItem): VppObject[] {
  const [key, table] = [PING_INTERFACE, PING_TABLE];
  return [
    make.table({ family: 6, id: table }),
    make.iface(key, { source: { type: 'loopback' }, mac: MAC, table: TABLE_IDS.main }),
    make.link({ interface: key, mtu, ip6: true, unnumbered: null }),
    make.up({ interface: key }),
    make.neighbor({ interface: key, ip: PING_NEXT_HOP, mac: MAC, fib: false }),
    ...ownAddresses
      .filter((address) => familyOf(address) === 6)
      .map((address) => make.route({ table, prefix: hostPrefix(address), path: TO_LOOPBACK })),
  ];
}

/** All that does not leave by the uplink is looked up where pods look; so are pods themselves, by one route for all. */
function routeObjects({ prefix, target }: RouteItem, uplink: InterfaceItem, view: View): VppObject[] {
  const node = view.get('node');
  const address = prefix.slice(0, prefix.indexOf('/'));
  if (isHostPrefix(prefix)) {
    const pods = node?.kind === 'node' ? node.podCidrs : [];
    const cidr = parseCidr(prefix);
    if (uplink.ownAddresses.includes(address)) return [];
    if (pods.some((pod) => cidrContains(parseCidr(pod), cidr))) return [];
  }
  const leaves = target.type === 'interface' && target.interface === UPLINK;
  const path: RoutePath = leaves ? TO_LOOPBACK : { type: 'lookup', table: TABLE_IDS.pod };
  return [make.route({ table: PING_TABLE, prefix, path })];
}
