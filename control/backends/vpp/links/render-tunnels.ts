/**
 * The VXLAN mesh: one tunnel for each peer in a bridge domain that neither learns nor floods, entered by a
 * bridged virtual interface whose table leads to the pod table. Who has which MAC, and behind which tunnel, is told beforehand.
 */
import type { TunnelItem } from '../../../ruleset/types.js';
import { RenderError } from '../objects/errors.js';
import { BVI_INTERFACE, interfaceKey, TABLE_IDS, TUNNEL_TABLE, tunnelKey } from '../objects/names.js';
import type { ObjectKey, Renderer, View, VppObject } from '../objects/types.js';
import * as make from './objects.js';
import { FAMILIES, familyOf, hostPrefix, UNLIMITED_MTU } from './specs.js';

/** Bridge domain of the mesh. */
const MESH = 1;
/** Split-horizon group of the tunnels: nothing goes from one into another. The virtual interface is in none. */
const TUNNEL_GROUP = 1;
const EVERYWHERE = { 4: '0.0.0.0/0', 6: '::/0' } as const;

export const tunnelsRenderer: Renderer = {
  name: 'tunnels',
  kinds: ['tunnel'],
  render(item, view) {
    if (item.kind !== 'tunnel') return [];
    // VPP's bypass looks for the VNI where an IPv4 header would end.
    const six = [item.local, item.remote].find((address) => familyOf(address) === 6);
    if (six !== undefined) {
      throw new RenderError('VPP finds no tunnels over IPv6', item.key, { value: six });
    }
    return [...meshObjects(item, view), ...peerObjects(item, view)];
  },
};

/** The same for all peers. */
function meshObjects(tunnel: TunnelItem, view: View): VppObject[] {
  const key = BVI_INTERFACE;
  const addresses = [tunnel.localBvi, ...(tunnel.localBvi6 === undefined ? [] : [tunnel.localBvi6])];
  return [
    make.bridge({ id: MESH }),
    ...tunnelTable(),
    make.iface(key, { source: { type: 'loopback' }, mac: tunnel.localMac, table: TUNNEL_TABLE }),
    make.link({
      ...{ interface: key, mtu: tunnel.mtu, ip6: tunnel.localBvi6 !== undefined },
      unnumbered: null,
    }),
    make.up({ interface: key }),
    ...(view.options.cutSegments === true ? [make.cut({ interface: key })] : []),
    ...addresses.map((address) => make.address({ interface: key, prefix: hostPrefix(address) })),
    ...addresses.map((address) =>
      make.route({
        ...{ table: TABLE_IDS.pod, prefix: hostPrefix(address) },
        path: { type: 'lookup', table: TUNNEL_TABLE },
      }),
    ),
    make.member({ bridge: MESH, interface: key, bvi: true, group: 0 }),
  ];
}

/** The table of the tunnels leads on to the pods'. */
function tunnelTable(): VppObject[] {
  const path = { type: 'lookup', table: TABLE_IDS.pod } as const;
  return FAMILIES.map((family) => make.route({ table: TUNNEL_TABLE, prefix: EVERYWHERE[family], path }));
}

/**
 * A tunnel made before its way to the peer leaves VPP 23.02 with the peer's address, or the net's, where it should have its own: it asks
 * for its neighbors in that name, and believes none of the answers.
 */
function wayOut(view: View): ObjectKey[] {
  return view.get('interface/uplink')?.kind === 'interface' ? [`up/${interfaceKey('interface/uplink')}`] : [];
}

function peerObjects(tunnel: TunnelItem, view: View): VppObject[] {
  const key = tunnelKey(tunnel.key);
  const { local, remote, vni, remoteMac: mac } = tunnel;
  const addresses = [tunnel.remoteBvi, ...(tunnel.remoteBvi6 === undefined ? [] : [tunnel.remoteBvi6])];
  const source = { type: 'vxlan', local, remote, vni } as const;
  const tunnelEnd = make.iface(key, { source, mac: null, table: TABLE_IDS.main });
  return [
    { ...tunnelEnd, needs: [...tunnelEnd.needs, ...wayOut(view)] },
    make.link({ interface: key, mtu: UNLIMITED_MTU, ip6: false, unnumbered: null }),
    make.up({ interface: key }),
    make.member({ bridge: MESH, interface: key, bvi: false, group: TUNNEL_GROUP }),
    make.bridgeEntry({ bridge: MESH, mac, interface: key }),
    ...addresses.map((ip) => make.neighbor({ interface: BVI_INTERFACE, ip, mac, fib: false })),
  ];
}
