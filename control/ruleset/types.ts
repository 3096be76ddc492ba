/**
 * The ruleset: what one node's data plane must do, backend-neutral.
 *
 * A ruleset is a map of keyed items. Items are plain data: printable, comparable, canonical (lists sorted, addresses in
 * canonical text), so that equal rulesets are equal byte for byte. Items refer to each other by key only. Every rule
 * carries the object and field it came from, so that a verdict can be explained.
 */

/** An address in canonical text. */
export type Ip = string;
/** A prefix in canonical text, host bits cleared. */
export type Cidr = string;
/** `kind/rest`, unique in a ruleset, and the sort order of its canonical form. */
export type Key = string;
/** Lower-case, colon separated. */
export type Mac = string;

export type Protocol = 'TCP' | 'UDP' | 'SCTP';

/** Where a rule came from. `field` is a path inside the object (`spec.ingress[0]`). */
export interface Origin {
  readonly kind: string;
  readonly namespace: string | null;
  readonly name: string;
  readonly field: string | null;
}

export interface PodRef {
  readonly namespace: string;
  readonly name: string;
}

/** This node's own identity. Key `node`. */
export interface NodeItem {
  readonly kind: 'node';
  readonly key: Key;
  readonly name: string;
  /** Node id, >= 1; addresses and MACs are computed from it. */
  readonly id: number;
  /** Addresses of this node on the underlay; shared by the data plane and the host's own stack. */
  readonly addresses: readonly Ip[];
  /** Pod subnets of this node (one for each family). */
  readonly podSubnets: readonly Cidr[];
  /** All pods of the cluster. */
  readonly podCidrs: readonly Cidr[];
}

/** A TAP in a pod's namespace: path of the namespace, name of the link there. */
export interface TapEnd {
  readonly netns: string;
  readonly ifname: string;
}

/** A token bucket: the sustained rate, and how much may pass at once. */
export interface RateLimit {
  readonly bitsPerSecond: number;
  readonly burstBits: number;
}

/** What a pod may receive and send; null = unlimited. */
export interface RateLimits {
  readonly toPod: RateLimit | null;
  readonly fromPod: RateLimit | null;
}

/** A place where packets enter and leave. Keys `interface/pod/NS/NAME`, `interface/uplink`, `interface/host`. */
export interface InterfaceItem {
  readonly kind: 'interface';
  readonly key: Key;
  readonly role: 'pod' | 'uplink' | 'host';
  readonly pod: PodRef | null;
  /** Linux link on the node's side (feed `afxdp`), or the name of the in-memory port (feed `memory`). */
  readonly link: string;
  /** The pod's end is a TAP, and `link` is only a name for it; absent: `link` is the node's end. */
  readonly tap?: TapEnd;
  /** MAC of the data plane on this interface. */
  readonly mac: Mac;
  /** MAC of the one station behind it (pod, host); null on an uplink, where neighbors are learned by ARP/ND. */
  readonly peerMac: Mac | null;
  /** Addresses of the station behind it (source addresses it may use, for a pod). Empty on an uplink. */
  readonly peerAddresses: readonly Ip[];
  /** Addresses the data plane itself owns here: answers ARP/ND and echo for. On an uplink: the node's addresses. */
  readonly ownAddresses: readonly Ip[];
  /** Largest IP packet, bytes. */
  readonly mtu: number;
  /** Absent: no limit. Only pods have one. */
  readonly limits?: RateLimits;
}

/**
 * Two routing tables, as in Contiv/VPP: `pod` for packets from pods and tunnels, `main` for packets from the
 * host's stack and the uplink. The compiler puts every route into each table that needs it; routes never leak between them.
 */
export type Vrf = 'main' | 'pod';

export type RouteTarget =
  /** Out of an interface; nextHop null = the destination itself is on the link. */
  | { readonly type: 'interface'; readonly interface: Key; readonly nextHop: Ip | null }
  | { readonly type: 'tunnel'; readonly tunnel: Key }
  /** Silent drop (loop guard), or an ICMP port-unreachable (service range without such a service). */
  | { readonly type: 'drop' }
  | { readonly type: 'reject' };

/** Key `route/VRF/PREFIX`. */
export interface RouteItem {
  readonly kind: 'route';
  readonly key: Key;
  readonly vrf: Vrf;
  readonly prefix: Cidr;
  readonly target: RouteTarget;
}

/** A VXLAN tunnel to one peer. Key `tunnel/PEERID`. */
export interface TunnelItem {
  readonly kind: 'tunnel';
  readonly key: Key;
  readonly peer: string;
  readonly vni: number;
  /** Outer addresses. */
  readonly local: Ip;
  readonly remote: Ip;
  /** Inner Ethernet addresses (the BVIs of both nodes) and the BVIs' IP addresses. */
  readonly localMac: Mac;
  readonly remoteMac: Mac;
  readonly localBvi: Ip;
  readonly remoteBvi: Ip;
  /** The BVIs' IPv6 addresses; absent: no IPv6 inside the tunnel. */
  readonly localBvi6?: Ip;
  readonly remoteBvi6?: Ip;
  /** Largest inner IP packet, bytes. */
  readonly mtu: number;
  /**
   * The peer answers clients outside the cluster through its own uplink, never through the tunnel, so their packets to it get this
   * node's address as source. Absent: it answers through the tunnel, and clients keep their address.
   */
  readonly hidesClients?: true;
}

/** Cidr minus its excepts (ipBlock). An except is a subtraction, never a deny. */
export interface AddressBlock {
  readonly cidr: Cidr;
  readonly except: readonly Cidr[];
}

/**
 * Key `addressset/HASH` of what defines the set (selectors, blocks), not of its members: equal definitions share one set, and a
 * pod that comes or goes updates one item and nothing that refers to it. An empty set contains nothing.
 */
export interface AddressSetItem {
  readonly kind: 'addressset';
  readonly key: Key;
  readonly addresses: readonly Ip[];
  readonly blocks: readonly AddressBlock[];
}

/** A range of ports of one protocol, both ends included. `protocol: null` = any protocol (then 0-65535), ICMP and others included. */
export interface PortRange {
  readonly protocol: Protocol | null;
  readonly from: number;
  readonly to: number;
}

export type Tier = 'admin' | 'network' | 'baseline';

/** One rule. Several peers, several ports: any of them. `null` = every peer, every protocol and port. `[]` = none. */
export interface PolicyRule {
  readonly tier: Tier;
  /** `pass` leaves the admin tier for the network tier. */
  readonly action: 'allow' | 'deny' | 'pass';
  readonly peers: readonly Key[] | null;
  readonly ports: readonly PortRange[] | null;
  readonly origin: Origin;
}

/**
 * The rules for one direction of a pod. Evaluation: rules in order, first match wins, tier by tier (admin, network,
 * baseline); if `isolatedBy` is not empty, the network tier ends with deny and baseline is not reached; otherwise the end allows.
 * Key `policy/HASH`: equal contents share one item.
 */
export interface PolicyItem {
  readonly kind: 'policy';
  readonly key: Key;
  readonly direction: 'ingress' | 'egress';
  readonly rules: readonly PolicyRule[];
  /** The NetworkPolicies that select the pod in this direction; sorted. */
  readonly isolatedBy: readonly Origin[];
}

/** Which policy judges a local pod; null = the direction is open. Key `endpoint/NS/NAME`. */
export interface EndpointItem {
  readonly kind: 'endpoint';
  readonly key: Key;
  readonly pod: PodRef;
  readonly interface: Key;
  readonly ingress: Key | null;
  readonly egress: Key | null;
}

export interface Frontend {
  readonly address: Ip;
  readonly port: number;
  readonly type: 'ClusterIP' | 'NodePort' | 'ExternalIP' | 'LoadBalancer' | 'HostPort';
}

export interface ServiceBackend {
  readonly address: Ip;
  readonly port: number;
  /** Relative share, >= 1. */
  readonly weight: number;
  /** The pod behind it, where it is one. */
  readonly pod: PodRef | null;
  readonly node: string | null;
}

/**
 * One port of one Service in one scope. `internal` = ClusterIP (internalTrafficPolicy), `external` = NodePort, external
 * and LoadBalancer addresses (externalTrafficPolicy). No backends: reject with ICMP port unreachable.
 * Key `service/NS/NAME/PROTOCOL/PORT/SCOPE`, SCOPE being `internal`, `external`, `external/NODE` (NodePort with the policy Local: the
 * addresses of another node), `externalip` or `loadbalancer`; followed by `/ipv6` if its addresses are. Of a pod's host port:
 * `service/~hostport/NS/POD/PROTOCOL/PORT[/ADDRESS]`, `name` being the pod's; a Service that claims the same frontend has it.
 */
export interface ServiceItem {
  readonly kind: 'service';
  readonly key: Key;
  readonly namespace: string;
  readonly name: string;
  readonly portName: string | null;
  readonly protocol: Protocol;
  readonly scope: 'internal' | 'external';
  readonly frontends: readonly Frontend[];
  readonly backends: readonly ServiceBackend[];
  /** ClientIP affinity in seconds, or null. */
  readonly affinitySeconds: number | null;
  readonly algorithm: 'random' | 'maglev';
  /** loadBalancerSourceRanges; null = everyone, [] = no one. */
  readonly sourceRanges: readonly Cidr[] | null;
  /**
   * Backends for clients that come by the uplink; null = the same as for everyone. With externalTrafficPolicy Local, load balancer and
   * external addresses lead clients inside the cluster (pods, hosts) to any endpoint, and those outside only to this node's: [] = they
   * are dropped.
   */
  readonly outsideBackends: readonly ServiceBackend[] | null;
}

/**
 * What load balancers ask on a node before they send it traffic (healthCheckNodePort): HTTP on this port of the node's addresses
 * answers 200 if any ready endpoint is on the node, else 503. Served by the host, not by the data plane. Key `healthcheck/NS/NAME`.
 */
export interface HealthCheckItem {
  readonly kind: 'healthcheck';
  readonly key: Key;
  readonly namespace: string;
  readonly name: string;
  readonly port: number;
  /** Ready endpoints on this node. */
  readonly localEndpoints: number;
}

/**
 * Source NAT for what leaves the cluster through the uplink: source becomes `addresses` (of the family at hand) unless the
 * destination is in `exclude`. Key `snat`.
 */
export interface SnatItem {
  readonly kind: 'snat';
  readonly key: Key;
  readonly addresses: readonly Ip[];
  readonly sources: readonly Cidr[];
  readonly exclude: readonly Cidr[];
  /** Source address of a pod's connection to itself through a Service; one for each family. */
  readonly hairpin: readonly Ip[];
}

export type Item =
  | NodeItem
  | InterfaceItem
  | RouteItem
  | TunnelItem
  | AddressSetItem
  | PolicyItem
  | EndpointItem
  | ServiceItem
  | HealthCheckItem
  | SnatItem;

export type ItemKind = Item['kind'];

/** Key -> item. Iteration order has no meaning; the canonical form sorts by key. */
export type Ruleset = ReadonlyMap<Key, Item>;

/** How the addresses of a set changed: none of `added` was in it, all of `removed` were; both sorted. */
export interface AddressDelta {
  readonly added: readonly Ip[];
  readonly removed: readonly Ip[];
}

/**
 * One step from an old ruleset to a new one. `delta`, where it is given, says the same as `old` and `item` of an address set, so
 * that large sets need not be compared.
 */
export type Change =
  | { readonly type: 'add'; readonly key: Key; readonly item: Item }
  | {
      readonly type: 'update';
      readonly key: Key;
      readonly item: Item;
      readonly old: Item;
      readonly delta?: AddressDelta;
    }
  | { readonly type: 'remove'; readonly key: Key; readonly old: Item };
