/**
 * Random clusters for property tests, as raw API objects: few names and numbers, so that things meet often. They hold what is easy
 * to get wrong: absent label keys, namespaces without an object, port names that differ by pod, overlapping blocks, ended pods
 * whose address another pod has by now, host-network pods, two families, tiers with equal priorities and unknown parts. Addresses are those of the default configuration.
 */

import type { Random } from './random.js';
import { randomClusterPolicy } from './random-tiers.js';
import type { Raw } from './raw.js';

export interface RandomCluster {
  readonly objects: readonly Raw[];
  readonly nodes: readonly { readonly name: string; readonly id: number; readonly address: string }[];
  /** Addresses worth asking about: pods, nodes, and strangers inside and outside the blocks. */
  readonly addresses: readonly string[];
}

const NAMESPACES = ['a', 'b', 'c', 'kube-system'];
const KEYS = ['app', 'tier', 'env'];
const VALUES = ['x', 'y', 'z'];
const PORT_NAMES = ['http', 'dns', 'admin'];
export const PORTS = [53, 80, 81, 443, 8080, 8081, 9000];
export const PROTOCOLS = ['TCP', 'UDP', 'SCTP'] as const;
const BLOCKS = [
  '0.0.0.0/0',
  '10.0.0.0/8',
  '10.1.1.0/24',
  '10.1.0.0/16',
  '192.0.2.0/24',
  '::/0',
  'fd00:1::/32',
  'fd00:1:1::/48',
];
const EXCEPTS = [
  '10.1.1.0/28',
  '10.1.2.0/24',
  '10.1.1.2/32',
  '192.0.2.128/25',
  'fd00:1:1::/64',
  'fd00:1:2::2/128',
];
const STRANGERS = [
  '192.0.2.7',
  '192.0.2.200',
  '10.9.9.9',
  '10.1.1.99',
  'fd00:1:1::99',
  'fd00:9::1',
  '203.0.113.5',
];

const PARTS = { selector: randomSelector, networks: BLOCKS, portNames: PORT_NAMES, ports: PORTS };

export function randomCluster(random: Random): RandomCluster {
  const nodes = [1, 2, 3].map((id) => ({
    name: `n${id}`,
    id,
    address: `192.168.16.${id}`,
  }));
  const used = new Map<string, number>();
  const pods = random.times(6 + random.below(10), (i) => randomPod(random, i, random.pick(nodes), used));
  const ghosts = pods.filter(() => random.chance(0.2)).map((pod, i) => randomGhost(random, pod, i));
  const namespaces = NAMESPACES.filter(() => random.chance(0.8)).map((name) => ({
    apiVersion: 'v1',
    kind: 'Namespace',
    metadata: { name, labels: randomLabels(random) },
  }));
  const policies = random.times(random.below(9), (i) => randomPolicy(random, i));
  const tiers = random.times(random.below(5), (i) => randomClusterPolicy(random, i, PARTS));
  const nodeObjects = nodes.map(({ name, address }) => ({
    apiVersion: 'v1',
    kind: 'Node',
    metadata: { name },
    status: { addresses: [{ type: 'InternalIP', address }] },
  }));
  const ips = pods.flatMap((pod) => (pod.status.podIPs ?? []).map(({ ip }) => ip));
  return {
    objects: [...namespaces, ...ghosts, ...pods, ...policies, ...tiers, ...nodeObjects],
    nodes,
    addresses: [...new Set([...ips, ...ips, ...nodes.map(({ address }) => address), ...STRANGERS])],
  };
}

function randomLabels(random: Random): Record<string, string> {
  return Object.fromEntries(KEYS.filter(() => random.chance(0.6)).map((key) => [key, random.pick(VALUES)]));
}

function randomPod(
  random: Random,
  i: number,
  node: RandomCluster['nodes'][number],
  used: Map<string, number>,
) {
  const hostNetwork = random.chance(0.1);
  const offset = (used.get(node.name) ?? 1) + 1;
  used.set(node.name, offset);
  const own = [`10.1.${node.id}.${offset}`, ...(random.chance(0.4) ? [`fd00:1:${node.id}::${offset}`] : [])];
  const ips = hostNetwork ? [node.address] : own;
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name: `p${i}`, namespace: random.pick(NAMESPACES), labels: randomLabels(random) },
    spec: {
      nodeName: node.name,
      ...(hostNetwork ? { hostNetwork } : {}),
      containers: random.times(1 + random.below(2), (c) => ({
        name: `c${c}`,
        ports: randomPodPorts(random),
      })),
    },
    status: { phase: random.pick(['Running', 'Pending']), podIPs: ips.map((ip) => ({ ip })) },
  };
}

function randomPodPorts(random: Random): Raw[] {
  return random.times(random.below(3), () => ({
    ...(random.chance(0.7) ? { name: random.pick(PORT_NAMES) } : {}),
    containerPort: random.pick(PORTS),
    ...(random.chance(0.5) ? { protocol: random.pick(PROTOCOLS) } : {}),
  }));
}

/** A pod that has ended, with the address of one that lives. */
function randomGhost(random: Random, pod: ReturnType<typeof randomPod>, i: number): Raw {
  return {
    ...pod,
    metadata: { name: `ghost${i}`, namespace: random.pick(NAMESPACES), labels: randomLabels(random) },
    status: { ...pod.status, phase: random.pick(['Succeeded', 'Failed']) },
  };
}

export function randomSelector(random: Random): Raw {
  if (random.chance(0.25)) return {};
  const expressions = random.times(random.below(3), () => {
    const operator = random.pick(['In', 'NotIn', 'Exists', 'DoesNotExist']);
    const values = operator.endsWith('In')
      ? { values: VALUES.slice(random.below(2), 1 + random.below(2) + 1) }
      : {};
    return { key: random.pick(KEYS), operator, ...values };
  });
  return {
    ...(random.chance(0.6) ? { matchLabels: { [random.pick(KEYS)]: random.pick(VALUES) } } : {}),
    ...(random.chance(0.5) ? { matchExpressions: expressions } : {}),
  };
}

function randomPeer(random: Random): Raw {
  if (random.chance(0.35)) return { ipBlock: randomBlock(random) };
  if (random.chance(0.2)) {
    return { namespaceSelector: { matchLabels: { 'kubernetes.io/metadata.name': random.pick(NAMESPACES) } } };
  }
  const which = random.below(3);
  return {
    ...(which !== 1 ? { podSelector: randomSelector(random) } : {}),
    ...(which !== 0 ? { namespaceSelector: randomSelector(random) } : {}),
  };
}

function randomBlock(random: Random): Raw {
  const cidr = random.pick(BLOCKS);
  const length = Number(cidr.split('/')[1]);
  const start =
    length === 0
      ? ''
      : cidr
          .split(/[.:]/)
          .slice(0, Math.max(1, length / (cidr.includes(':') ? 16 : 8)))
          .join(cidr.includes(':') ? ':' : '.');
  const inside = EXCEPTS.filter(
    (e) => e.includes(':') === cidr.includes(':') && Number(e.split('/')[1]) > length && e.startsWith(start),
  );
  return random.chance(0.5) ? { cidr, except: inside.filter(() => random.chance(0.5)) } : { cidr };
}

function randomPort(random: Random): Raw {
  const protocol = random.chance(0.6) ? { protocol: random.pick(PROTOCOLS) } : {};
  if (random.chance(0.15)) return protocol;
  if (random.chance(0.4)) return { ...protocol, port: random.pick(PORT_NAMES) };
  const port = random.pick(PORTS);
  return { ...protocol, port, ...(random.chance(0.3) ? { endPort: port + random.below(1000) } : {}) };
}

function randomRule(random: Random, side: 'from' | 'to'): Raw {
  return {
    ...(random.chance(0.8) ? { [side]: random.times(random.below(4), () => randomPeer(random)) } : {}),
    ...(random.chance(0.7) ? { ports: random.times(random.below(4), () => randomPort(random)) } : {}),
  };
}

function randomPolicy(random: Random, i: number): Raw {
  const types = random.pick([undefined, [], ['Ingress'], ['Egress'], ['Ingress', 'Egress']]);
  return {
    apiVersion: 'networking.k8s.io/v1',
    kind: 'NetworkPolicy',
    metadata: { name: `np${i}`, namespace: random.pick(NAMESPACES) },
    spec: {
      podSelector: randomSelector(random),
      ...(types === undefined ? {} : { policyTypes: types }),
      ...(random.chance(0.7)
        ? { ingress: random.times(random.below(3), () => randomRule(random, 'from')) }
        : {}),
      ...(random.chance(0.6)
        ? { egress: random.times(random.below(3), () => randomRule(random, 'to')) }
        : {}),
    },
  };
}
