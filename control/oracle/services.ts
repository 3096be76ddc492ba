/** Which endpoints a Service may choose, from the raw Service and its EndpointSlices. */
import { isIPv4 } from 'node:net';
import { inCidr } from './match.js';
import type { ServiceQuestion } from './oracle.js';
import { at, labelsOf, listAt, nameOf, namespaceOf, numberAt, textAt } from './raw.js';

export type Targets = readonly { readonly address: string; readonly port: number }[] | 'filtered';

interface Target {
  readonly address: string;
  readonly port: number;
  readonly node: string | undefined;
  readonly ready: boolean;
  readonly draining: boolean;
}

/** Throws if there is no such Service or port. */
export function serviceTargets(
  objects: readonly unknown[],
  { service: { namespace, name }, port, protocol, frontend }: ServiceQuestion,
  client: { readonly ips: readonly string[]; readonly node: string | null },
): Targets {
  const service = objects.find(
    (object) =>
      at(object, 'kind') === 'Service' && namespaceOf(object) === namespace && nameOf(object) === name,
  );
  const wanted = (listAt(service, 'spec', 'ports') ?? []).find(
    (entry) => at(entry, 'port') === port && (textAt(entry, 'protocol') ?? 'TCP') === protocol,
  );
  if (wanted === undefined) throw new Error(`no Service ${namespace}/${name} with ${protocol} port ${port}`);
  const ranges = listAt(service, 'spec', 'loadBalancerSourceRanges') ?? [];
  if (frontend === 'LoadBalancer' && ranges.length > 0) {
    if (!client.ips.some((ip) => ranges.some((range) => inCidr(String(range), ip)))) return 'filtered';
  }
  const slices = objects.filter(
    (object) =>
      at(object, 'kind') === 'EndpointSlice' &&
      namespaceOf(object) === namespace &&
      at(labelsOf(object), 'kubernetes.io/service-name') === name &&
      at(object, 'addressType') === (client.ips.every((ip) => isIPv4(ip)) ? 'IPv4' : 'IPv6'),
  );
  const all = slices.flatMap((slice) => targetsOf(slice, textAt(wanted, 'name'), protocol));
  const local = all.filter(({ node }) => node !== undefined && node === client.node);
  const policy = frontend === 'ClusterIP' ? 'internalTrafficPolicy' : 'externalTrafficPolicy';
  if (textAt(service, 'spec', policy) !== 'Local') return distinct(usable(all));
  // Inside the cluster, a load balancer's address leads to every endpoint where the node itself has none.
  if (frontend === 'LoadBalancer' && usable(local).length === 0) return distinct(usable(all));
  return distinct(usable(local));
}

function targetsOf(slice: unknown, portName: string | undefined, protocol: string): readonly Target[] {
  const ports = (listAt(slice, 'ports') ?? []).filter(
    (port) => textAt(port, 'name') === portName && (textAt(port, 'protocol') ?? 'TCP') === protocol,
  );
  return (listAt(slice, 'endpoints') ?? []).flatMap((endpoint) =>
    ports.flatMap((entry): readonly Target[] => {
      const address = listAt(endpoint, 'addresses')?.[0];
      const port = numberAt(entry, 'port');
      if (typeof address !== 'string' || port === undefined) return [];
      const ready = at(endpoint, 'conditions', 'ready') !== false;
      const serving = at(endpoint, 'conditions', 'serving') ?? ready;
      const terminating = at(endpoint, 'conditions', 'terminating') === true;
      return [
        {
          address,
          port,
          node: textAt(endpoint, 'nodeName'),
          ready,
          draining: serving === true && terminating,
        },
      ];
    }),
  );
}

/** "Only ready endpoints; if there is none, those that are serving while they terminate." */
function usable(targets: readonly Target[]): readonly Target[] {
  const ready = targets.filter((target) => target.ready);
  return ready.length > 0 ? ready : targets.filter((target) => target.draining);
}

function distinct(targets: readonly Target[]): Targets {
  return [...new Map(targets.map((target) => [`${target.address} ${target.port}`, target])).values()];
}
