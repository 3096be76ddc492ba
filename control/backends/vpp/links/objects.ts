/** Constructors of the link objects: their keys, and what they need. Shared by renderers and descriptors, so that both name alike. */
import { OWN_TABLE, PING_TABLE, TABLE_IDS, TUNNEL_TABLE } from '../objects/names.js';
import type { ObjectKey } from '../objects/types.js';
import * as S from './specs.js';

/** Of a table other than the main one, which is no object. */
function tablesOf(id: number, families: readonly (4 | 6)[]): readonly ObjectKey[] {
  return id === 0 ? [] : families.map((family) => `table/${family}/${id}`);
}

export function table(spec: S.TableSpec): S.TableObject {
  // VPP counts tables in the order in which they are made, and CNAT wants that of the tunnels before that of the pods.
  const { pod } = TABLE_IDS;
  const before = { [pod]: TUNNEL_TABLE, [OWN_TABLE]: pod, [PING_TABLE]: pod }[spec.id];
  const needs = before === undefined ? [] : tablesOf(before, [spec.family]);
  return { kind: 'table', key: `table/${spec.family}/${spec.id}`, needs, spec };
}

export function iface(key: ObjectKey, spec: S.InterfaceSpec): S.InterfaceObject {
  return {
    kind: 'if',
    key,
    needs: tablesOf(spec.table, S.FAMILIES),
    claims: [claimOf(spec.source) ?? key],
    spec,
  };
}

/** What no two interfaces can be made of. */
function claimOf(source: S.InterfaceSource): string | null {
  switch (source.type) {
    case 'af_packet':
    case 'af_xdp':
      return `link ${source.link}`;
    case 'tap':
      return `tap ${source.netns ?? ''} ${source.ifname}`;
    case 'memif':
      return `memif ${source.socket} ${source.id}`;
    case 'existing':
      return `interface ${source.name}`;
    case 'vxlan':
      return `vxlan ${source.local} ${source.remote} ${source.vni}`;
    case 'loopback':
      return null;
  }
}

export function link(spec: S.LinkSpec): S.LinkObject {
  const needs = spec.unnumbered === null ? [spec.interface] : [spec.interface, spec.unnumbered];
  return { kind: 'link', key: `link/${spec.interface}`, needs, spec };
}

/** Down, it passes no packet. */
export function up(spec: S.UpSpec): S.UpObject {
  const needs = [spec.interface, `link/${spec.interface}`];
  return { kind: 'up', key: `up/${spec.interface}`, needs, late: isPod(spec.interface), spec };
}

function isPod(key: ObjectKey): boolean {
  return key.startsWith('if/pod/');
}

export function address(spec: S.AddressSpec): S.AddressObject {
  const key = `address/${spec.interface}/${spec.prefix}`;
  return { kind: 'address', key, needs: [spec.interface], spec };
}

export function neighbor(spec: S.NeighborSpec): S.NeighborObject {
  const key = `neighbor/${spec.interface}/${spec.ip}`;
  // IPv6 must be on before a neighbor can be entered.
  return { kind: 'neighbor', key, needs: [spec.interface, `link/${spec.interface}`], spec };
}

export function neighborAging(spec: S.NeighborAgingSpec): S.NeighborAgingObject {
  return { kind: 'neighbor-aging', key: `neighbor-aging/${spec.family}`, needs: [], spec };
}

export function route(spec: S.RouteSpec): S.RouteObject {
  const { path } = spec;
  const family = S.familyOf(spec.prefix);
  const needs = new Set(tablesOf(spec.table, [family]));
  if (path.type === 'interface') {
    needs.add(path.interface);
    // Not before IPv4 or IPv6 are on there; nor before VPP knows the net of its own address, which it then asks with for others.
    needs.add(isPod(path.interface) ? `link/${path.interface}` : `up/${path.interface}`);
  }
  if (path.type === 'lookup') for (const key of tablesOf(path.table, [family])) needs.add(key);
  return { kind: 'route', key: `route/${spec.table}/${spec.prefix}`, needs: [...needs], spec };
}

export function bridge(spec: S.BridgeSpec): S.BridgeObject {
  return { kind: 'bridge', key: `bridge/${spec.id}`, needs: [], spec };
}

export function member(spec: S.MemberSpec): S.MemberObject {
  const needs = [`bridge/${spec.bridge}`, spec.interface];
  return { kind: 'bridge-member', key: `bridge-member/${spec.interface}`, needs, spec };
}

export function bridgeEntry(spec: S.BridgeEntrySpec): S.BridgeEntryObject {
  const key = `bridge-entry/${spec.bridge}/${spec.mac}`;
  const needs = [`bridge/${spec.bridge}`, spec.interface, `bridge-member/${spec.interface}`];
  return { kind: 'bridge-entry', key, needs, spec };
}

export function proxyAddress(spec: S.ProxyAddressSpec): S.ProxyAddressObject {
  const key = `proxy-address/${spec.table}/${spec.address}`;
  return { kind: 'proxy-address', key, needs: tablesOf(spec.table, [4]), spec };
}

export function proxyInterface(spec: S.ProxyInterfaceSpec): S.ProxyInterfaceObject {
  return {
    kind: 'proxy-interface',
    key: `proxy-interface/${spec.interface}`,
    needs: [spec.interface],
    spec,
  };
}

export function arpOff(spec: S.ArpOffSpec): S.ArpOffObject {
  const key = `arp-off/${spec.interface}`;
  // VPP switches ARP on with IPv4.
  return { kind: 'arp-off', key, needs: [spec.interface, `link/${spec.interface}`], spec };
}

export function sourceCheck(spec: S.SourceCheckSpec): S.SourceCheckObject {
  const key = `source-check/${spec.interface}/${spec.family}`;
  return { kind: 'source-check', key, needs: [spec.interface], spec };
}

export function cut(spec: S.CutSpec): S.CutObject {
  return { kind: 'cut', key: `cut/${spec.interface}`, needs: [spec.interface], spec };
}

export function tunnelInput(spec: S.TunnelInputSpec): S.TunnelInputObject {
  const key = `tunnel-input/${spec.interface}/${spec.family}`;
  return { kind: 'tunnel-input', key, needs: [spec.interface], spec };
}

export function classifier({ name, matches }: S.ClassifierSpec): S.ClassifierObject {
  const needs = [
    ...(name === 'options' ? ['classifier/nested'] : []),
    ...(['own', 'ping'] as const).flatMap((table) =>
      matches.some(({ verdict }) => verdict === table) ? tablesOf(S.VERDICT_TABLES[table], [6]) : [],
    ),
  ];
  const sorted = [...matches].sort((a, b) => (a.bytes < b.bytes ? -1 : 1));
  return { kind: 'classifier', key: `classifier/${name}`, needs, spec: { name, matches: sorted } };
}

export function classifierUse(spec: S.ClassifierUseSpec): S.ClassifierUseObject {
  const needs = [spec.interface, `classifier/${spec.name}`];
  return { kind: 'classifier-use', key: `classifier-use/${spec.interface}`, needs, spec };
}

export function policer(spec: S.PolicerSpec): S.PolicerObject {
  const key = `policer/${spec.direction}/${spec.interface}`;
  return { kind: 'policer', key, needs: [spec.interface], spec };
}
