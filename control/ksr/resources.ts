/** The kinds ksr reflects, in the order they are written: what restricts comes before what it restricts. */
import type { Kind } from '../objects/types.js';

export type ReflectedKind = Exclude<Kind, 'NodeRecord'>;

export interface Resource {
  readonly kind: ReflectedKind;
  readonly apiVersion: string;
  /** Path of the API that lists and watches all namespaces. */
  readonly path: string;
  /** A custom resource, which the cluster may not have (yet). */
  readonly optional: boolean;
}

export const RESOURCES: readonly Resource[] = [
  { kind: 'Namespace', apiVersion: 'v1', path: '/api/v1/namespaces', optional: false },
  {
    kind: 'ClusterNetworkPolicy',
    apiVersion: 'policy.networking.k8s.io/v1alpha2',
    path: '/apis/policy.networking.k8s.io/v1alpha2/clusternetworkpolicies',
    optional: true,
  },
  {
    kind: 'NetworkPolicy',
    apiVersion: 'networking.k8s.io/v1',
    path: '/apis/networking.k8s.io/v1/networkpolicies',
    optional: false,
  },
  { kind: 'Node', apiVersion: 'v1', path: '/api/v1/nodes', optional: false },
  { kind: 'Service', apiVersion: 'v1', path: '/api/v1/services', optional: false },
  { kind: 'Pod', apiVersion: 'v1', path: '/api/v1/pods', optional: false },
  {
    kind: 'EndpointSlice',
    apiVersion: 'discovery.k8s.io/v1',
    path: '/apis/discovery.k8s.io/v1/endpointslices',
    optional: false,
  },
];

/** Position in the order of writing; what is removed goes the other way round. */
export function orderOf(kind: string): number {
  return RESOURCES.findIndex((resource) => resource.kind === kind);
}
