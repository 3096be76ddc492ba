/**
 * The endpoint controller: EndpointSlices of Services with a selector, from pods that have addresses. Pure.
 * As in Kubernetes, a targetPort name is resolved in each pod by itself; pods that resolve it differently come in
 * different slices.
 */
import type { Endpoint, EndpointSlice, Pod, Protocol, Service } from '../objects/types.js';
import { matches } from './schedule.js';

const SERVICE_NAME = 'kubernetes.io/service-name';
const MANAGED_BY = 'endpointslice.kubernetes.io/managed-by';
const CONTROLLER = 'endpointslice-controller.k8s.io';

type SlicePort = EndpointSlice['ports'][number];

/** Whether a slice was made by an endpoint controller (then ours replaces it) and not by a user. */
export function isControllerSlice(slice: EndpointSlice, services: ReadonlyMap<string, Service>): boolean {
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
  const { selector, type, publishNotReadyAddresses } = service.spec;
  if (selector === null || type === 'ExternalName' || Object.keys(selector).length === 0) return [];
  const groups = new Map<string, { ports: readonly SlicePort[]; endpoints: Endpoint[] }>();
  const members = pods
    .filter((pod) => pod.metadata.namespace === service.metadata.namespace)
    .filter((pod) => matches(pod.metadata.labels, selector))
    .filter((pod) => pod.status.podIPs.length > 0)
    .filter((pod) => pod.status.phase !== 'Succeeded' && pod.status.phase !== 'Failed')
    .sort((a, b) => (a.metadata.name < b.metadata.name ? -1 : 1));
  for (const pod of members) {
    const ports = resolvePorts(service, pod);
    const key = JSON.stringify(ports);
    const group = groups.get(key) ?? { ports, endpoints: [] };
    groups.set(key, group);
    group.endpoints.push(endpointOf(pod, publishNotReadyAddresses));
  }
  // A Service whose pods are all gone keeps an empty slice, as in Kubernetes.
  if (groups.size === 0) groups.set('', { ports: resolvePorts(service, null), endpoints: [] });
  return [...groups.values()].map(({ ports, endpoints }, i) => ({
    kind: 'EndpointSlice' as const,
    metadata: {
      name: groups.size === 1 ? `${service.metadata.name}-sim` : `${service.metadata.name}-sim-${i + 1}`,
      namespace: service.metadata.namespace,
      uid: null,
      labels: { [SERVICE_NAME]: service.metadata.name, [MANAGED_BY]: CONTROLLER },
      annotations: {},
    },
    addressType: 'IPv4' as const,
    endpoints,
    ports,
  }));
}

function endpointOf(pod: Pod, publishNotReady: boolean): Endpoint {
  const { ready, terminating, podIPs } = pod.status;
  return {
    addresses: podIPs.filter((ip) => !ip.includes(':')).slice(0, 1),
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
