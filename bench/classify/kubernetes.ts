/**
 * Rules of Kubernetes shape: pods of a node, two to a policy; a policy lets eight kinds of peers (eight pods each) to two ports each.
 * Once as the ruleset that the compiler makes for it, once as the access list that says the same, a rule for each pair of addresses
 * and port.
 */
import type {
  AddressSetItem,
  EndpointItem,
  InterfaceItem,
  Item,
  PolicyItem,
  PolicyRule,
  RouteItem,
} from '../../control/ruleset/types.js';
import { type Random, seeded } from './random.js';
import { type AccessList, ANY_PORT, HEADER_WORDS, packRules, RULE_WORDS, type RuleSpec } from './rules.js';

/** Pods that share an identity, pods that share a policy, ports that a peer may call. */
const SOURCES = 8;
const TARGETS = 2;
const PORTS = 2;
/** Peers of a policy, and kinds of peers there are. */
const PEERS = 8;
const KINDS = 400;
const TCP = 6;
const RULES_OF_PAIR = SOURCES * TARGETS * PORTS;

export interface KubernetesShape {
  readonly list: AccessList;
  /** Pods of the node and their routes: there whatever the rules are. */
  readonly pods: readonly Item[];
  /** Address sets, policies and which pod has which. */
  readonly policies: readonly Item[];
}

interface Judged {
  readonly policy: number;
  readonly kind: number;
  readonly port: number;
}

export const sourceOf = (kind: number, pod: number): string =>
  `10.64.${kind >> 4}.${(kind & 15) * SOURCES + pod + 1}`;
const targetOf = (policy: number, pod: number): string =>
  `10.1.${policy >> 6}.${(policy & 63) * TARGETS + pod + 1}`;
const hostOrder = (address: string): number => Buffer.from(address.split('.').map(Number)).readUInt32BE();

/** `size` rules as an access list needs them, rounded to whole pairs of policy and peer. */
export function kubernetesShape(size: number, headers: number): KubernetesShape {
  const random = seeded(size);
  const pairs = Math.max(1, Math.round(size / RULES_OF_PAIR));
  const policies = Math.ceil(pairs / PEERS);
  const start = Array.from({ length: policies }, () => random.below(KINDS));
  const judged = Array.from({ length: pairs }, (_, i): Judged => {
    const policy = Math.floor(i / PEERS);
    return {
      policy,
      kind: ((start[policy] ?? 0) + (i % PEERS) * 37) % KINDS,
      port: 1 + random.below(200) * 300,
    };
  });
  const rules = judged.flatMap(rulesOf);
  const packed = packRules(rules);
  return {
    list: { name: 'Kubernetes', rules: packed, headers: headersOf(random, packed, headers) },
    pods: Array.from({ length: policies * TARGETS }, (_, i) => podItems(i)).flat(),
    policies: [...setItems(judged), ...policyItems(judged), ...endpointItems(policies)],
  };
}

function rulesOf({ policy, kind, port }: Judged): RuleSpec[] {
  return Array.from({ length: RULES_OF_PAIR }, (_, i) => {
    const to = port + (i & 1) * 100;
    return {
      ...{ src: hostOrder(sourceOf(kind, (i >> 1) % SOURCES)), srcLength: 32 },
      ...{ dst: hostOrder(targetOf(policy, i >> 4)), dstLength: 32 },
      ...{ srcPorts: ANY_PORT, dstPorts: (to | (to << 16)) >>> 0, protocol: TCP },
    };
  });
}

/** Eight of ten meet a rule; the others take the destination of another one. No locality. */
function headersOf(random: Random, rules: Uint32Array, count: number): Uint32Array {
  const words = new Uint32Array(count * HEADER_WORDS);
  const total = rules.length / RULE_WORDS;
  for (let i = 0; i < count; i++) {
    const rule = random.below(total) * RULE_WORDS;
    const other = random.below(10) < 8 ? rule : random.below(total) * RULE_WORDS;
    const to = (rules[rule + 5] ?? 0) & 0xffff;
    const from = 32768 + random.below(28000);
    words.set([rules[rule] ?? 0, rules[other + 2] ?? 0, (from | (to << 16)) >>> 0, TCP], i * HEADER_WORDS);
  }
  return words;
}

const podName = (i: number) => `pod-${i}`;
const interfaceOf = (i: number) => `interface/pod/shop/${podName(i)}`;
const placeOf = (i: number) => targetOf(Math.floor(i / TARGETS), i % TARGETS);

function podItems(i: number): Item[] {
  const link: InterfaceItem = {
    ...{ kind: 'interface', key: interfaceOf(i), role: 'pod', pod: { namespace: 'shop', name: podName(i) } },
    ...{ link: `p${i}`, mac: '02:00:00:00:01:01', peerMac: '02:00:00:00:01:02', mtu: 1500 },
    ...{ peerAddresses: [placeOf(i)], ownAddresses: ['10.1.0.1'] },
  };
  const prefix = `${placeOf(i)}/32`;
  const route: RouteItem = {
    ...{ kind: 'route', key: `route/pod/${prefix}`, vrf: 'pod', prefix },
    target: { type: 'interface', interface: link.key, nextHop: null },
  };
  return [link, route];
}

export function setOf(kind: number, addresses: readonly string[]): AddressSetItem {
  return { kind: 'addressset', key: `addressset/${kind}`, addresses: [...addresses].sort(), blocks: [] };
}

export function membersOf(kind: number): string[] {
  return Array.from({ length: SOURCES }, (_, pod) => sourceOf(kind, pod));
}

function setItems(judged: readonly Judged[]): AddressSetItem[] {
  return [...new Set(judged.map(({ kind }) => kind))].map((kind) => setOf(kind, membersOf(kind)));
}

function policyItems(judged: readonly Judged[]): PolicyItem[] {
  const origin = (policy: number, field: string | null) => {
    return { kind: 'NetworkPolicy', namespace: 'shop', name: `policy-${policy}`, field };
  };
  const rulesOf = new Map<number, PolicyRule[]>();
  for (const { policy, kind, port } of judged) {
    const rules = rulesOf.get(policy) ?? [];
    rules.push({
      ...{ tier: 'network', action: 'allow', peers: [`addressset/${kind}`] },
      ports: [port, port + 100].map((from) => ({ protocol: 'TCP', from, to: from })),
      origin: origin(policy, `spec.ingress[${rules.length}]`),
    });
    rulesOf.set(policy, rules);
  }
  return [...rulesOf].map(([policy, rules]) => {
    const isolatedBy = [origin(policy, null)];
    return { kind: 'policy', key: `policy/${policy}`, direction: 'ingress', rules, isolatedBy };
  });
}

function endpointItems(policies: number): EndpointItem[] {
  return Array.from({ length: policies * TARGETS }, (_, i) => ({
    ...{ kind: 'endpoint', key: `endpoint/shop/${podName(i)}`, pod: { namespace: 'shop', name: podName(i) } },
    ...{ interface: interfaceOf(i), ingress: `policy/${Math.floor(i / TARGETS)}`, egress: null },
  }));
}
