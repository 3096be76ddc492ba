/**
 * Where CNAT works and whose source it changes, by the rules that VPP calls its Kubernetes policy. In this order: nothing on its way to
 * the host; what comes from an interface on an include list, unless the destination is excluded; what neither comes from nor goes to an
 * interface on the k8s list, unless it has the node's address already; what goes back to where it comes from.
 */
import { cidrContains, parseCidr, parseIp } from '../../../common/ip.js';
import type { InterfaceItem, Ip, Item, SnatItem } from '../../../ruleset/types.js';
import { arePingsApart } from '../links/pings.js';
import { familyOf, hostPrefix } from '../links/specs.js';
import { BVI_INTERFACE, interfaceKey, PING_INTERFACE } from '../objects/names.js';
import type { Renderer, View, VppObject } from '../objects/types.js';
import { cnatFamilies } from './backends.js';
import { type CnatInterfaceSpec, cnatInterface, exclude, type SnatList, source } from './cnat-objects.js';
import { edge, edgeSteering, keeperOf } from './edge.js';
import { loopObjects } from './loops.js';

export const cnatSourceRenderer: Renderer = {
  name: 'cnat-source',
  kinds: ['node', 'snat', 'interface', 'tunnel'],
  render(item, view) {
    switch (item.kind) {
      case 'node':
        return [source(addressesOf(item.addresses, snatOf(view)))];
      case 'snat':
        return item.exclude.map((prefix) => exclude(prefix, keeperOf(view)));
      case 'interface':
        return interfaceObjects(item, view);
      case 'tunnel':
        return [cnatInterface(tunnelsSpec(view), keeperOf(view))];
      default:
        return [];
    }
  },
};

function tunnelsSpec({ options }: View): CnatInterfaceSpec {
  return {
    ...{ interface: BVI_INTERFACE, families: cnatFamilies(options) },
    ...{ input: true, remember: true, pings: false, lists: ['k8s'] },
    // What is encapsulated there would be translated a second time behind the tunnel.
    output: false,
  };
}

function snatOf(view: View): SnatItem | undefined {
  const item: Item | undefined = view.get('snat');
  return item?.kind === 'snat' ? item : undefined;
}

/** Pods that reach themselves, and outsiders led to another node, are translated even where nothing else is. */
function addressesOf(
  own: readonly Ip[],
  snat: SnatItem | undefined,
): { address4: Ip | null; address6: Ip | null } {
  const all = [...(snat?.addresses ?? []), ...own];
  const first = (family: 4 | 6): Ip | null => all.find((address) => familyOf(address) === family) ?? null;
  return { address4: first(4), address6: first(6) };
}

function interfaceObjects(item: InterfaceItem, view: View): readonly VppObject[] {
  // Everything CNAT does hangs on the node's addresses.
  if (view.get('node') === undefined) return [];
  const on = (lists: CnatInterfaceSpec['lists'], output = true): VppObject => {
    const at = { interface: interfaceKey(item.key), families: cnatFamilies(view.options) };
    const does = { input: true, output, remember: true, pings: false };
    return cnatInterface({ ...at, ...does, lists }, keeperOf(view));
  };
  switch (item.role) {
    case 'pod':
      return [on([...includes(item, snatOf(view)), 'k8s'])];
    case 'uplink':
      // What leaves the pods is translated at the edge; tunnels' packets shall not be.
      return [
        on([], false),
        ...loopObjects(edge(item)),
        ...edgeSteering(item, view),
        ...(arePingsApart(view) ? [pings(view)] : []),
      ];
    case 'host':
      // Not every version can be told that what goes to the host keeps its source; all can by its addresses.
      return [
        on(['k8s', 'host']),
        ...edgeSteering(item, view),
        ...[...new Set([...item.ownAddresses, ...item.peerAddresses])].map((address) =>
          exclude(hostPrefix(address), keeperOf(view)),
        ),
      ];
  }
}

/** By the rules for a pod: what is excluded keeps its source there as well. */
function pings(view: View): VppObject {
  const does = { input: false, output: false, remember: false, pings: true };
  const lists = ['include-v6', 'k8s'] as const;
  return cnatInterface({ interface: PING_INTERFACE, families: [6], ...does, lists }, keeperOf(view));
}

/** CNAT knows sources by their interfaces. */
function includes({ peerAddresses }: InterfaceItem, snat: SnatItem | undefined): SnatList[] {
  const sources = (snat?.sources ?? []).map(parseCidr);
  const covers = (family: 4 | 6): boolean =>
    peerAddresses.some(
      (address) =>
        familyOf(address) === family && sources.some((cidr) => cidrContains(cidr, parseIp(address))),
    );
  return [...(covers(4) ? (['include-v4'] as const) : []), ...(covers(6) ? (['include-v6'] as const) : [])];
}
