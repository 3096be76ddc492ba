/** One connection walked through the rulesets of the nodes it passes: service, egress, route, ingress. Pure. */
import { InvalidInputError } from '../common/errors.js';
import { cidrContains, type Family, parseCidr, parseIp } from '../common/ip.js';
import { familyOf } from '../compiler/context.js';
import type { Service } from '../objects/types.js';
import { findService, type Judgement, judge } from '../ruleset/evaluate.js';
import type { Protocol, ServiceBackend, ServiceItem } from '../ruleset/types.js';
import { type PaperCluster, rulesetOf } from './cluster.js';
import { whyEmpty } from './empty-service.js';
import { type End, findSource, findTarget, type Place, placeAt, placeIn, type Target } from './ends.js';
import { familiesFor } from './families.js';
import { entryNode, type RouteStep, routeOf } from './route.js';

export interface Question {
  readonly from: string;
  readonly to: string;
  /** null: the one port the destination has. */
  readonly port: number | null;
  readonly protocol: Protocol | 'ICMP';
  /** null: the first one that both ends have; then the answer also tells where the other one has another verdict. */
  readonly family: Family | null;
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
  readonly family: Family;
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
  const [first, ...others] = familiesFor(cluster, from, target, question.family);
  const answer = answerIn(cluster, from, target, question, first);
  const differing = others
    .map((family) => answerIn(cluster, from, target, question, family))
    .filter(({ verdict }) => verdict !== answer.verdict);
  return {
    ...answer,
    notes: [...notesOn(from, ...('end' in target ? [target.end] : [])), ...differing.map(differs)],
  };
}

function answerIn(
  cluster: PaperCluster,
  end: End,
  target: Target,
  question: Question,
  family: Family,
): Answer {
  const from = placeIn(end, family);
  if ('service' in target) return askService(cluster, from, target.service, question);
  const to = placeIn(target.end, family);
  const port = question.protocol === 'ICMP' ? 0 : (question.port ?? onlyPort(cluster, to, question.protocol));
  return throughService(cluster, from, question.protocol, to.address, port);
}

function notesOn(...ends: readonly End[]): readonly string[] {
  return ends.flatMap(({ name, node, hostNetwork }) =>
    hostNetwork === undefined
      ? []
      : [`${name} is on the network of ${node ?? 'its node'}: NetworkPolicies do not select it`],
  );
}

function differs({ family, protocol, verdict }: Answer): string {
  const words = { allowed: 'allowed', denied: 'denied', some: 'partly allowed' }[verdict];
  return `over IPv${family} it is ${words} (--protocol ${protocol.toLowerCase()}${family})`;
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
    return { from, protocol, family: familyOf(address), service: null, ways, verdict: verdictOf(ways) };
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
    family: familyOf(address),
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

/** A Service by name is asked at its cluster IP of the source's family. */
function askService(cluster: PaperCluster, from: Place, service: Service, question: Question): Answer {
  const { namespace, name } = service.metadata;
  const object = `Service ${namespace}/${name}`;
  const known = service.spec.ports.map(({ port, protocol }) => `${port}/${protocol}`).join(', ');
  const family = familyOf(from.address);
  const address = service.spec.clusterIPs.find((ip) => familyOf(ip) === family) ?? '';
  const ports = service.spec.ports.filter(({ protocol }) => protocol === question.protocol);
  const port = question.port ?? (ports.length === 1 ? ports[0]?.port : undefined);
  if (port === undefined) throw new InvalidInputError(`which port? it has ${known}`, { object });
  if (ports.some((candidate) => candidate.port === port)) {
    return throughService(cluster, from, question.protocol, address, port);
  }
  const refused = `has no port ${port}/${question.protocol}, only ${known}: rejected`;
  const asked = { namespace: namespace ?? '', name, address, port, refused };
  return { from, protocol: question.protocol, family, service: asked, ways: [], verdict: 'denied' };
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
