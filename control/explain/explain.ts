/** One connection walked through the rulesets of the nodes it passes: service, egress, route, ingress. Pure. */
import { InvalidInputError } from '../common/errors.js';
import { cidrContains, parseCidr, parseIp } from '../common/ip.js';
import type { Service } from '../objects/types.js';
import { findRoute, findService, itemOf, type Judgement, judge } from '../ruleset/evaluate.js';
import type { Protocol, Ruleset, ServiceBackend, ServiceItem } from '../ruleset/types.js';
import type { PaperCluster } from './cluster.js';
import { whyEmpty } from './empty-service.js';
import { findSource, findTarget, type Place, placeAt } from './ends.js';

export interface Question {
  readonly from: string;
  readonly to: string;
  /** null: the one port the destination has. */
  readonly port: number | null;
  readonly protocol: Protocol | 'ICMP';
}

export interface RouteStep {
  readonly text: string;
  readonly passes: boolean;
}

/** The way to one destination. A step is null where it is not taken. */
export interface Way {
  readonly to: Place;
  readonly port: number;
  readonly allowed: boolean;
  readonly egress: Judgement | null;
  readonly route: RouteStep | null;
  readonly ingress: Judgement | null;
}

export interface Explanation {
  readonly from: Place;
  readonly protocol: Question['protocol'];
  readonly service: {
    readonly namespace: string;
    readonly name: string;
    readonly address: string;
    readonly port: number;
    /** Why no backend is tried, or null. */
    readonly refused: string | null;
  } | null;
  /** One for each backend of a Service; else just one. */
  readonly ways: readonly Way[];
  readonly verdict: 'allowed' | 'denied' | 'some';
  /** What the steps do not say. */
  readonly notes: readonly string[];
}

type Answer = Omit<Explanation, 'notes'>;

/** Throws InvalidInputError where the question names what is not there. */
export function explain(cluster: PaperCluster, question: Question): Explanation {
  const from = findSource(cluster, question.from);
  const target = findTarget(cluster, question.to);
  if ('service' in target) {
    return { ...askService(cluster, from, target.service, question), notes: notesOn(from) };
  }
  const { place } = target;
  const port =
    question.protocol === 'ICMP' ? 0 : (question.port ?? onlyPort(cluster, place, question.protocol));
  const answer = throughService(cluster, from, question.protocol, place.address, port);
  return { ...answer, notes: notesOn(from, place) };
}

function notesOn(...places: readonly Place[]): readonly string[] {
  return places.flatMap(({ name, node, hostNetwork }) =>
    hostNetwork === undefined
      ? []
      : [`${name} is on the network of ${node ?? 'its node'}: NetworkPolicies do not select it`],
  );
}

/** Any address may be a Service's: then its backends are where the way leads. */
function throughService(
  cluster: PaperCluster,
  from: Place,
  protocol: Question['protocol'],
  address: string,
  port: number,
): Answer {
  const serviceAt = (node: string | null): ServiceItem | null =>
    protocol === 'ICMP' ? null : findService(rulesetOf(cluster, node), address, protocol, port);
  const entry = servingNode(cluster, from, address, serviceAt);
  const item = serviceAt(entry);
  if (item === null) {
    const ways = [wayTo(cluster, from, placeAt(cluster, address), protocol, port)];
    return { from, protocol, service: null, ways, verdict: verdictOf(ways) };
  }
  const refused = refusal(cluster, item, from, entry);
  const ways =
    refused === null
      ? backendsFor(item, from).map((backend) =>
          wayTo(cluster, from, placeAt(cluster, backend.address), protocol, backend.port),
        )
      : [];
  const { namespace, name } = item;
  return {
    from,
    protocol,
    service: { namespace, name, address, port, refused },
    ways,
    verdict: verdictOf(ways),
  };
}

/** Under externalTrafficPolicy Local who comes from outside gets the endpoints of the node he asks. */
function backendsFor({ backends, outsideBackends }: ServiceItem, from: Place): readonly ServiceBackend[] {
  return from.node === null ? (outsideBackends ?? backends) : backends;
}

function refusal(cluster: PaperCluster, item: ServiceItem, from: Place, entry: string | null): string | null {
  const { backends, sourceRanges, outsideBackends } = item;
  const source = parseIp(from.address);
  if (sourceRanges !== null && !sourceRanges.some((range) => cidrContains(parseCidr(range), source))) {
    return `${from.address} is not in loadBalancerSourceRanges`;
  }
  if (from.node === null && outsideBackends?.length === 0) {
    return `dropped: externalTrafficPolicy is Local, and no endpoint is on ${entry}`;
  }
  if (backends.length > 0) return null;
  const why = whyEmpty(cluster, item);
  return `no endpoint is ready${why === null ? '' : `, for ${why}`}: the client gets an ICMP port unreachable`;
}

function wayTo(
  cluster: PaperCluster,
  from: Place,
  to: Place,
  protocol: Question['protocol'],
  port: number,
): Way {
  const asked = { protocol: protocol === 'ICMP' ? null : protocol, port };
  const side = (subject: Place, direction: 'ingress' | 'egress', peer: Place): Judgement | null =>
    subject.pod === null
      ? null
      : judge(rulesetOf(cluster, subject.node), {
          ...asked,
          pod: subject.pod,
          direction,
          peer: peer.address,
        });
  const egress = side(from, 'egress', to);
  const route = egress?.allowed === false ? null : routeOf(cluster, from, to);
  const ingress = route?.passes === false || egress?.allowed === false ? null : side(to, 'ingress', from);
  const allowed = [egress, ingress].every((step) => step?.allowed !== false) && route?.passes !== false;
  return { to, port, allowed, egress, route, ingress };
}

/** The first hop. From outside, packets are taken to arrive at the node of whom they are for. */
function routeOf(cluster: PaperCluster, from: Place, to: Place): RouteStep {
  const node = entryNode(cluster, from, to.address);
  const ruleset = rulesetOf(cluster, node);
  const route = findRoute(ruleset, from.pod === null ? 'main' : 'pod', to.address);
  if (route === null) return { text: 'there is no route', passes: false };
  switch (route.target.type) {
    case 'drop':
      return { text: `dropped: nobody in ${route.prefix} has this address`, passes: false };
    case 'reject':
      return { text: `rejected: no Service in ${route.prefix} has this address and port`, passes: false };
    case 'tunnel':
      return { text: `VXLAN to ${itemOf(ruleset, 'tunnel', route.target.tunnel).peer}`, passes: true };
    case 'interface': {
      const { role } = itemOf(ruleset, 'interface', route.target.interface);
      if (role === 'pod')
        return { text: from.node === null ? `arrives at ${node}` : `on ${node}`, passes: true };
      if (role === 'host') return { text: `the host's own stack on ${node}`, passes: true };
      if (from.node === null) return { text: 'does not touch the cluster', passes: true };
      return { text: uplinkText(ruleset, from, to, route.target.nextHop), passes: true };
    }
  }
}

function uplinkText(ruleset: Ruleset, from: Place, to: Place, nextHop: string | null): string {
  const snat = itemOf(ruleset, 'snat', 'snat');
  const within = (cidrs: readonly string[], address: string) =>
    cidrs.some((cidr) => cidrContains(parseCidr(cidr), parseIp(address)));
  const translated = within(snat.sources, from.address) && !within(snat.exclude, to.address);
  const source = translated ? `, source becomes ${snat.addresses.join(' ')}` : '';
  return `out of the uplink${nextHop === null ? '' : ` by ${nextHop}`}${source}`;
}

/** Services are resolved where a packet enters: on the source's node, or on the node that has the address. */
function entryNode(cluster: PaperCluster, from: Place, address: string): string | null {
  if (from.node !== null) return from.node;
  return placeAt(cluster, address).node ?? [...cluster.rulesets.keys()][0] ?? null;
}

function servesOutside(item: ServiceItem | null): boolean {
  return item !== null && item.outsideBackends?.length !== 0;
}

/** A load balancer sends nothing to nodes without endpoints under the policy Local: it is taken to ask one that has some. */
function servingNode(
  cluster: PaperCluster,
  from: Place,
  address: string,
  serviceAt: (node: string) => ServiceItem | null,
): string | null {
  const nodes = from.node === null && placeAt(cluster, address).node === null ? cluster.rulesets.keys() : [];
  const serving = [...nodes].find((node) => servesOutside(serviceAt(node)));
  return serving ?? entryNode(cluster, from, address);
}

function rulesetOf({ rulesets }: PaperCluster, node: string | null): Ruleset {
  const ruleset = node === null ? undefined : rulesets.get(node);
  if (ruleset === undefined) throw new InvalidInputError('is not a node of the cluster', { value: node });
  return ruleset;
}

/** A Service by name is asked at its cluster IP. */
function askService(cluster: PaperCluster, from: Place, service: Service, question: Question): Answer {
  const { namespace, name } = service.metadata;
  const object = `Service ${namespace}/${name}`;
  const known = service.spec.ports.map(({ port, protocol }) => `${port}/${protocol}`).join(', ');
  const [address] = service.spec.clusterIPs;
  if (address === undefined || address === 'None') {
    throw new InvalidInputError('has no cluster IP: ask for its pods', { object });
  }
  const ports = service.spec.ports.filter(({ protocol }) => protocol === question.protocol);
  const port = question.port ?? (ports.length === 1 ? ports[0]?.port : undefined);
  if (port === undefined) throw new InvalidInputError(`which port? it has ${known}`, { object });
  if (ports.some((candidate) => candidate.port === port)) {
    return throughService(cluster, from, question.protocol, address, port);
  }
  const refused = `has no port ${port}/${question.protocol}, only ${known}: rejected`;
  const asked = { namespace: namespace ?? '', name, address, port, refused };
  return { from, protocol: question.protocol, service: asked, ways: [], verdict: 'denied' };
}

function onlyPort({ model }: PaperCluster, { name, pod }: Place, protocol: Protocol): number {
  const object = pod === null ? undefined : model.get('Pod', pod.namespace, pod.name);
  const ports = object?.spec.containers.flatMap((container) => container.ports) ?? [];
  const [first, ...more] = ports.filter((port) => port.protocol === protocol);
  if (first !== undefined && more.length === 0) return first.containerPort;
  const known = ports.map((port) => `${port.containerPort}/${port.protocol}`).join(', ');
  throw new InvalidInputError(`which port?${known === '' ? ' give --port' : ` it has ${known}`}`, {
    object: name,
  });
}

function verdictOf(ways: readonly Way[]): Explanation['verdict'] {
  const good = ways.filter(({ allowed }) => allowed).length;
  return good === 0 ? 'denied' : good === ways.length ? 'allowed' : 'some';
}
