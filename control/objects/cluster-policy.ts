import { formatCidr } from '../common/ip.js';
import { formatPath, type RawDocument } from './document.js';
import { Field } from './field.js';
import { parseMetadata } from './metadata.js';
import { isPortName } from './names.js';
import { PROTOCOLS } from './pod.js';
import { parseSelector } from './policy.js';
import type {
  ClusterNetworkPolicy,
  ClusterNetworkPolicyRule,
  LabelSelector,
  NetworkPolicyPeer,
  NetworkPolicyPort,
} from './types.js';

type Subject = ClusterNetworkPolicy['spec']['subject'];
type Side = 'from' | 'to';

const EVERYTHING: LabelSelector = { matchLabels: {}, matchExpressions: [] };

/** What a part of a rule means, as far as it is understood, and the paths of what is not. */
interface Understood<T> {
  readonly values: readonly T[];
  readonly unsupported: readonly string[];
}

/**
 * Validates a ClusterNetworkPolicy (policy.networking.k8s.io/v1alpha2). What breaks the API's rules is refused; a field or a kind
 * of peer the API may have gained since is noted in its rule, which then fails closed. Throws InvalidObjectError.
 */
export function parseClusterNetworkPolicy(document: RawDocument): ClusterNetworkPolicy {
  const root = Field.root(document);
  const spec = root.get('spec').required();
  // What narrows or widens the policy as a whole does so to each of its rules.
  const strange = spec.others('tier', 'priority', 'subject', 'ingress', 'egress').map(pathOf);
  const rules = (section: 'ingress' | 'egress', side: Side) =>
    (spec.get(section).items() ?? []).map((rule) => parseRule(rule, side, strange));
  return {
    kind: 'ClusterNetworkPolicy',
    metadata: parseMetadata(root, 'cluster'),
    spec: {
      tier: spec.get('tier').oneOf(['Admin', 'Baseline']),
      priority: spec.get('priority').integer(0, 1000),
      subject: parseSubject(spec.get('subject').required()),
      ingress: rules('ingress', 'from'),
      egress: rules('egress', 'to'),
    },
  };
}

/** Whom the policy is about cannot be guessed: an unknown subject is refused. */
function parseSubject(field: Field): Subject {
  field.only('namespaces', 'pods');
  const chosen = [field.get('namespaces'), field.get('pods')].filter(({ present }) => present);
  if (chosen.length !== 1) field.fail('must have exactly one of namespaces and pods');
  return field.get('namespaces').present
    ? { namespaceSelector: parseSelector(field.get('namespaces')), podSelector: EVERYTHING }
    : parsePods(field.get('pods').only('namespaceSelector', 'podSelector'));
}

function parsePods(field: Field): Subject {
  return {
    namespaceSelector: parseSelector(field.get('namespaceSelector')),
    podSelector: parseSelector(field.get('podSelector').required()),
  };
}

function parseRule(field: Field, side: Side, strange: readonly string[]): ClusterNetworkPolicyRule {
  const name = field.required().get('name').stringOrNull();
  if (name !== null && name.length > 100) field.get('name').fail('has at most 100 characters');
  const peers = parsePeers(field.get(side), side);
  const ports = parsePorts(field);
  const named = ports?.values.some(({ port }) => typeof port === 'string') ?? false;
  if (named && peers.values.some(({ ipBlock }) => ipBlock !== undefined))
    field.fail('has a port name and networks, which have no port names', undefined);
  const unknown = field.others('name', 'action', side, 'protocols', 'ports').map(pathOf);
  return {
    name,
    action: field.get('action').oneOf(['Accept', 'Deny', 'Pass']),
    peers: peers.values,
    ports: ports?.values,
    unsupported: [...strange, ...unknown, ...peers.unsupported, ...(ports?.unsupported ?? [])],
  };
}

function parsePeers(field: Field, side: Side): Understood<NetworkPolicyPeer> {
  const items = field.required().items() ?? [];
  if (items.length === 0) field.fail('must not be empty');
  return together(items.map((peer) => parsePeer(peer, side)));
}

/** Exactly one field of a peer is set; none at all is how an API server shows one it does not know itself. */
function parsePeer(field: Field, side: Side): Understood<NetworkPolicyPeer> {
  const [first, ...more] = field.required().others();
  if (more.length > 0) field.fail('must have exactly one field');
  const namespaces = field.get('namespaces');
  const pods = field.get('pods');
  const networks = field.get('networks');
  if (namespaces.present) {
    const namespaceSelector = parseSelector(namespaces);
    return known({ namespaceSelector, podSelector: undefined, ipBlock: undefined });
  }
  if (pods.present) {
    const unknown = pods.others('namespaceSelector', 'podSelector');
    if (unknown.length > 0) return { values: [], unsupported: unknown.map(pathOf) };
    return known({ ...parsePods(pods), ipBlock: undefined });
  }
  if (networks.present && side === 'to') {
    const items = networks.items() ?? [];
    if (items.length === 0) networks.fail('must not be empty');
    const blocks = items.map((item) => ({ cidr: formatCidr(item.cidr()), except: [] }));
    return known(
      ...blocks.map((ipBlock) => ({ ipBlock, podSelector: undefined, namespaceSelector: undefined })),
    );
  }
  return { values: [], unsupported: [pathOf(first ?? field)] };
}

/**
 * `protocols`, or `ports` as earlier drafts of v1alpha2 have it (portNumber, portRange, namedPort). undefined = everything,
 * protocols without ports included.
 */
function parsePorts(rule: Field): Understood<NetworkPolicyPort> | undefined {
  const protocols = rule.get('protocols');
  const ports = rule.get('ports');
  if (protocols.present && ports.present) ports.fail('cannot stand beside protocols');
  const field = protocols.present ? protocols : ports;
  const items = field.items();
  if (items === undefined) return undefined;
  if (items.length === 0) field.fail('must not be empty');
  return together(items.map(protocols.present ? parseProtocol : parsePort));
}

function parseProtocol(field: Field): Understood<NetworkPolicyPort> {
  const [first, ...more] = field.required().others();
  if (more.length > 0) field.fail('must have exactly one field');
  const named = field.get('destinationNamedPort');
  if (named.present) return known(...everyProtocol(named));
  const protocol = PROTOCOLS.find((candidate) => field.get(candidate.toLowerCase()).present);
  if (protocol === undefined || first === undefined)
    return { values: [], unsupported: [pathOf(first ?? field)] };
  const port = first.get('destinationPort');
  const [number, range] = [port.get('number'), port.get('range')];
  const unknown = [
    ...first.others('destinationPort'),
    ...port.others('number', 'range'),
    ...range.others('start', 'end'),
  ];
  if (unknown.length > 0) return { values: [], unsupported: unknown.map(pathOf) };
  if (number.present && range.present) port.fail('must have exactly one of number and range');
  if (number.present) return known({ protocol, port: number.port(), endPort: undefined });
  if (range.present) return known(parseRange(range, protocol));
  return { values: [], unsupported: [pathOf(port.present ? port : first)] };
}

function parsePort(field: Field): Understood<NetworkPolicyPort> {
  const [first, ...more] = field.required().others();
  if (more.length > 0) field.fail('must have exactly one field');
  const [number, range, named] = [field.get('portNumber'), field.get('portRange'), field.get('namedPort')];
  if (named.present) return known(...everyProtocol(named));
  const unknown = [...number.others('protocol', 'port'), ...range.others('protocol', 'start', 'end')];
  if (unknown.length > 0) return { values: [], unsupported: unknown.map(pathOf) };
  const protocolOf = (part: Field) => part.get('protocol').oneOf(PROTOCOLS, 'TCP');
  if (number.present) {
    return known({ protocol: protocolOf(number), port: number.get('port').port(), endPort: undefined });
  }
  if (range.present) return known(parseRange(range, protocolOf(range)));
  return { values: [], unsupported: [pathOf(first ?? field)] };
}

function parseRange(field: Field, protocol: NetworkPolicyPort['protocol']): NetworkPolicyPort {
  const start = field.get('start').port();
  const end = field.get('end').port();
  return start < end
    ? { protocol, port: start, endPort: end }
    : field.get('end').fail(`must be more than start ${start}`);
}

/** A name stands for the port of any protocol a pod calls by it. */
function everyProtocol(field: Field): readonly NetworkPolicyPort[] {
  const name = field.string();
  if (!isPortName(name)) field.fail('is not a valid port name');
  return PROTOCOLS.map((protocol) => ({ protocol, port: name, endPort: undefined }));
}

function known<T>(...values: readonly T[]): Understood<T> {
  return { values, unsupported: [] };
}

function together<T>(parts: readonly Understood<T>[]): Understood<T> {
  return {
    values: parts.flatMap(({ values }) => values),
    unsupported: parts.flatMap(({ unsupported }) => unsupported),
  };
}

function pathOf({ path }: Field): string {
  return formatPath(path);
}
