/** Routes of both tables. One whose interface or tunnel is not there (yet) drops. */
import type { Key, RouteItem } from '../../../ruleset/types.js';
import { BVI_INTERFACE, EDGE_INTERFACE, EDGE_NEXT_HOP, interfaceKey, TABLE_IDS } from '../objects/names.js';
import type { Renderer, View, VppObject } from '../objects/types.js';
import { isConnected } from './connected.js';
import { route } from './objects.js';
import { familyOf, isHostPrefix, type RoutePath } from './specs.js';

const UPLINK: Key = 'interface/uplink';
const DROP: RoutePath = { type: 'drop' };

export const routesRenderer: Renderer = {
  name: 'routes',
  kinds: ['route'],
  render(item, view) {
    if (item.kind !== 'route' || isConnected(item, view)) return [];
    return routeObjects(item, view);
  },
};

function routeObjects(item: RouteItem, view: View): VppObject[] {
  const { vrf, prefix } = item;
  const table = TABLE_IDS[vrf];
  if (!isOwnOnUplink(item, view)) return [route({ table, prefix, path: pathOf(item, view) })];
  // Without a host VPP itself is what answers there.
  if (item.target.type !== 'interface') return [];
  // VPP answers ARP for an address of the uplink as long as no better route to it names another interface: this one names none.
  const path: RoutePath =
    familyOf(prefix) === 4 ? { type: 'lookup', table: TABLE_IDS.pod } : pathOf(item, view);
  return [route({ table, prefix, path })];
}

/** A main route to one of the node's addresses, which VPP has on the uplink. */
function isOwnOnUplink({ vrf, prefix }: RouteItem, view: View): boolean {
  if (vrf !== 'main' || !isHostPrefix(prefix)) return false;
  const uplink = view.get(UPLINK);
  if (uplink?.kind !== 'interface') return false;
  return uplink.ownAddresses.includes(prefix.slice(0, prefix.indexOf('/')));
}

/** NAT44-ED translates IPv4 on the uplink itself. */
const isOnCnat = (prefix: string, { options }: View): boolean =>
  options.services === 'cnat' || familyOf(prefix) === 6;

function pathOf({ vrf, prefix, target }: RouteItem, view: View): RoutePath {
  switch (target.type) {
    case 'drop':
      return DROP;
    case 'reject':
      return { type: 'unreachable' };
    case 'tunnel': {
      const tunnel = view.get(target.tunnel);
      if (tunnel?.kind !== 'tunnel') return DROP;
      const nextHop = familyOf(prefix) === 4 ? tunnel.remoteBvi : tunnel.remoteBvi6;
      return nextHop === undefined ? DROP : { type: 'interface', interface: BVI_INTERFACE, nextHop };
    }
    case 'interface': {
      if (view.get(target.interface)?.kind !== 'interface') return DROP;
      if (vrf === 'pod' && target.interface === UPLINK && isOnCnat(prefix, view)) {
        return { type: 'interface', interface: EDGE_INTERFACE, nextHop: EDGE_NEXT_HOP[familyOf(prefix)] };
      }
      // VPP 23.02 never completes the neighbors that a table learns of from another one's link.
      if (vrf === 'pod' && target.interface === UPLINK && target.nextHop === null) {
        return { type: 'lookup', table: TABLE_IDS.main };
      }
      const own = isHostPrefix(prefix) ? prefix.slice(0, prefix.indexOf('/')) : null;
      return {
        ...{ type: 'interface', interface: interfaceKey(target.interface) },
        nextHop: target.nextHop ?? own,
      };
    }
  }
}
