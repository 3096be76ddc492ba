/** The kinds of objects the simulator follows or applies, and where the API has them. */
import { InvalidInputError } from '../../common/errors.js';

export interface ApiKind {
  readonly kind: string;
  readonly apiVersion: string;
  readonly plural: string;
  readonly namespaced: boolean;
}

const kind = (apiVersion: string, name: string, plural: string, namespaced = true): ApiKind => ({
  kind: name,
  apiVersion,
  plural,
  namespaced,
});

/** What makes pods. */
export const WORKLOADS: readonly ApiKind[] = [
  kind('apps/v1', 'Deployment', 'deployments'),
  kind('apps/v1', 'StatefulSet', 'statefulsets'),
  kind('apps/v1', 'DaemonSet', 'daemonsets'),
  kind('apps/v1', 'ReplicaSet', 'replicasets'),
  kind('batch/v1', 'Job', 'jobs'),
  kind('batch/v1', 'CronJob', 'cronjobs'),
];

/** In the order in which they are applied. */
export const KINDS: readonly ApiKind[] = [
  kind('v1', 'Namespace', 'namespaces', false),
  kind('v1', 'Node', 'nodes', false),
  kind('policy.networking.k8s.io/v1alpha2', 'ClusterNetworkPolicy', 'clusternetworkpolicies', false),
  kind('networking.k8s.io/v1', 'NetworkPolicy', 'networkpolicies'),
  kind('v1', 'Service', 'services'),
  kind('discovery.k8s.io/v1', 'EndpointSlice', 'endpointslices'),
  ...WORKLOADS,
  kind('v1', 'Pod', 'pods'),
];

const BY_NAME = new Map(KINDS.map((entry) => [entry.kind, entry]));

/** Throws InvalidInputError for a kind that is none of ours. */
export function kindNamed(name: string): ApiKind {
  const found = BY_NAME.get(name);
  if (found === undefined) throw new InvalidInputError('is not a kind the simulator knows', { value: name });
  return found;
}

/** Path of all objects of the kind, or of those in one namespace. */
export function collectionPath({ apiVersion, plural, namespaced }: ApiKind, namespace?: string): string {
  const group = apiVersion.includes('/') ? `/apis/${apiVersion}` : `/api/${apiVersion}`;
  return namespaced && namespace !== undefined
    ? `${group}/namespaces/${encodeURIComponent(namespace)}/${plural}`
    : `${group}/${plural}`;
}

/** Path of one object. */
export function objectPath(of: ApiKind, namespace: string | undefined, name: string): string {
  return `${collectionPath(of, namespace)}/${encodeURIComponent(name)}`;
}
