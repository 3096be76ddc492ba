/** From manifests to the objects a cluster would hold, everything but the pods' addresses. Pure. */
import { type ErrorDetails, InvalidInputError } from '../common/errors.js';
import type { ClusterConfig } from '../compiler/input.js';
import { PodAllocator } from '../ipam/allocator.js';
import { planNode } from '../ipam/arithmetic.js';
import { problemsOf, problemText } from '../model/problems.js';
import { formatPath, type Path } from '../objects/document.js';
import {
  type ClusterNetworkPolicy,
  type EndpointSlice,
  type KubeObject,
  type Namespace,
  type NetworkPolicy,
  type Node,
  objectKey,
  type Pod,
  type Service,
} from '../objects/types.js';
import { expandWorkload, isOwnedBy, type Planned } from './expand.js';
import type { ManifestItems, ManifestSet } from './manifest-set.js';
import { schedule } from './schedule.js';
import { assignServices } from './services.js';
import { LOAD_BALANCER_CIDR } from './world.js';

export interface Desired {
  readonly namespaces: readonly Namespace[];
  /** Scheduled; without addresses. */
  readonly pods: readonly Planned[];
  /** Cluster IPs, node ports and load balancer addresses assigned. */
  readonly services: readonly Service[];
  /** The user's own; those of Services with selectors follow from the pods (endpoints.ts). */
  readonly slices: readonly EndpointSlice[];
  readonly policies: readonly (NetworkPolicy | ClusterNetworkPolicy)[];
  readonly warnings: readonly string[];
}

/** Throws InvalidInputError where manifests contradict themselves. */
export function desiredState(
  set: Pick<ManifestSet, 'items'>,
  nodes: readonly Node[],
  config: ClusterConfig,
  /** Where pods run already: `NS/NAME` -> node. */
  placed: ReadonlyMap<string, string> = new Map(),
): Desired {
  const places = nodes.map(({ metadata }) => ({ name: metadata.name, labels: metadata.labels }));
  const planned = unique(plannedPods(set.items, places));
  refuseTooMany(planned.pods, nodes.length, config);
  const { pods, warnings } = schedule(planned.pods, places, placed);
  const all = [...set.items.values()].flatMap(({ object }) => object ?? []);
  const given = all.filter((object): object is Service => object.kind === 'Service');
  const services = assignServices(given, {
    serviceCIDR: config.serviceCIDR,
    serviceCIDR6: config.ipv6?.serviceCIDR ?? null,
    loadBalancerCIDR: LOAD_BALANCER_CIDR,
    placeOf: (service, path) => fieldPlace(set.items, service, path),
  });
  const policies = all.filter(
    (object) => object.kind === 'NetworkPolicy' || object.kind === 'ClusterNetworkPolicy',
  );
  const slices = all.filter((object): object is EndpointSlice => object.kind === 'EndpointSlice');
  const namespaced = [...pods.map(({ pod }) => pod), ...services.services, ...policies, ...slices];
  return {
    namespaces: namespaces(
      all.filter((object): object is Namespace => object.kind === 'Namespace'),
      namespaced.flatMap(({ metadata }) => metadata.namespace ?? []),
    ),
    pods,
    services: services.services,
    slices,
    policies,
    warnings: [
      ...planned.warnings,
      ...warnings,
      ...services.warnings,
      ...problemsOf(all, config.externalIPCIDRs).map(
        (problem) => `${placeOf(set.items, problem.object)}${problemText(problem)}`,
      ),
    ],
  };
}

/** Throws InvalidInputError when there are more pods than the nodes have addresses for: better now than halfway through. */
function refuseTooMany(pods: readonly Planned[], nodes: number, config: ClusterConfig): void {
  const wanted = pods.filter(({ pod }) => !pod.spec.hostNetwork);
  const room = nodes * Number(new PodAllocator(planNode(config, 1).podSubnet).capacity);
  if (wanted.length <= room) return;
  const sizes = new Map<string, number>();
  for (const { workload } of wanted) sizes.set(workload, (sizes.get(workload) ?? 0) + 1);
  const [largest, size] = [...sizes].reduce((a, b) => (b[1] > a[1] ? b : a));
  throw new InvalidInputError(
    `${nodes === 1 ? '1 node has' : `${nodes} nodes have`} addresses for ${room} pods, not for ${wanted.length} (--nodes gives more)`,
    {
      object: `${largest} with ${size} pods`,
    },
  );
}

function fieldPlace(items: ManifestItems, { kind, metadata }: KubeObject, path: Path): ErrorDetails {
  const { namespace, name } = metadata;
  const document = items.get(objectKey(kind, namespace, name))?.document;
  const line = document?.locate(path) ?? null;
  return {
    object: `${kind} ${namespace}/${name}`,
    field: formatPath(path),
    ...(document === undefined || document.source === null ? {} : { file: document.source.file }),
    ...(line === null ? {} : { line }),
  };
}

/** `FILE:LINE: `, where the object was read from a file. */
function placeOf(items: ManifestItems, { kind, metadata }: KubeObject): string {
  const source = items.get(objectKey(kind, metadata.namespace, metadata.name))?.document.source ?? null;
  return source === null ? '' : `${source.file}:${source.line}: `;
}

/** Pods of workloads and bare pods, in order of their names. */
function plannedPods(
  items: ManifestItems,
  nodes: readonly { readonly name: string; readonly labels: Readonly<Record<string, string>> }[],
): readonly Planned[] {
  const workloads = new Set([...items].filter(([, item]) => item.object === null).map(([key]) => key));
  const out: Planned[] = [];
  for (const [key, { document, object }] of items) {
    const namespace = key.split('/')[1] ?? '';
    if (isOwnedBy(document.value, namespace, workloads)) continue;
    if (object === null) out.push(...expandWorkload(document, nodes));
    else if (object.kind === 'Pod' && runs(object)) out.push(barePod(object));
  }
  return out.sort((a, b) => (podName(a.pod) < podName(b.pod) ? -1 : 1));
}

const podName = (pod: Pod) => `${pod.metadata.namespace}/${pod.metadata.name}`;

/** Pods that have ended, or are about to, hold no address. */
const runs = ({ status }: Pod) =>
  status.phase !== 'Succeeded' && status.phase !== 'Failed' && !status.terminating;

function barePod(pod: Pod): Planned {
  const status = { phase: 'Pending' as const, podIPs: [], ready: false, terminating: false };
  return { pod: { ...pod, status }, workload: podName(pod), workloadKind: 'Pod' };
}

/** Two workloads may make pods of one name only by accident of naming; the first one keeps it. */
function unique(pods: readonly Planned[]): { pods: readonly Planned[]; warnings: readonly string[] } {
  const seen = new Map<string, Planned>();
  const warnings: string[] = [];
  for (const planned of pods) {
    const name = podName(planned.pod);
    const first = seen.get(name);
    if (first === undefined) seen.set(name, planned);
    else
      warnings.push(`pod ${name} of ${planned.workload} is left out: ${first.workload} has one of that name`);
  }
  return { pods: [...seen.values()], warnings };
}

/** The given namespaces, and those that something lies in without their being given. */
function namespaces(given: readonly Namespace[], named: readonly string[]): readonly Namespace[] {
  const all = new Map(
    given.map((namespace) => [objectKey('Namespace', null, namespace.metadata.name), namespace]),
  );
  for (const name of ['default', ...named]) {
    const key = objectKey('Namespace', null, name);
    if (all.has(key)) continue;
    const labels = { 'kubernetes.io/metadata.name': name };
    all.set(key, {
      kind: 'Namespace',
      metadata: { name, namespace: null, uid: null, labels, annotations: {} },
    });
  }
  return [...all.values()].sort((a, b) => (a.metadata.name < b.metadata.name ? -1 : 1));
}
