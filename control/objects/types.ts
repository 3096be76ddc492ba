/**
 * Kubernetes objects as we use them: the API's own shape and names, reduced to the fields that matter, validated, with the
 * API server's defaults applied. Plain data. Absent stays distinct from empty: an optional list that was absent is
 * `undefined`, one that was empty is `[]`.
 */
export type Protocol = 'TCP' | 'UDP' | 'SCTP';

export interface Metadata {
  readonly name: string;
  /** null for cluster-scoped kinds. */
  readonly namespace: string | null;
  readonly uid: string | null;
  readonly labels: Readonly<Record<string, string>>;
  readonly annotations: Readonly<Record<string, string>>;
}

/** Where an object was read from; null when it came from an API or a store. Not part of its identity or equality. */
export interface Source {
  readonly file: string;
  /** 1-based line of the document's first key. */
  readonly line: number;
}

export interface Namespace {
  readonly kind: 'Namespace';
  /** labels always hold kubernetes.io/metadata.name. */
  readonly metadata: Metadata;
}

export interface ContainerPort {
  readonly name: string | null;
  readonly containerPort: number;
  readonly protocol: Protocol;
  readonly hostPort: number | null;
}

export interface Pod {
  readonly kind: 'Pod';
  readonly metadata: Metadata;
  readonly spec: {
    readonly nodeName: string | null;
    readonly hostNetwork: boolean;
    readonly hostname: string | null;
    readonly subdomain: string | null;
    readonly nodeSelector: Readonly<Record<string, string>>;
    readonly containers: readonly { readonly name: string; readonly ports: readonly ContainerPort[] }[];
  };
  readonly status: {
    readonly phase: 'Pending' | 'Running' | 'Succeeded' | 'Failed' | 'Unknown';
    /** Canonical text; empty until wired. */
    readonly podIPs: readonly string[];
    readonly ready: boolean;
    readonly terminating: boolean;
  };
}

export interface Node {
  readonly kind: 'Node';
  readonly metadata: Metadata;
  readonly spec: { readonly podCIDRs: readonly string[] };
  readonly status: { readonly addresses: readonly { readonly type: string; readonly address: string }[] };
}

export interface ServicePort {
  readonly name: string | null;
  readonly protocol: Protocol;
  readonly port: number;
  readonly targetPort: number | string;
  readonly nodePort: number | null;
  readonly appProtocol: string | null;
}

export interface Service {
  readonly kind: 'Service';
  readonly metadata: Metadata;
  readonly spec: {
    readonly type: 'ClusterIP' | 'NodePort' | 'LoadBalancer' | 'ExternalName';
    /** [] until assigned; ['None'] = headless. */
    readonly clusterIPs: readonly string[];
    readonly selector: Readonly<Record<string, string>> | null;
    readonly ports: readonly ServicePort[];
    readonly externalIPs: readonly string[];
    readonly externalName: string | null;
    readonly sessionAffinity: 'None' | 'ClientIP';
    readonly sessionAffinityTimeoutSeconds: number;
    readonly externalTrafficPolicy: 'Cluster' | 'Local';
    readonly internalTrafficPolicy: 'Cluster' | 'Local';
    readonly healthCheckNodePort: number | null;
    /** False: no node ports for a load balancer that does not need them. */
    readonly allocateLoadBalancerNodePorts: boolean;
    readonly loadBalancerSourceRanges: readonly string[] | undefined;
    readonly publishNotReadyAddresses: boolean;
    readonly trafficDistribution: string | null;
    readonly ipFamilies: readonly ('IPv4' | 'IPv6')[];
    readonly ipFamilyPolicy: 'SingleStack' | 'PreferDualStack' | 'RequireDualStack' | null;
  };
  readonly status: {
    readonly loadBalancer: readonly { readonly ip: string; readonly ipMode: 'VIP' | 'Proxy' }[];
  };
}

export interface Endpoint {
  readonly addresses: readonly string[];
  /** As in the API: absent ready means true, absent serving means ready, absent terminating means false. */
  readonly conditions: { readonly ready: boolean; readonly serving: boolean; readonly terminating: boolean };
  readonly nodeName: string | null;
  readonly zone: string | null;
  readonly hints: { readonly forZones: readonly string[]; readonly forNodes: readonly string[] } | null;
  readonly targetRef: {
    readonly kind: string;
    readonly namespace: string | null;
    readonly name: string;
  } | null;
}

export interface EndpointSlice {
  readonly kind: 'EndpointSlice';
  /** labels hold kubernetes.io/service-name. */
  readonly metadata: Metadata;
  readonly addressType: 'IPv4' | 'IPv6' | 'FQDN';
  readonly endpoints: readonly Endpoint[];
  readonly ports: readonly {
    readonly name: string | null;
    readonly protocol: Protocol;
    readonly port: number | null;
  }[];
}

export type SelectorOperator = 'In' | 'NotIn' | 'Exists' | 'DoesNotExist';

/** Both lists empty = matches everything. */
export interface LabelSelector {
  readonly matchLabels: Readonly<Record<string, string>>;
  readonly matchExpressions: readonly {
    readonly key: string;
    readonly operator: SelectorOperator;
    readonly values: readonly string[];
  }[];
}

export interface NetworkPolicyPeer {
  readonly podSelector: LabelSelector | undefined;
  readonly namespaceSelector: LabelSelector | undefined;
  readonly ipBlock: { readonly cidr: string; readonly except: readonly string[] } | undefined;
}

export interface NetworkPolicyPort {
  readonly protocol: Protocol;
  readonly port: number | string | undefined;
  readonly endPort: number | undefined;
}

/** `peers` is `from` or `to`. undefined and [] both mean everyone; kept apart because they are apart in the object. */
export interface NetworkPolicyRule {
  readonly peers: readonly NetworkPolicyPeer[] | undefined;
  readonly ports: readonly NetworkPolicyPort[] | undefined;
}

export interface NetworkPolicy {
  readonly kind: 'NetworkPolicy';
  readonly metadata: Metadata;
  readonly spec: {
    readonly podSelector: LabelSelector;
    /** After defaulting: Ingress always unless given otherwise, Egress if an egress section is there. */
    readonly policyTypes: readonly ('Ingress' | 'Egress')[];
    readonly ingress: readonly NetworkPolicyRule[] | undefined;
    readonly egress: readonly NetworkPolicyRule[] | undefined;
  };
}

/** A rule of a ClusterNetworkPolicy, its peers and ports said in the terms of a NetworkPolicy. */
export interface ClusterNetworkPolicyRule extends NetworkPolicyRule {
  readonly name: string | null;
  readonly action: 'Accept' | 'Deny' | 'Pass';
  /**
   * Fields of the rule that mean something we do not know, as paths. Not empty: the rule fails closed, as the API asks of
   * implementations: Accept matches nothing, Deny and Pass deny everything.
   */
  readonly unsupported: readonly string[];
}

/** policy.networking.k8s.io/v1alpha2, cluster-scoped. */
export interface ClusterNetworkPolicy {
  readonly kind: 'ClusterNetworkPolicy';
  readonly metadata: Metadata;
  readonly spec: {
    readonly tier: 'Admin' | 'Baseline';
    /** 0-1000; the lower is asked first. */
    readonly priority: number;
    /** `subject.namespaces` is all pods of those namespaces. */
    readonly subject: { readonly namespaceSelector: LabelSelector; readonly podSelector: LabelSelector };
    /** In order: the first that matches decides. */
    readonly ingress: readonly ClusterNetworkPolicyRule[];
    readonly egress: readonly ClusterNetworkPolicyRule[];
  };
}

/** A node's claim to an id, and where its tunnels end. Ours, not Kubernetes'. */
export interface NodeRecord {
  readonly kind: 'NodeRecord';
  readonly metadata: Metadata;
  readonly id: number;
  /** Underlay addresses of its data plane. */
  readonly addresses: readonly string[];
}

export type KubeObject =
  | Namespace
  | Pod
  | Node
  | Service
  | EndpointSlice
  | NetworkPolicy
  | ClusterNetworkPolicy
  | NodeRecord;
export type Kind = KubeObject['kind'];

/** `KIND/NAMESPACE/NAME`, namespace empty for cluster-scoped kinds. */
export type ObjectKey = string;

export type ObjectEvent =
  | { readonly type: 'put'; readonly object: KubeObject }
  | {
      readonly type: 'delete';
      readonly kind: Kind;
      readonly namespace: string | null;
      readonly name: string;
    };

export function objectKey(kind: Kind, namespace: string | null, name: string): ObjectKey {
  // Joined, it is one string in memory; put together by a template it would be a tree of three, for as long as it is a key of a map.
  return [kind, namespace ?? '', name].join('/');
}
