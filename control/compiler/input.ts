/** The compiler's other input besides the model: the cluster's configuration and what is wired on this node. */
import type { Cidr, Ip, Mac, PodRef, Protocol, RateLimits, TapEnd } from '../ruleset/types.js';

/** The ranges of one family that the address plan is made of. */
export interface FamilyRanges {
  readonly podSubnetCIDR: Cidr; // 10.1.0.0/16
  readonly podSubnetOneNodePrefixLen: number; // 24
  readonly hostSubnetCIDR: Cidr; // 172.30.0.0/16: interconnect of data plane and host stack
  readonly hostSubnetOneNodePrefixLen: number; // 24
  readonly vxlanCIDR: Cidr; // 192.168.30.0/24: BVIs
  readonly nodeInterconnectCIDR: Cidr | null; // 192.168.16.0/24: underlay, null = addresses come from elsewhere
  readonly defaultGateway: Ip | null; // underlay gateway
  readonly serviceCIDR: Cidr; // 10.96.0.0/12
}

/** Cluster-wide configuration. One value for all nodes. The ranges at the top are the first family's. */
export interface ClusterConfig extends FamilyRanges {
  /** The second family of a dual-stack cluster, whose first family is IPv4; null = single stack. */
  readonly ipv6: FamilyRanges | null;
  readonly vni: number; // 10
  /** Largest IP packet on the underlay, bytes; pods get it minus 50. */
  readonly underlayMtu: number; // 1500
  readonly natExternalTraffic: boolean; // true
  /** NodePorts are served on node addresses inside these; [] = all node addresses. */
  readonly nodePortAddresses: readonly Cidr[];
  /** externalIPs of Services are served if inside one of these; [] = none is (CVE-2020-8554: anyone may write the field). */
  readonly externalIPCIDRs: readonly Cidr[];
  /**
   * Further addresses that every node's own stack has, such as the link-local ones of NodeLocal DNSCache: there a pod reaches its own
   * node. An address that is not named here belongs to the outside world.
   */
  readonly hostAddresses: readonly Ip[];
}

/** The ranges of each family, the first family first. */
export function rangesOf(config: ClusterConfig): readonly FamilyRanges[] {
  return config.ipv6 === null ? [config] : [config, config.ipv6];
}

export const DEFAULT_CONFIG: ClusterConfig = {
  podSubnetCIDR: '10.1.0.0/16',
  podSubnetOneNodePrefixLen: 24,
  hostSubnetCIDR: '172.30.0.0/16',
  hostSubnetOneNodePrefixLen: 24,
  vxlanCIDR: '192.168.30.0/24',
  nodeInterconnectCIDR: '192.168.16.0/24',
  defaultGateway: '192.168.16.254',
  serviceCIDR: '10.96.0.0/12',
  ipv6: null,
  vni: 10,
  underlayMtu: 1500,
  natExternalTraffic: true,
  nodePortAddresses: [],
  externalIPCIDRs: [],
  hostAddresses: [],
};

/** What `ipv6: {}` stands for: unique local addresses (RFC 4193) that resemble the IPv4 defaults. */
export const DEFAULT_IPV6: FamilyRanges = {
  podSubnetCIDR: 'fd00:10:1::/48',
  podSubnetOneNodePrefixLen: 64,
  hostSubnetCIDR: 'fd00:172:30::/48',
  hostSubnetOneNodePrefixLen: 64,
  vxlanCIDR: 'fd00:192:168:30::/64',
  nodeInterconnectCIDR: 'fd00:192:168:16::/64',
  defaultGateway: 'fd00:192:168:16::fffe',
  serviceCIDR: 'fd00:10:96::/112',
};

/** A port of this node that leads to a pod (a container's hostPort). */
export interface HostPort {
  readonly protocol: Protocol;
  readonly hostPort: number;
  readonly containerPort: number;
  /** Only on this address of the node, or with 0.0.0.0 or :: on all of that family; null = on all. */
  readonly hostIP: Ip | null;
}

/** A pod wired on this node, as the agent's journal has it: the result of a CNI ADD. */
export interface Attachment {
  readonly pod: PodRef;
  /** The link on the node's side, or a name for the TAP. */
  readonly link: string;
  /** Where the pod's end is a TAP. */
  readonly tap?: TapEnd;
  readonly mac: Mac;
  readonly peerMac: Mac;
  readonly addresses: readonly Ip[];
  /** Absent: none. */
  readonly hostPorts?: readonly HostPort[];
  /** Absent: unlimited. */
  readonly limits?: RateLimits;
}

/** The node the ruleset is for, and its own links. */
export interface NodeLocal {
  readonly node: string;
  readonly uplink: { readonly link: string; readonly mac: Mac };
  /** Interconnect with the host's own stack; null = none (feed memory without a host endpoint). */
  readonly host: { readonly link: string; readonly mac: Mac; readonly peerMac: Mac } | null;
  readonly attachments: readonly Attachment[];
}
