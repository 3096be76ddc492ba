/**
 * The endpoint controller: EndpointSlices of Services with a selector, from pods that have addresses. Pure.
 * As in Kubernetes, a targetPort name is resolved in each pod by itself; pods that resolve it differently come in
 * different slices.
 */
import type { Endpoint, EndpointSlice, Pod, Protocol, Service } from '../objects/types.js';
import { matches } from './labels.js';

const SERVICE_NAME = 'kubernetes.io/service-name';
const MANAGED_BY = 'endpointslice.kubernetes.io/managed-by';
const CONTROLLER = 'endpointslice-controller.k8s.io';

type SlicePort = EndpointSlice['ports'][number];

/** Whether a slice was made by an endpoint controller (then ours replaces it) and not by a user. */
function isControllerSlice(slice: EndpointSlice, services: ReadonlyMap<string, Service>): boolean {
  const service = services.get(`${slice.metadata.namespace}/${slice.metadata.labels[SERVICE_NAME] ?? ''}`);
  return slice.metadata.labels[MANAGED_BY] === CONTROLLER || (service?.spec.selector ?? null) !== null;
}

/** All slices of one cluster: those of Services with selectors made from pods, and the user's own as they are. */
export function endpointSlices(
  services: readonly Service[],
  pods: readonly Pod[],
  given: readonly EndpointSlice[],
): readonly EndpointSlice[] {
  const byName = new Map(services.map((s) => [`${s.metadata.namespace}/${s.metadata.name}`, s]));
  const kept = given.filter((slice) => !isControllerSlice(slice, byName));
  return [...services.flatMap((service) => slicesOf(service, pods)), ...kept];
}

function slicesOf(service: Service, pods: readonly Pod[]): readonly EndpointSlice[] {
  const { selector, type } = service.spec;
  if (selector === null || type === 'ExternalName' || Object.keys(selector).length === 0) return [];
  const groups = new Map<string, { ports: readonly SlicePort[]; members: Pod[] }>();
  const members = pods
    .filter((pod) => pod.metadata.namespace === service.metadata.namespace)
    .filter((pod) => matches(pod.metadata.labels, selector))
    .filter((pod) => pod.status.podIPs.length > 0)
    .filter((pod) => pod.status.phase !== 'Succeeded' && pod.status.phase !== 'Failed')
    .sort((a, b) => (a.metadata.name < b.metadata.name ? -1 : 1));
  for (const pod of members) {
    const ports = resolvePorts(service, pod);
    const key = JSON.stringify(ports);
    const group = groups.get(key) ?? { ports, members: [] };
    groups.set(key, group);
    group.members.push(pod);
  }
  // A Service whose pods are all gone keeps an empty slice, as in Kubernetes.
  if (groups.size === 0) groups.set('', { ports: resolvePorts(service, null), members: [] });
  return familiesOf(service).flatMap((family) => slicesIn(service, family, [...groups.values()]));
}

/** Slices hold one family each. */
function familiesOf({ spec }: Service): readonly (4 | 6)[] {
  const six = spec.clusterIPs.some((ip) => ip.includes(':'));
  const four = !six || spec.clusterIPs.some((ip) => ip.includes('.'));
  return [...(four ? [4 as const] : []), ...(six ? [6 as const] : [])];
}

interface Group {
  readonly ports: readonly SlicePort[];
  readonly members: readonly Pod[];
}

function slicesIn(service: Service, family: 4 | 6, groups: readonly Group[]): readonly EndpointSlice[] {
  const stem = `${service.metadata.name}-sim${family === 6 ? '6' : ''}`;
  return groups.map(({ ports, members }, i) => ({
    kind: 'EndpointSlice' as const,
    metadata: {
      name: groups.length === 1 ? stem : `${stem}-${i + 1}`,
      namespace: service.metadata.namespace,
      uid: null,
      labels: { [SERVICE_NAME]: service.metadata.name, [MANAGED_BY]: CONTROLLER },
      annotations: {},
    },
    addressType: `IPv${family}` as const,
    endpoints: members.flatMap((pod) => endpointOf(pod, family, service.spec.publishNotReadyAddresses)),
    ports,
  }));
}

function endpointOf(pod: Pod, family: 4 | 6, publishNotReady: boolean): readonly Endpoint[] {
  const { ready, terminating, podIPs } = pod.status;
  const address = podIPs.find((ip) => ip.includes(':') === (family === 6));
  if (address === undefined) return [];
  const endpoint: Endpoint = {
    addresses: [address],
    conditions: {
      ready: publishNotReady || (ready && !terminating),
      serving: publishNotReady || ready,
      terminating,
    },
    nodeName: pod.spec.nodeName,
    zone: null,
    hints: null,
    targetRef: { kind: 'Pod', namespace: pod.metadata.namespace, name: pod.metadata.name },
  };
  return [endpoint];
}

/** The Service's ports in one pod; a name the pod does not have leaves the port out, as in Kubernetes. */
function resolvePorts(service: Service, pod: Pod | null): readonly SlicePort[] {
  return service.spec.ports.flatMap(({ name, protocol, targetPort }): readonly SlicePort[] => {
    const port = typeof targetPort === 'number' ? targetPort : namedPort(pod, targetPort, protocol);
    return port === null ? [] : [{ name, protocol, port }];
  });
}

/** The number of a container port by name and protocol; null where the pod has none. */
export function namedPort(pod: Pod | null, name: string, protocol: Protocol): number | null {
  for (const container of pod?.spec.containers ?? []) {
    for (const port of container.ports) {
      if (port.name === name && port.protocol === protocol) return port.containerPort;
    }
  }
  return null;
}
