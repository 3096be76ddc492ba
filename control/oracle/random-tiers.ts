/** Random ClusterNetworkPolicies, some with parts no implementation knows, which must fail closed. */
import type { Random } from './random.js';
import type { Raw } from './raw.js';

/** What rules are made of; the same names and numbers as the rest of a random cluster. */
export interface Parts {
  readonly selector: (random: Random) => Raw;
  readonly networks: readonly string[];
  readonly portNames: readonly string[];
  readonly ports: readonly number[];
}

/** Priorities are few, so that ties happen. */
export function randomClusterPolicy(random: Random, i: number, parts: Parts): Raw {
  const rules = (side: 'from' | 'to') => random.times(random.below(4), () => randomRule(random, side, parts));
  return {
    apiVersion: 'policy.networking.k8s.io/v1alpha2',
    kind: 'ClusterNetworkPolicy',
    metadata: { name: `cnp${i}` },
    spec: {
      tier: random.pick(['Admin', 'Baseline']),
      priority: random.below(4),
      subject: random.chance(0.5)
        ? { namespaces: parts.selector(random) }
        : { pods: randomPods(random, parts) },
      ...(random.chance(0.8) ? { ingress: rules('from') } : {}),
      ...(random.chance(0.8) ? { egress: rules('to') } : {}),
      ...(random.chance(0.02) ? { schedule: 'nightly' } : {}),
    },
  };
}

function randomPods(random: Random, { selector }: Parts): Raw {
  return { namespaceSelector: selector(random), podSelector: selector(random) };
}

function randomRule(random: Random, side: 'from' | 'to', parts: Parts): Raw {
  const peers = random.times(1 + random.below(3), () => randomPeer(random, side, parts));
  const named = peers.every((peer) => !('networks' in peer));
  return {
    action: random.pick(['Accept', 'Deny', 'Pass']),
    [side]: peers,
    ...(random.chance(0.6)
      ? { protocols: random.times(1 + random.below(3), () => randomProtocol(random, named, parts)) }
      : {}),
    ...(random.chance(0.2) ? { name: 'a-rule' } : {}),
    ...(random.chance(0.03) ? { sourcePorts: [1] } : {}),
  };
}

function randomPeer(random: Random, side: 'from' | 'to', parts: Parts): Raw {
  if (random.chance(0.04)) return random.pick([{ nodes: {} }, { domainNames: ['*.example.org'] }, {}]);
  if (side === 'to' && random.chance(0.35))
    return { networks: random.times(1 + random.below(3), () => random.pick(parts.networks)) };
  return random.chance(0.5)
    ? { namespaces: parts.selector(random) }
    : { pods: { ...randomPods(random, parts), ...(random.chance(0.03) ? { nodeSelector: {} } : {}) } };
}

function randomProtocol(random: Random, named: boolean, { ports, portNames }: Parts): Raw {
  if (named && random.chance(0.3)) return { destinationNamedPort: random.pick(portNames) };
  const protocol = random.pick(['tcp', 'udp', 'sctp']);
  if (random.chance(0.03)) return random.pick([{}, { [protocol]: {} }, { icmp: { type: 8 } }]);
  const number = random.pick(ports);
  const port = random.chance(0.6)
    ? { number }
    : { range: { start: number, end: number + 1 + random.below(1000) } };
  const unknown = random.chance(0.03) ? random.pick([{ portName: 'x' }, { not: true }]) : {};
  return { [protocol]: { destinationPort: { ...port, ...unknown } } };
}
