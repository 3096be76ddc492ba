/**
 * Where NAT44-ED works, and whose name is on what leaves by the uplink. Clients and backends alike are behind every interface but the
 * uplink, where what leaves is translated, except what keeps its address: the host's own connections, and tunnels.
 */
import type { InterfaceItem, Ip, SnatItem } from '../../../ruleset/types.js';
import { route } from '../links/objects.js';
import { familyOf, hostPrefix } from '../links/specs.js';
import { BVI_INTERFACE, interfaceKey, TABLE_IDS, TUNNEL_TABLE } from '../objects/names.js';
import type { Renderer, View, VppObject } from '../objects/types.js';
import { identity, nat44, nat44Interface, pool } from './nat44-objects.js';

const VXLAN_PORT = 4789;
const is4 = (address: Ip): boolean => familyOf(address) === 4;

export const nat44SourceRenderer: Renderer = {
  name: 'nat44-source',
  kinds: ['node', 'snat', 'interface', 'tunnel'],
  render(item, view) {
    switch (item.kind) {
      case 'node':
        return [nat44({ forwarding: true })];
      case 'snat':
        return view.get('node') === undefined ? [] : snatObjects(item);
      case 'interface':
        return view.get('node') === undefined ? [] : interfaceObjects(item, borrowed(view).length > 0);
      case 'tunnel':
        return view.get('node') === undefined
          ? []
          : [nat44Interface({ interface: BVI_INTERFACE, place: 'both' })];
      default:
        return [];
    }
  },
};

/** What pods borrow on their way out. */
function borrowed(view: View): readonly Ip[] {
  const snat = view.get('snat');
  return snat?.kind === 'snat' ? borrowedOf(snat) : [];
}

function borrowedOf({ addresses, sources }: Pick<SnatItem, 'addresses' | 'sources'>): readonly Ip[] {
  return sources.length === 0 ? [] : addresses.filter(is4);
}

/** The two tables' packets are told apart, so that an address that keeps itself does so in both. */
function snatObjects({ addresses, hairpin, sources }: SnatItem): readonly VppObject[] {
  const own = borrowedOf({ addresses, sources });
  return [
    ...own.map((address) => pool({ address, twice: false })),
    ...hairpin.filter(is4).map((address) => pool({ address, twice: true })),
    ...own.flatMap((address) => [
      identity({ address, port: VXLAN_PORT, table: TABLE_IDS.main }),
      identity({ address, port: null, table: TABLE_IDS.main }),
      identity({ address, port: null, table: TABLE_IDS.pod }),
      // NAT44-ED takes the addresses of its pool for its own in each table where it is on. Routes of ours are better, where there are any.
      route({
        ...{ table: TUNNEL_TABLE, prefix: hostPrefix(address) },
        path: { type: 'lookup', table: TABLE_IDS.pod },
      }),
    ]),
  ];
}

function interfaceObjects({ key, role }: InterfaceItem, snat: boolean): readonly VppObject[] {
  // Without source translation the uplink still has clients behind it.
  const place = role === 'uplink' && snat ? 'output' : 'both';
  return [nat44Interface({ interface: interfaceKey(key), place })];
}
