/** Where a packet goes first, in words: the route that the ruleset of the node where it enters has for it. Pure. */
import { cidrContains, parseCidr, parseIp } from '../common/ip.js';
import { familyOf } from '../compiler/context.js';
import { findRoute, itemOf } from '../ruleset/evaluate.js';
import type { Ruleset } from '../ruleset/types.js';
import { type PaperCluster, rulesetOf } from './cluster.js';
import { type Place, placeAt } from './ends.js';

export interface RouteStep {
  readonly text: string;
  readonly passes: boolean;
}

/** The first hop. From outside, packets are taken to arrive at the node of whom they are for. */
export function routeOf(cluster: PaperCluster, from: Place, to: Place): RouteStep {
  const node = entryNode(cluster, from, to.address);
  const ruleset = rulesetOf(cluster, node);
  const route = findRoute(ruleset, from.pod === null ? 'main' : 'pod', to.address);
  if (route === null) return { text: 'there is no route', passes: false };
  switch (route.target.type) {
    case 'drop':
      return { text: `dropped: nobody in ${route.prefix} has this address`, passes: false };
    case 'reject':
      return { text: `rejected: no Service in ${route.prefix} has this address and port`, passes: false };
    case 'tunnel':
      return { text: `VXLAN to ${itemOf(ruleset, 'tunnel', route.target.tunnel).peer}`, passes: true };
    case 'interface': {
      const { role } = itemOf(ruleset, 'interface', route.target.interface);
      if (role === 'pod')
        return { text: from.node === null ? `arrives at ${node}` : `on ${node}`, passes: true };
      if (role === 'host') return { text: `the host's own stack on ${node}`, passes: true };
      if (from.node === null) return { text: 'does not touch the cluster', passes: true };
      return { text: uplinkText(ruleset, from, to, route.target.nextHop), passes: true };
    }
  }
}

function uplinkText(ruleset: Ruleset, from: Place, to: Place, nextHop: string | null): string {
  const snat = itemOf(ruleset, 'snat', 'snat');
  const within = (cidrs: readonly string[], address: string) =>
    cidrs.some((cidr) => cidrContains(parseCidr(cidr), parseIp(address)));
  const translated = within(snat.sources, from.address) && !within(snat.exclude, to.address);
  const own = snat.addresses.filter((address) => familyOf(address) === familyOf(from.address));
  const source = translated ? `, source becomes ${own.join(' ')}` : '';
  return `out of the uplink${nextHop === null ? '' : ` by ${nextHop}`}${source}`;
}

/** Services are resolved where a packet enters: on the source's node, or on the node that has the address. */
export function entryNode(cluster: PaperCluster, from: Place, address: string): string | null {
  if (from.node !== null) return from.node;
  return placeAt(cluster, address).node ?? [...cluster.rulesets.keys()][0] ?? null;
}
