/** Objects as they lie in the store: our own form as JSON, checked on the way back. */
import { type ErrorDetails, errorText } from '../common/errors.js';
import { isRecord, type Path } from './document.js';
import {
  address,
  boolean,
  either,
  integer,
  list,
  map,
  nullable,
  object,
  oneOf,
  optional,
  read,
  type Shape,
  StoredObjectError,
  string,
  UnknownFieldError,
} from './shape.js';
import { sharedPeer } from './shared-peers.js';
import type * as t from './types.js';

const protocol = oneOf('TCP', 'UDP', 'SCTP');
const numberOrName: Shape<number | string> = either((value) => typeof value === 'string', string, integer);

const metadata = object<t.Metadata>({
  name: string,
  namespace: nullable(string),
  uid: nullable(string),
  labels: map(string),
  annotations: map(string),
});

const selector = object<t.LabelSelector>({
  matchLabels: map(string),
  matchExpressions: list(
    object({ key: string, operator: oneOf('In', 'NotIn', 'Exists', 'DoesNotExist'), values: list(string) }),
  ),
});

const ownPeers = list(
  object<t.NetworkPolicyPeer>({
    podSelector: optional(selector),
    namespaceSelector: optional(selector),
    ipBlock: optional(object({ cidr: string, except: list(string) })),
  }),
);
/** In place, as all shapes. */
const peers: Shape<readonly t.NetworkPolicyPeer[]> = (value) => {
  const read = ownPeers(value) as t.NetworkPolicyPeer[];
  for (const [i, peer] of read.entries()) read[i] = sharedPeer(peer);
  return read;
};

const ruleFields = {
  peers: optional(peers),
  ports: optional(
    list(object<t.NetworkPolicyPort>({ protocol, port: optional(numberOrName), endPort: optional(integer) })),
  ),
};
const rule = object<t.NetworkPolicyRule>(ruleFields);
const clusterRule = object<t.ClusterNetworkPolicyRule>({
  ...ruleFields,
  name: nullable(string),
  action: oneOf('Accept', 'Deny', 'Pass'),
  unsupported: list(string),
});

const SHAPES: { readonly [K in t.Kind]: Shape<Extract<t.KubeObject, { kind: K }>> } = {
  Namespace: object<t.Namespace>({ kind: oneOf('Namespace'), metadata }),
  NodeRecord: object<t.NodeRecord>({
    kind: oneOf('NodeRecord'),
    metadata,
    id: integer,
    addresses: list(address),
  }),
  Node: object<t.Node>({
    kind: oneOf('Node'),
    metadata,
    spec: object({ podCIDRs: list(string) }),
    status: object({ addresses: list(object({ type: string, address: string })) }),
  }),
  Pod: object<t.Pod>({
    kind: oneOf('Pod'),
    metadata,
    spec: object({
      nodeName: nullable(string),
      hostNetwork: boolean,
      hostname: nullable(string),
      subdomain: nullable(string),
      nodeSelector: map(string),
      containers: list(
        object({
          name: string,
          ports: list(
            object<t.ContainerPort>({
              name: nullable(string),
              containerPort: integer,
              protocol,
              hostPort: nullable(integer),
            }),
          ),
        }),
      ),
    }),
    status: object({
      phase: oneOf('Pending', 'Running', 'Succeeded', 'Failed', 'Unknown'),
      podIPs: list(address),
      ready: boolean,
      terminating: boolean,
    }),
  }),
  Service: object<t.Service>({
    kind: oneOf('Service'),
    metadata,
    spec: object({
      type: oneOf('ClusterIP', 'NodePort', 'LoadBalancer', 'ExternalName'),
      clusterIPs: list(string),
      selector: nullable(map(string)),
      ports: list(
        object<t.ServicePort>({
          name: nullable(string),
          protocol,
          port: integer,
          targetPort: numberOrName,
          nodePort: nullable(integer),
          appProtocol: nullable(string),
        }),
      ),
      externalIPs: list(string),
      externalName: nullable(string),
      sessionAffinity: oneOf('None', 'ClientIP'),
      sessionAffinityTimeoutSeconds: integer,
      externalTrafficPolicy: oneOf('Cluster', 'Local'),
      internalTrafficPolicy: oneOf('Cluster', 'Local'),
      healthCheckNodePort: nullable(integer),
      allocateLoadBalancerNodePorts: boolean,
      loadBalancerSourceRanges: optional(list(string)),
      publishNotReadyAddresses: boolean,
      trafficDistribution: nullable(string),
      ipFamilies: list(oneOf('IPv4', 'IPv6')),
      ipFamilyPolicy: nullable(oneOf('SingleStack', 'PreferDualStack', 'RequireDualStack')),
    }),
    status: object({ loadBalancer: list(object({ ip: string, ipMode: oneOf('VIP', 'Proxy') })) }),
  }),
  EndpointSlice: object<t.EndpointSlice>({
    kind: oneOf('EndpointSlice'),
    metadata,
    addressType: oneOf('IPv4', 'IPv6', 'FQDN'),
    endpoints: list(
      object<t.Endpoint>({
        addresses: list(string),
        conditions: object({ ready: boolean, serving: boolean, terminating: boolean }),
        nodeName: nullable(string),
        zone: nullable(string),
        hints: nullable(object({ forZones: list(string), forNodes: list(string) })),
        targetRef: nullable(object({ kind: string, namespace: nullable(string), name: string })),
      }),
    ),
    ports: list(object({ name: nullable(string), protocol, port: nullable(integer) })),
  }),
  NetworkPolicy: object<t.NetworkPolicy>({
    kind: oneOf('NetworkPolicy'),
    metadata,
    spec: object({
      podSelector: selector,
      policyTypes: list(oneOf('Ingress', 'Egress')),
      ingress: optional(list(rule)),
      egress: optional(list(rule)),
    }),
  }),
  ClusterNetworkPolicy: object<t.ClusterNetworkPolicy>({
    kind: oneOf('ClusterNetworkPolicy'),
    metadata,
    spec: object({
      tier: oneOf('Admin', 'Baseline'),
      priority: integer,
      subject: object({ namespaceSelector: selector, podSelector: selector }),
      ingress: list(clusterRule),
      egress: list(clusterRule),
    }),
  }),
};

export function toJson(value: t.KubeObject): string {
  return JSON.stringify(value);
}

/**
 * The object `toJson` was given, field by field. Fields it does not know are taken off and told to `unknown`; without it they
 * are refused. Throws StoredObjectError naming the field, and `where` if given.
 */
export function fromJson(text: string, where?: string, unknown?: (path: Path) => void): t.KubeObject {
  const details: ErrorDetails = where === undefined ? {} : { object: where };
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    throw new StoredObjectError('is not JSON', { ...details, cause });
  }
  const kind = isRecord(value) ? value['kind'] : undefined;
  if (typeof kind !== 'string' || !Object.hasOwn(SHAPES, kind)) {
    throw new StoredObjectError('is of no known kind', { ...details, value: kind });
  }
  for (;;) {
    try {
      return read<t.KubeObject>(SHAPES[kind as t.Kind], value);
    } catch (error) {
      if (!(error instanceof UnknownFieldError) || unknown === undefined) {
        throw new StoredObjectError(errorText(error), { ...details, cause: error });
      }
      unknown(error.path);
      takeOff(value, error.path);
    }
  }
}

/** Every object that a newer program wrote costs one more reading for each such field: they are few. */
function takeOff(value: unknown, path: Path): void {
  let owner = value;
  for (const step of path.slice(0, -1)) owner = (owner as Record<string | number, unknown>)[step];
  delete (owner as Record<string | number, unknown>)[path.at(-1) ?? ''];
}
