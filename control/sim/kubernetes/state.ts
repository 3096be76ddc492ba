/** What the API server says, as the matrix sees a cluster. Pure. */
import type { ClusterNetworkPolicy, NetworkPolicy } from '../../objects/types.js';
import type { Planned } from '../expand.js';
import type { ClusterState } from '../matrix/state.js';
import type { ApiCache } from './cache.js';
import { controllerOf } from './controllers/controller.js';
import { rawPolicy } from './documents.js';

/** The API server's own Service: its endpoint is on loopback, where no pod reaches it. */
const API_SERVICE = 'default/kubernetes';

/** Namespaces every API server makes, of no interest while they are empty. */
const BUILT_IN: ReadonlySet<string> = new Set(['kube-system', 'kube-public', 'kube-node-lease']);

export function stateOf(
  cache: ApiCache,
  nodes: ClusterState['nodes'],
  outside: ClusterState['outside'],
): ClusterState {
  const names = new Set(nodes.map(({ name }) => name));
  const pods = [...cache.all('Pod')].flatMap(([key, raw]): readonly Planned[] => {
    const pod = cache.typed(raw);
    if (pod?.kind !== 'Pod' || pod.status.phase !== 'Running' || !names.has(pod.spec.nodeName ?? ''))
      return [];
    const owner = controllerOf(raw);
    const workload = owner === null ? key : `${pod.metadata.namespace}/${owner.name}`;
    return [{ pod, workload, workloadKind: owner?.kind ?? 'Pod' }];
  });
  const policies: (NetworkPolicy | ClusterNetworkPolicy)[] = [
    ...cache.typedAll('NetworkPolicy'),
    ...cache.typedAll('ClusterNetworkPolicy'),
  ];
  const used = new Set(pods.map(({ pod }) => pod.metadata.namespace));
  return {
    nodes,
    namespaces: sorted(cache.typedAll('Namespace')).filter(
      ({ metadata: { name } }) => !BUILT_IN.has(name) || used.has(name),
    ),
    pods: [...pods].sort((a, b) => (nameOf(a.pod) < nameOf(b.pod) ? -1 : 1)),
    services: sorted(cache.typedAll('Service')).filter((service) => nameOf(service) !== API_SERVICE),
    slices: sorted(cache.typedAll('EndpointSlice')),
    policies: sorted(policies),
    rawPolicies: ['NetworkPolicy', 'ClusterNetworkPolicy'].flatMap((kind) =>
      [...cache.all(kind).values()].map(rawPolicy),
    ),
    outside,
  };
}

type Named = { readonly metadata: { readonly namespace: string | null; readonly name: string } };

function nameOf({ metadata }: Named): string {
  return `${metadata.namespace ?? ''}/${metadata.name}`;
}

function sorted<T extends Named>(objects: readonly T[]): readonly T[] {
  return [...objects].sort((a, b) => (nameOf(a) < nameOf(b) ? -1 : 1));
}
