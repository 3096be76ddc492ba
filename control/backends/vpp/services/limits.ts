/**
 * What services on VPP do otherwise than on our own data plane: one entry each, for whoever connects, whoever asks `--preflight`, whoever
 * wants to know why an object does less than it says, and for the tests. docs/vpp-services.md says more. Pure.
 */
import { cidrContains, type ParsedCidr, parseCidr } from '../../../common/ip.js';
import type { Item, NodeItem, ServiceBackend, ServiceItem } from '../../../ruleset/types.js';
import type { VppApi } from '../api/api.js';
import { familyOf } from '../links/specs.js';
import type { VppOptions } from '../objects/types.js';
import { hasFlows } from './cnat-version.js';

/** What decides which limits there are. */
export interface LimitFacts {
  /** Of the VPP at hand, or of its API files. */
  readonly api: Pick<VppApi, 'has'>;
  readonly options: Pick<VppOptions, 'services'>;
}

export interface Limit {
  readonly name: string;
  /** What is not as one would expect. */
  readonly what: string;
  /** What is seen instead. */
  readonly instead: string;
  /** Which of VPP's properties it comes from. */
  readonly why: string;
  /** Whether it is so with this VPP and these options. */
  holds(facts: LimitFacts): boolean;
  /** Whether a service asks for more than it gets; absent: it is Kubernetes' way as well, or no object asks for it. */
  readonly concerns?: (service: ServiceItem, node: NodeItem | null) => boolean;
  /** A service that it concerns is refused, with an error that has this in it. */
  readonly refused?: string;
}

/** A service's addresses are of one family. */
const isIp6 = ({ frontends }: ServiceItem): boolean =>
  frontends.some(({ address }) => familyOf(address) === 6);
const always = (): boolean => true;
const withoutFlows = ({ api }: LimitFacts): boolean => !hasFlows(api);
const onNat44 = ({ options }: LimitFacts): boolean => options.services === 'nat44';

const NO_AFFINITY = "this release's CNAT chooses a backend by addresses and ports alone";
const NO_INCOMING = "this release's CNAT knows no connections but those that it has translated";

const LIMITS = [
  {
    name: 'affinity',
    what: 'session affinity over IPv4',
    instead: 'a Service that asks for it is refused; NAT44 has it',
    why: NO_AFFINITY,
    holds: (facts) => withoutFlows(facts) && !onNat44(facts),
    concerns: (service) => service.affinitySeconds !== null && !isIp6(service),
    refused: 'no session affinity',
  },
  {
    name: 'affinity6',
    what: 'session affinity over IPv6',
    instead: 'a Service that asks for it is refused',
    why: NO_AFFINITY,
    holds: withoutFlows,
    concerns: (service) => service.affinitySeconds !== null && isIp6(service),
    refused: 'no session affinity',
  },
  {
    name: 'maglev',
    what: 'consistent hashing',
    instead: 'an IPv4 Service that asks for it is refused',
    why: 'NAT44-ED chooses by shares',
    holds: onNat44,
    concerns: (service) => service.algorithm === 'maglev' && !isIp6(service),
    refused: 'no consistent hashing',
  },
  {
    name: 'sctp',
    what: 'SCTP to Services over IPv4',
    instead: 'a Service that asks for it is refused',
    why: 'NAT44-ED does not translate it',
    holds: onNat44,
    concerns: (service) => service.protocol === 'SCTP' && !isIp6(service),
    refused: 'does not translate SCTP',
  },
  {
    name: 'sctp6',
    what: 'SCTP to Services over IPv6',
    instead: 'a Service that asks for it is refused',
    why: 'CNAT does not translate it',
    holds: always,
    concerns: (service) => service.protocol === 'SCTP' && isIp6(service),
    refused: 'does not translate SCTP',
  },
  {
    name: 'outside-pods',
    what: 'connections over IPv4 from outside straight to the address of a pod',
    instead:
      "the pod's answers carry the node's address, and are lost; through Services they come, and with NAT44",
    why: NO_INCOMING,
    holds: (facts) => withoutFlows(facts) && !onNat44(facts),
  },
  {
    name: 'outside-pods6',
    what: 'connections over IPv6 from outside straight to the address of a pod',
    instead: "the pod's answers carry the node's address, and are lost; through Services they come",
    why: NO_INCOMING,
    holds: withoutFlows,
  },
  {
    name: 'inside-ranges',
    what: 'source ranges for clients inside',
    instead:
      'those who come by the uplink are asked for their address; pods and hosts of the cluster are let in',
    why: 'nothing that looks at destinations stands before CNAT at an interface, and behind it the address asked for is gone',
    holds: always,
    concerns: ({ scope, sourceRanges, frontends }, node) =>
      scope === 'external' && sourceRanges !== null && !coverPods(sourceRanges, frontends, node),
  },
  {
    name: 'outside-backends',
    what: 'other backends for clients outside than for those inside',
    instead: 'everyone is led to those of the clients outside',
    why: 'a translation is found by address, port and protocol, not by interface',
    holds: always,
    concerns: ({ backends, outsideBackends }) =>
      outsideBackends !== null && outsideBackends.length > 0 && !samePlaces(backends, outsideBackends),
  },
  {
    name: 'client-address',
    what: 'the address of clients outside at pods of another node',
    instead: 'they come in the name of the node they entered at, as with kube-proxy',
    why: "that node's answer would leave by its own uplink, where nobody knows of the translation",
    holds: always,
  },
  {
    name: 'pod-address',
    what: "the address of pods that ask for a node port of a pod's on another node",
    instead: 'they come in the name of their node, as with kube-proxy',
    why: 'NAT44-ED does not ask who the client is',
    holds: onNat44,
  },
  {
    name: 'service-counts',
    what: 'counters of connections to Services over IPv4',
    instead: 'they are left out; those of policies and interfaces are there',
    why: 'NAT44-ED counts sessions, not whose they are',
    holds: onNat44,
  },
  {
    name: 'apart-counts',
    what: 'reasons of their own for each fault of a packet from a pod',
    instead: "an address that nobody may use as a source counts as one that is not the pod's",
    why: 'the check of sources comes first and has one counter',
    holds: always,
  },
] as const satisfies readonly Limit[];

export type LimitName = (typeof LIMITS)[number]['name'];

/** In the order of the documentation. */
export function limitsOf(facts: LimitFacts): readonly (Limit & { readonly name: LimitName })[] {
  return LIMITS.filter((limit) => limit.holds(facts));
}

/** What an item in force does less than it says, a sentence for each; items that are refused are not in force. */
export function shortfallsOf(item: Item, node: Item | undefined, facts: LimitFacts): readonly string[] {
  if (item.kind !== 'service') return [];
  const self = node?.kind === 'node' ? node : null;
  return limitsOf(facts)
    .filter(({ concerns, refused }) => refused === undefined && concerns?.(item, self) === true)
    .map(sentence);
}

export const sentence = ({ what, instead }: Pick<Limit, 'what' | 'instead'>): string => `${what}: ${instead}`;

/** Then no pod would be kept out. */
function coverPods(
  ranges: readonly string[],
  [frontend]: ServiceItem['frontends'],
  node: NodeItem | null,
): boolean {
  if (node === null || frontend === undefined) return false;
  const family = familyOf(frontend.address);
  const wide = ranges.map(parseCidr);
  const within = (cidr: ParsedCidr): boolean =>
    wide.some((range) => range.length <= cidr.length && cidrContains(range, cidr));
  return node.podCidrs
    .map(parseCidr)
    .filter((cidr) => cidr.family === family)
    .every(within);
}

function samePlaces(some: readonly ServiceBackend[], others: readonly ServiceBackend[]): boolean {
  const places = (backends: readonly ServiceBackend[]): string =>
    [...new Set(backends.map(({ address, port }) => `${address} ${port}`))].sort().join();
  return places(some) === places(others);
}
