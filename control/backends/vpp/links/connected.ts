/**
 * The prefix of the link that an own address is on. VPP answers ARP only to senders on a connected prefix, and resolves next hops
 * only there; items have addresses without a prefix, and routes to what is on the link.
 */
import { bitsOf, cidrContains, maskOf, type ParsedCidr, parseCidr, parseIp } from '../../../common/ip.js';
import type { InterfaceItem, Ip, Key, RouteItem } from '../../../ruleset/types.js';
import type { View } from '../objects/types.js';
import { familyOf, isHostPrefix } from './specs.js';

/** Prefix lengths that are tried, longest first, where no route names the link's prefix but stations are on it. */
const GUESSES: Readonly<Record<4 | 6, readonly number[]>> = {
  4: [24, 20, 16, 12, 8],
  6: [64, 56, 48, 32, 16],
};

/** What main-table routes say of one interface's link. */
interface OnLink {
  readonly prefixes: ParsedCidr[];
  /** Stations on it: next hops, and destinations without one. */
  readonly stations: Set<Ip>;
}

/** Lists of routes are the same as long as no route changes. */
const known = new WeakMap<readonly RouteItem[], Map<Key, OnLink>>();

function onLinkOf(view: View, item: Key): OnLink | undefined {
  const routes = view.all('route');
  let links = known.get(routes);
  if (links === undefined) {
    links = new Map();
    for (const { vrf, prefix, target } of routes) {
      if (vrf !== 'main' || target.type !== 'interface') continue;
      let link = links.get(target.interface);
      if (link === undefined) {
        link = { prefixes: [], stations: new Set() };
        links.set(target.interface, link);
      }
      if (target.nextHop !== null) link.stations.add(target.nextHop);
      else if (isHostPrefix(prefix)) link.stations.add(prefix.slice(0, prefix.indexOf('/')));
      else link.prefixes.push(parseCidr(prefix));
    }
    known.set(routes, links);
  }
  return links.get(item);
}

/** Length of the connected prefix of one of the interface's own addresses. */
export function connectedLength(item: InterfaceItem, address: Ip, view: View): number {
  const ip = parseIp(address);
  const bits = bitsOf(ip.family);
  const link = onLinkOf(view, item.key);
  if (link === undefined) return bits;
  const lengths = link.prefixes.filter((prefix) => cidrContains(prefix, ip)).map(({ length }) => length);
  if (lengths.length > 0) return Math.max(...lengths);
  if (item.role !== 'uplink') return bits;
  const stations = [...link.stations].filter((station) => familyOf(station) === ip.family).map(parseIp);
  if (stations.length === 0) return bits;
  const holds = (length: number): boolean =>
    stations.every((station) =>
      cidrContains({ ...ip, value: ip.value & maskOf(ip.family, length), length }, station),
    );
  return GUESSES[ip.family].find(holds) ?? bits;
}

/** Whether VPP has the route by itself, as the connected prefix of an own address. */
export function isConnected(route: RouteItem, view: View): boolean {
  const { vrf, prefix, target } = route;
  if (vrf !== 'main' || target.type !== 'interface' || target.nextHop !== null || isHostPrefix(prefix))
    return false;
  const item = view.get(target.interface);
  if (item?.kind !== 'interface') return false;
  const cidr = parseCidr(prefix);
  return item.ownAddresses.some(
    (address) => cidrContains(cidr, parseIp(address)) && connectedLength(item, address, view) === cidr.length,
  );
}
