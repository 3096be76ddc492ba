/** What of interfaces, tables, routes and the mesh VPP is told: one type for each kind of object, and how its key is made. */
import type { Cidr, Ip, Mac } from '../../../ruleset/types.js';
import { OWN_TABLE, PING_TABLE } from '../objects/names.js';
import type { ObjectKey, VppObject } from '../objects/types.js';

/** A FIB table. The main one is there always and no object. */
export interface TableSpec {
  readonly family: 4 | 6;
  readonly id: number;
}

/** What an interface is made of. */
export type InterfaceSource =
  | { readonly type: 'af_packet'; readonly link: string }
  | { readonly type: 'af_xdp'; readonly link: string }
  /** A TAP that is there already, in a namespace (null: where VPP runs). */
  /** `mac`: of the other end, which gets a random one unless VPP is told; null where nobody minds. */
  | {
      readonly type: 'tap';
      readonly netns: string | null;
      readonly ifname: string;
      readonly mac: string | null;
    }
  | { readonly type: 'memif'; readonly socket: string; readonly id: number }
  /** VPP has it by itself (a NIC under DPDK). */
  | { readonly type: 'existing'; readonly name: string }
  | { readonly type: 'loopback' }
  | { readonly type: 'vxlan'; readonly local: Ip; readonly remote: Ip; readonly vni: number };

/** What cannot be changed without making the interface anew. */
export interface InterfaceSpec {
  readonly source: InterfaceSource;
  /** null: VPP's choice; a tunnel's is of no use. */
  readonly mac: Mac | null;
  /** FIB table of both families. */
  readonly table: number;
}

/** What can be changed while packets pass. */
export interface LinkSpec {
  readonly interface: ObjectKey;
  /** Largest IP packet, bytes. */
  readonly mtu: number;
  /** IPv6 is on, without router advertisements. */
  readonly ip6: boolean;
  /** Uses the addresses of that interface. */
  readonly unnumbered: ObjectKey | null;
}

export interface UpSpec {
  readonly interface: ObjectKey;
}

/** `prefix` keeps its host bits. */
export interface AddressSpec {
  readonly interface: ObjectKey;
  readonly prefix: string;
}

export interface NeighborSpec {
  readonly interface: ObjectKey;
  readonly ip: Ip;
  readonly mac: Mac;
  /** Whether it is a way to its address by itself; otherwise a route has to lead there. */
  readonly fib: boolean;
}

/** Neighbors learned on any interface that are silent for so long are asked again. */
export interface NeighborAgingSpec {
  readonly family: 4 | 6;
  readonly seconds: number;
}

export type RoutePath =
  /** Out of an interface; nextHop null: each destination is on the link. */
  | { readonly type: 'interface'; readonly interface: ObjectKey; readonly nextHop: Ip | null }
  /** VPP itself. */
  | { readonly type: 'local' }
  /** As another table says. */
  | { readonly type: 'lookup'; readonly table: number }
  | { readonly type: 'drop' }
  | { readonly type: 'unreachable' };

export interface RouteSpec {
  readonly table: number;
  readonly prefix: Cidr;
  readonly path: RoutePath;
}

/** A bridge domain that forwards and does nothing else: no learning, no flooding. */
export interface BridgeSpec {
  readonly id: number;
}

/** Members of one split-horizon group other than 0 do not send to each other. */
export interface MemberSpec {
  readonly bridge: number;
  readonly interface: ObjectKey;
  readonly bvi: boolean;
  readonly group: number;
}

export interface BridgeEntrySpec {
  readonly bridge: number;
  readonly mac: Mac;
  readonly interface: ObjectKey;
}

/** ARP requests for the address are answered on all interfaces that have a ProxyInterfaceSpec. */
export interface ProxyAddressSpec {
  readonly table: number;
  readonly address: Ip;
}

export interface ProxyInterfaceSpec {
  readonly interface: ObjectKey;
}

/** ARP is neither answered nor believed: the station behind knows its gateway's MAC, and we know the station's. */
export interface ArpOffSpec {
  readonly interface: ObjectKey;
}

/** Packets whose source is not reached through the interface are dropped. */
export interface SourceCheckSpec {
  readonly interface: ObjectKey;
  readonly family: 4 | 6;
}

/** Segments that came whole from another interface are cut before they leave by this one. */
export interface CutSpec {
  readonly interface: ObjectKey;
}

/** Tunnel packets of known peers are taken out of the uplink's traffic before routing. */
export interface TunnelInputSpec {
  readonly interface: ObjectKey;
  readonly family: 4 | 6;
}

/**
 * `options`: extension headers that may be the first; `nested`: a first and the one in it; `discovery`: ICMPv6 types to an address.
 * `options` is followed by `nested`.
 */
export type ClassifierName = 'options' | 'nested' | 'discovery';

/** The destination is looked up in such a table: where the node's addresses are VPP's own, and where pings are led apart. */
export const VERDICT_TABLES = { own: OWN_TABLE, ping: PING_TABLE } as const;

export interface Match {
  /** What the bytes compared must be, in hexadecimal digits. */
  readonly bytes: string;
  readonly verdict: 'drop' | keyof typeof VERDICT_TABLES;
}

export interface ClassifierSpec {
  readonly name: ClassifierName;
  /** Sorted by their bytes. */
  readonly matches: readonly Match[];
}

export interface ClassifierUseSpec {
  readonly interface: ObjectKey;
  readonly name: ClassifierName;
}

/** A token bucket at an interface; packets it has no tokens for are dropped. */
export interface PolicerSpec {
  readonly interface: ObjectKey;
  /** `input`: what comes from the station. */
  readonly direction: 'input' | 'output';
  readonly bitsPerSecond: number;
  readonly burstBits: number;
}

export type TableObject = VppObject<'table', TableSpec>;
export type InterfaceObject = VppObject<'if', InterfaceSpec>;
export type LinkObject = VppObject<'link', LinkSpec>;
export type UpObject = VppObject<'up', UpSpec>;
export type AddressObject = VppObject<'address', AddressSpec>;
export type NeighborObject = VppObject<'neighbor', NeighborSpec>;
export type NeighborAgingObject = VppObject<'neighbor-aging', NeighborAgingSpec>;
export type RouteObject = VppObject<'route', RouteSpec>;
export type BridgeObject = VppObject<'bridge', BridgeSpec>;
export type MemberObject = VppObject<'bridge-member', MemberSpec>;
export type BridgeEntryObject = VppObject<'bridge-entry', BridgeEntrySpec>;
export type ProxyAddressObject = VppObject<'proxy-address', ProxyAddressSpec>;
export type ProxyInterfaceObject = VppObject<'proxy-interface', ProxyInterfaceSpec>;
export type ArpOffObject = VppObject<'arp-off', ArpOffSpec>;
export type SourceCheckObject = VppObject<'source-check', SourceCheckSpec>;
export type CutObject = VppObject<'cut', CutSpec>;
export type TunnelInputObject = VppObject<'tunnel-input', TunnelInputSpec>;
export type ClassifierObject = VppObject<'classifier', ClassifierSpec>;
export type ClassifierUseObject = VppObject<'classifier-use', ClassifierUseSpec>;
export type PolicerObject = VppObject<'policer', PolicerSpec>;

export const familyOf = (address: string): 4 | 6 => (address.includes(':') ? 6 : 4);

/** Largest IP packet of what has no size of its own: loopbacks, and tunnels, before whose packets are measured. */
export const UNLIMITED_MTU = 9000;

export const FAMILIES = [4, 6] as const;

/** `/32` or `/128`. */
export const hostPrefix = (ip: Ip): Cidr => `${ip}/${familyOf(ip) === 4 ? 32 : 128}`;

export const isHostPrefix = (prefix: Cidr): boolean =>
  prefix.endsWith(familyOf(prefix) === 4 ? '/32' : '/128');
