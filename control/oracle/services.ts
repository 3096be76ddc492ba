/** Which endpoints a Service may choose, from the raw Service and its EndpointSlices. */
import { isIPv4 } from 'node:net';
import { inCidr } from './match.js';
import type { ServiceQuestion } from './question.js';
import { at, labelsOf, listAt, nameOf, namespaceOf, numberAt, textAt } from './raw.js';

export type Targets =
  | readonly { readonly address: string; readonly port: number }[]
  | 'filtered'
  | 'elsewhere';

interface Target {
  readonly address: string;
  readonly port: number;
  readonly node: string | undefined;
  readonly ready: boolean;
  readonly draining: boolean;
  readonly zone: string | undefined;
  readonly forZones: readonly string[];
  readonly forNodes: readonly string[];
}

/** Throws if there is no such Service or port. */
export function serviceTargets(
  objects: readonly unknown[],
  { service: { namespace, name }, port, protocol, frontend }: ServiceQuestion,
  client: {
    readonly ips: readonly string[];
    readonly node: string | null;
    readonly entry: string | null;
    readonly isOutside: boolean;
  },
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
  const zoneOf = (node: string | null | undefined) =>
    textAt(
      labelsOf(objects.find((object) => at(object, 'kind') === 'Node' && nameOf(object) === node)),
      'topology.kubernetes.io/zone',
    );
  const all = slices.flatMap((slice) => targetsOf(slice, textAt(wanted, 'name'), protocol));
  const located = all.map((target) => ({ ...target, zone: target.zone ?? zoneOf(target.node) }));
  const prefers = textAt(service, 'spec', 'trafficDistribution');
  const anywhere = () => distinct(usable(near(located, prefers, client.entry, zoneOf(client.entry))));
  const local = all.filter(({ node }) => node !== undefined && node === client.node);
  const policy = frontend === 'ClusterIP' ? 'internalTrafficPolicy' : 'externalTrafficPolicy';
  if (textAt(service, 'spec', policy) !== 'Local') return anywhere();
  // "Traffic mistakenly sent to a node with no endpoints is dropped. Traffic sent to an External IP or LoadBalancer IP from within the
  // cluster will always get Cluster semantics".
  const isForeign = frontend === 'LoadBalancer' || frontend === 'ExternalIP';
  const others = isForeign ? anywhere() : [];
  if (isForeign && (!client.isOutside || others.length === 0)) return others;
  return isForeign && usable(local).length === 0 ? 'elsewhere' : distinct(usable(local));
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
          zone: textAt(endpoint, 'zone'),
          forZones: hinted(endpoint, 'forZones'),
          forNodes: hinted(endpoint, 'forNodes'),
        },
      ];
    }),
  );
}

function hinted(endpoint: unknown, kind: 'forZones' | 'forNodes'): readonly string[] {
  return (listAt(endpoint, 'hints', kind) ?? []).flatMap((entry) => textAt(entry, 'name') ?? []);
}

/**
 * Topology-aware routing as kube-proxy does it: hints count if all ready endpoints have one of that kind, and one of them names this
 * node (or zone). Where no hint is set at all, trafficDistribution says what the slice controller would have set: "PreferClose,
 * PreferSameZone: endpoints in the same zone; PreferSameNode: on the same node, then in the same zone".
 */
function near(
  targets: readonly Target[],
  prefers: string | undefined,
  node: string | null,
  zone: string | undefined,
): readonly Target[] {
  const ready = targets.filter((target) => target.ready);
  const withHints = ready.some(({ forZones, forNodes }) => forZones.length > 0 || forNodes.length > 0);
  const nodesFor = (t: Target): readonly string[] =>
    withHints ? t.forNodes : prefers === 'PreferSameNode' && t.node !== undefined ? [t.node] : [];
  const zonesFor = (t: Target): readonly string[] => {
    if (withHints) return t.forZones;
    const asked = ['PreferSameNode', 'PreferSameZone', 'PreferClose'].includes(prefers ?? '');
    return asked && t.zone !== undefined ? [t.zone] : [];
  };
  if (ready.every((t) => nodesFor(t).length > 0)) {
    const here = ready.filter((t) => nodesFor(t).includes(node ?? ''));
    if (here.length > 0) return here;
  }
  if (ready.every((t) => zonesFor(t).length > 0)) {
    const here = ready.filter((t) => zonesFor(t).includes(zone ?? ''));
    if (here.length > 0) return here;
  }
  return targets;
}

/** "Only ready endpoints; if there is none, those that are serving while they terminate." */
function usable(targets: readonly Target[]): readonly Target[] {
  const ready = targets.filter((target) => target.ready);
  return ready.length > 0 ? ready : targets.filter((target) => target.draining);
}

function distinct(targets: readonly Target[]): Targets {
  return [...new Map(targets.map((target) => [`${target.address} ${target.port}`, target])).values()];
}
