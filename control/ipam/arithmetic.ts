/**
 * The address plan of a node, computed from its id alone, so that nodes need to exchange nothing but ids and underlay
 * addresses. The plan is Contiv/VPP's unless a comment says otherwise. Pure.
 */
import { PteropusError } from '../common/errors.js';
import {
  bitsOf,
  cidrContains,
  formatCidr,
  formatIp,
  hostAt,
  type ParsedCidr,
  parseCidr,
  parseIp,
  subnetAt,
} from '../common/ip.js';
import { type ClusterConfig, type FamilyRanges, rangesOf } from '../compiler/input.js';
import type { Cidr, Ip, Mac } from '../ruleset/types.js';

/** What follows from a node's id in one family. Addresses in canonical text, without prefix length. */
export interface FamilyPlan {
  /** This node's block of podSubnetCIDR. */
  readonly podSubnet: Cidr;
  /** Offset 1 of the pod subnet: the pods' default gateway, owned by the data plane. */
  readonly gateway: Ip;
  /** Offset 2^n-2 of the pod subnet: source of connections a pod makes to itself through a Service. */
  readonly natLoopback: Ip;
  readonly hostSubnet: Cidr;
  /** Offsets 1 and 2 of the host subnet: the two ends of the interconnect with the host's own stack. */
  readonly hostDataplaneAddress: Ip;
  readonly hostLinuxAddress: Ip;
  readonly bviAddress: Ip;
  /** Underlay address; null when the configuration has no nodeInterconnectCIDR. */
  readonly nodeAddress: Ip | null;
}

/** Everything that follows from a node's id; the addresses at the top are the first family's. */
export interface NodePlan extends FamilyPlan {
  readonly id: number;
  /** 12:2b + id (4 bytes, network order). */
  readonly bviMac: Mac;
  /** 34:3c + id: the data plane's MAC on the host interconnect. */
  readonly hostMac: Mac;
  /** 36:3c + id: the host stack's own MAC on the interconnect. */
  readonly hostLinuxMac: Mac;
  /** The second family's, in a dual-stack cluster. */
  readonly ipv6: FamilyPlan | null;
}

/** The plan of each family, the first family first. */
export function plansOf(plan: NodePlan): readonly FamilyPlan[] {
  return plan.ipv6 === null ? [plan] : [plan, plan.ipv6];
}

/** The underlay addresses the plan computes, the first family first. */
export function nodeAddresses(plan: NodePlan): readonly Ip[] {
  return plansOf(plan).flatMap(({ nodeAddress }) => (nodeAddress === null ? [] : [nodeAddress]));
}

/** No address for this node id: ids are whole numbers from 1, as far as the narrowest range reaches. */
export class NodeIdRangeError extends PteropusError {}

/** Largest id a MAC can carry. */
const MAX_ID = 0xffff_ffff;

/** The plan of node `id`. Throws NodeIdRangeError when one of the ranges has no room for it. */
export function planNode(config: ClusterConfig, id: number): NodePlan {
  if (!Number.isSafeInteger(id) || id < 1 || id > MAX_ID) {
    throw new NodeIdRangeError('node ids are whole numbers from 1 to 4294967295', { field: 'id', value: id });
  }
  return {
    id,
    ...planFamily(config, id),
    bviMac: idMac('12:2b', id),
    hostMac: idMac('34:3c', id),
    hostLinuxMac: idMac('36:3c', id),
    ipv6: config.ipv6 === null ? null : planFamily(config.ipv6, id),
  };
}

function planFamily(ranges: FamilyRanges, id: number): FamilyPlan {
  const pods = nodeBlock('podSubnetCIDR', ranges.podSubnetCIDR, ranges.podSubnetOneNodePrefixLen, id);
  const host = nodeBlock('hostSubnetCIDR', ranges.hostSubnetCIDR, ranges.hostSubnetOneNodePrefixLen, id);
  const { nodeInterconnectCIDR, defaultGateway } = ranges;
  return {
    podSubnet: formatCidr(pods),
    gateway: formatIp(hostAt(pods, 1)),
    natLoopback: formatIp(hostAt(pods, poolSize(pods) - 2n)),
    hostSubnet: formatCidr(host),
    hostDataplaneAddress: formatIp(hostAt(host, 1)),
    hostLinuxAddress: formatIp(hostAt(host, 2)),
    bviAddress: nodeHost('vxlanCIDR', ranges.vxlanCIDR, null, id),
    nodeAddress:
      nodeInterconnectCIDR === null
        ? null
        : nodeHost('nodeInterconnectCIDR', nodeInterconnectCIDR, defaultGateway, id),
  };
}

/** How many ids the ranges have room for: ids 1 to this number all have a plan, none above has. */
export function largestNodeId(config: ClusterConfig): number {
  let least = BigInt(MAX_ID);
  for (const limit of rangesOf(config).flatMap(idLimits)) if (limit < least) least = limit;
  return Number(least);
}

function idLimits(ranges: FamilyRanges): readonly bigint[] {
  const { nodeInterconnectCIDR, defaultGateway } = ranges;
  return [
    blockCount(parseCidr(ranges.podSubnetCIDR), ranges.podSubnetOneNodePrefixLen),
    blockCount(parseCidr(ranges.hostSubnetCIDR), ranges.hostSubnetOneNodePrefixLen),
    hostCount(parseCidr(ranges.vxlanCIDR), null),
    ...(nodeInterconnectCIDR === null ? [] : [hostCount(parseCidr(nodeInterconnectCIDR), defaultGateway)]),
  ];
}

/** Addresses of a pool: 2^host bits; pools wider than 63 bits count as 63 bits. */
export function poolSize(subnet: ParsedCidr): bigint {
  const bits = bitsOf(subnet.family) - subnet.length;
  return 1n << BigInt(Math.min(bits, 63));
}

/**
 * The MACs of both ends of a pod's link: 02:fe + FNV-1a-32 of `containerId/ifname` at the pod, the same with
 * the hash inverted at the data plane; a restart finds them again without having stored them.
 */
export function podMacs(containerId: string, ifname: string): { readonly pod: Mac; readonly dataplane: Mac } {
  const hash = fnv1a32(`${containerId}/${ifname}`);
  return { pod: idMac('02:fe', hash), dataplane: idMac('02:fe', ~hash >>> 0) };
}

/** FNV-1a, 32 bits, over the UTF-8 bytes (draft-eastlake-fnv). */
export function fnv1a32(text: string): number {
  let hash = 0x811c9dc5;
  for (const byte of Buffer.from(text, 'utf8')) hash = Math.imul(hash ^ byte, 0x01000193);
  return hash >>> 0;
}

function idMac(prefix: string, value: number): Mac {
  const hex = value.toString(16).padStart(8, '0');
  return `${prefix}:${hex.slice(0, 2)}:${hex.slice(2, 4)}:${hex.slice(4, 6)}:${hex.slice(6)}`;
}

function blockCount(range: ParsedCidr, length: number): bigint {
  return length <= range.length ? 0n : 1n << BigInt(length - range.length);
}

/** Block `id` of the range; the last id takes block 0, which no other one uses. */
function nodeBlock(field: string, cidr: Cidr, length: number, id: number): ParsedCidr {
  const range = parseCidr(cidr);
  const count = blockCount(range, length);
  if (BigInt(id) > count) {
    throw new NodeIdRangeError(`${cidr} has room for ${count} nodes with /${length} each`, {
      field,
      value: id,
    });
  }
  return subnetAt(range, length, BigInt(id) === count ? 0n : BigInt(id));
}

/** Offset of the gateway in the range, or null if it lies outside (then it takes nobody's address) or is the network's own. */
function excludedOffset(range: ParsedCidr, gateway: Ip | null): bigint | null {
  if (gateway === null) return null;
  const address = parseIp(gateway);
  if (!cidrContains(range, address)) return null;
  const offset = address.value - range.value;
  return offset === 0n ? null : offset;
}

/** Usable host numbers: neither the network address, nor IPv4's broadcast, nor the gateway. */
function hostCount(range: ParsedCidr, gateway: Ip | null): bigint {
  const size = 1n << BigInt(bitsOf(range.family) - range.length);
  const last = range.family === 4 ? size - 2n : size - 1n;
  const excluded = excludedOffset(range, gateway);
  return excluded !== null && excluded <= last ? last - 1n : last;
}

/**
 * Host number `id` of the range; from the gateway's number on, everyone moves up by one, so that no two ids collide.
 * (Contiv/VPP moved ids for a gateway outside the range as well, and gave out the broadcast address.)
 */
function nodeHost(field: string, cidr: Cidr, gateway: Ip | null, id: number): Ip {
  const range = parseCidr(cidr);
  const count = hostCount(range, gateway);
  if (BigInt(id) > count) {
    throw new NodeIdRangeError(`${cidr} has room for ${count < 0n ? 0n : count} nodes`, { field, value: id });
  }
  const excluded = excludedOffset(range, gateway);
  const offset = BigInt(id);
  return formatIp(hostAt(range, excluded !== null && offset >= excluded ? offset + 1n : offset));
}
