import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { applyChanges, diffRulesets } from '../ruleset/diff.js';
import type { AddressSetItem, EndpointItem, Item, PolicyItem, Ruleset } from '../ruleset/types.js';
import { references, withoutRefused } from './partial.js';

const set = (name: string, ...addresses: string[]): AddressSetItem => {
  return { kind: 'addressset', key: `addressset/${name}`, addresses, blocks: [] };
};
const policy = (name: string, ...peers: string[]): PolicyItem => ({
  kind: 'policy',
  key: `policy/${name}`,
  direction: 'ingress',
  rules: peers.map((peer) => ({
    tier: 'network',
    action: 'allow',
    peers: [`addressset/${peer}`],
    ports: null,
    origin: { kind: 'NetworkPolicy', namespace: 'a', name, field: null },
  })),
  isolatedBy: [],
});
const endpoint = (name: string, ingress: string | null): EndpointItem => ({
  kind: 'endpoint',
  key: `endpoint/a/${name}`,
  pod: { namespace: 'a', name },
  interface: 'interface/pod/a/x',
  ingress: ingress === null ? null : `policy/${ingress}`,
  egress: null,
});
const iface: Item = {
  kind: 'interface',
  key: 'interface/pod/a/x',
  role: 'pod',
  pod: { namespace: 'a', name: 'x' },
  link: 'pt0',
  mac: '02:fe:00:00:00:01',
  peerMac: '02:fe:00:00:00:02',
  peerAddresses: ['10.1.1.2'],
  ownAddresses: ['10.1.1.1'],
  mtu: 1450,
};
const rules = (...items: Item[]): Ruleset => new Map([iface, ...items].map((item) => [item.key, item]));

test('a refused set takes the policy and the endpoint that need it along; the old ones stay whole', () => {
  const old = rules(set('1'), policy('p1', '1'), endpoint('x', 'p1'));
  const wanted = rules(set('2'), policy('p2', '2'), endpoint('x', 'p2'), endpoint('y', null));
  const kept = withoutRefused(old, diffRulesets(old, wanted), new Set(['addressset/2']));
  assert.equal(
    kept.map((c) => `${c.type} ${c.key}`),
    ['add endpoint/a/y'],
  );
  const after = applyChanges(old, kept);
  for (const item of after.values()) for (const key of references(item)) assert.ok(after.has(key));
});

test('a pod whose policy is refused is not wired: it would be open', () => {
  const old: Ruleset = new Map();
  const route: Item = {
    kind: 'route',
    key: 'route/pod/10.1.1.2/32',
    vrf: 'pod',
    prefix: '10.1.1.2/32',
    target: { type: 'interface', interface: iface.key, nextHop: null },
  };
  const wanted = rules(set('1'), policy('p1', '1'), endpoint('x', 'p1'), route);
  const kept = withoutRefused(old, diffRulesets(old, wanted), new Set(['policy/p1']));
  assert.equal(
    kept.map((c) => c.key),
    ['addressset/1'],
  );
  // One that is wired keeps what judges it.
  const gone = withoutRefused(wanted, diffRulesets(wanted, old), new Set([iface.key]));
  assert.not(gone.some(({ key }) => key === 'endpoint/a/x' || key === 'policy/p1'));
});

test('a refused removal keeps what the item refers to', () => {
  const old = rules(set('1'), policy('p1', '1'), endpoint('x', 'p1'));
  const wanted = rules();
  const kept = withoutRefused(old, diffRulesets(old, wanted), new Set(['endpoint/a/x']));
  assert.equal(kept, []);
});

test('nothing refused: nothing left out', () => {
  const old = rules(set('1'), policy('p1', '1'), endpoint('x', 'p1'));
  const wanted = rules(set('2'), policy('p2', '2'), endpoint('x', 'p2'));
  const changes = diffRulesets(old, wanted);
  assert.equal(withoutRefused(old, changes, new Set()), changes);
});

test.run();
