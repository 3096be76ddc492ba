/** Random rulesets for tests: one pod with policies in both directions, over few addresses and ports, so that things meet often. */
import type { Random } from '../../../oracle/random.js';
import type {
  AddressBlock,
  AddressSetItem,
  EndpointItem,
  Item,
  Key,
  PolicyItem,
  PolicyRule,
  PortRange,
  Ruleset,
} from '../../../ruleset/types.js';

export const POD = { namespace: 'shop', name: 'web' };
export const OWN = ['10.1.1.2', 'fd00:1::2'];
const NODE = ['192.168.16.1', 'fd00:16::1'];
const HOST = '172.30.1.2';
/** Sorted by nobody: addresses inside and outside of the blocks, at their edges, of pods, of the node. */
export const ADDRESSES = [
  ...['10.1.1.3', '10.1.1.4', '10.1.1.5', '10.1.1.66', '10.1.1.127', '10.1.1.128', '10.1.1.255', '10.1.2.2'],
  ...['10.1.2.3', '10.1.255.255', '10.2.0.0', '10.9.9.9', '192.0.2.7', '192.0.2.130', '203.0.113.5'],
  ...['fd00:1::3', 'fd00:1::4', 'fd00:1:0:1::1', 'fd00:1:0:2::2', 'fd00:9::1', '2001:db8::1'],
  ...[...OWN, ...NODE, HOST],
];
export const PORTS = [1, 53, 79, 80, 81, 443, 8080, 8081, 9000, 32768, 65535];
const BLOCKS = [
  ...['0.0.0.0/0', '10.0.0.0/8', '10.1.0.0/16', '10.1.1.0/24', '10.1.1.0/25', '10.1.1.64/26', '10.1.1.4/32'],
  ...[
    '192.0.2.0/24',
    '192.0.2.128/25',
    '::/0',
    'fd00::/16',
    'fd00:1::/32',
    'fd00:1:0:1::/64',
    'fd00:1::3/128',
    'fd00::/12',
    'fd00:1::/31',
    'fd00:1::/51',
  ],
];
const PROTOCOLS = ['TCP', 'UDP', 'SCTP'] as const;
const TIERS = ['admin', 'network', 'baseline'] as const;

export function randomRuleset(random: Random): Ruleset {
  const sets = random.times(random.below(5), (i) => randomSet(random, i));
  const keys = sets.map(({ key }) => key);
  const policies = (['ingress', 'egress'] as const).flatMap((direction) =>
    random.chance(0.85) ? [randomPolicy(random, direction, keys)] : [],
  );
  const keyOf = (direction: PolicyItem['direction']): Key | null =>
    policies.find((policy) => policy.direction === direction)?.key ?? null;
  const endpoint: EndpointItem = {
    ...{ kind: 'endpoint', key: 'endpoint/shop/web', pod: POD, interface: 'interface/pod/shop/web' },
    ...{ ingress: keyOf('ingress'), egress: keyOf('egress') },
  };
  const items: Item[] = [...fixedItems(), ...sets, ...policies, endpoint];
  return new Map(items.map((item) => [item.key, item]));
}

function fixedItems(): Item[] {
  const link = { kind: 'interface', pod: null, mac: '02:00:00:00:00:01', mtu: 1500 } as const;
  return [
    {
      ...{ kind: 'node', key: 'node', name: 'n1', id: 1, addresses: NODE },
      ...{ podSubnets: ['10.1.1.0/24'], podCidrs: ['10.1.0.0/16'] },
    },
    {
      ...{ ...link, key: 'interface/host', role: 'host', link: 'host', peerMac: '02:00:00:00:00:02' },
      ...{ peerAddresses: [HOST, ...NODE], ownAddresses: ['172.30.1.1'] },
    },
    {
      ...{ ...link, key: 'interface/pod/shop/web', role: 'pod', pod: POD, link: 'web' },
      ...{ peerMac: '02:00:00:00:00:03', peerAddresses: OWN, ownAddresses: ['10.1.1.1', 'fd00:1::1'] },
    },
    {
      ...{ kind: 'snat', key: 'snat', addresses: NODE, sources: ['10.1.0.0/16'] },
      ...{ exclude: ['10.1.0.0/16'], hairpin: ['172.30.1.1'] },
    },
  ];
}

export function randomSet(random: Random, i: number): AddressSetItem {
  const addresses = random.chance(0.3) ? [] : ADDRESSES.filter(() => random.chance(0.3));
  const blocks = random.times(random.below(3), (): AddressBlock => {
    const cidr = random.pick(BLOCKS);
    return { cidr, except: random.times(random.below(3), () => random.pick(BLOCKS)) };
  });
  return { kind: 'addressset', key: `addressset/${i}`, addresses: [...addresses].sort(), blocks };
}

function randomPolicy(random: Random, direction: PolicyItem['direction'], sets: readonly Key[]): PolicyItem {
  const origin = { kind: 'NetworkPolicy', namespace: 'shop', name: direction, field: null };
  return {
    kind: 'policy',
    key: `policy/${direction}`,
    direction,
    rules: random.times(random.below(7), (i) => randomRule(random, i, sets)),
    isolatedBy: random.chance(0.6) ? [origin] : [],
  };
}

function randomRule(random: Random, i: number, sets: readonly Key[]): PolicyRule {
  const field = `rules[${i}]`;
  return {
    tier: random.pick(TIERS),
    action: random.pick(['allow', 'allow', 'deny', 'pass']),
    peers: random.chance(0.2) ? null : sets.filter(() => random.chance(0.4)),
    ports: random.chance(0.3) ? null : random.times(random.below(4), () => randomPorts(random)),
    origin: { kind: 'NetworkPolicy', namespace: 'shop', name: 'random', field },
  };
}

function randomPorts(random: Random): PortRange {
  if (random.chance(0.1)) return { protocol: null, from: 0, to: 65535 };
  const protocol = random.pick(PROTOCOLS);
  if (random.chance(0.15)) return { protocol, from: 0, to: 65535 };
  const [a, b] = [random.pick(PORTS), random.chance(0.4) ? random.pick(PORTS) : null];
  return { protocol, from: Math.min(a, b ?? a), to: Math.max(a, b ?? a) };
}
