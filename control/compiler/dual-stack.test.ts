/** A dual-stack cluster: what the first family has, the second has too, by the same arithmetic. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { Model } from '../model/model.js';
import { parseApiObject } from '../objects/manifest.js';
import { findRoute } from '../ruleset/evaluate.js';
import type { Ruleset, Vrf } from '../ruleset/types.js';
import { compile } from './compile.js';
import { apiPod, localOf, NODES, nodeRecord } from './fixture.js';
import { type ClusterConfig, DEFAULT_CONFIG, DEFAULT_IPV6 } from './input.js';

const DUAL: ClusterConfig = { ...DEFAULT_CONFIG, ipv6: DEFAULT_IPV6 };

function rulesetOf(config: ClusterConfig): Ruleset {
  const pod = apiPod('a', 'x', '10.1.1.2', 'n1');
  const status = { phase: 'Running', podIPs: [{ ip: '10.1.1.2' }, { ip: 'fd00:10:1:1::2' }] };
  const objects = [parseApiObject({ ...pod, status })];
  const records = NODES.map((node) => ({ ...nodeRecord(node, config), addresses: [] }));
  const model = Model.of([...objects, ...records]);
  return compile(model, localOf('n1', model.all('Pod')), config);
}

function way(ruleset: Ruleset, vrf: Vrf, address: string): string {
  const target = findRoute(ruleset, vrf, address)?.target;
  if (target?.type === 'interface') return `${target.interface} ${target.nextHop ?? ''}`.trim();
  return target?.type === 'tunnel' ? target.tunnel : (target?.type ?? 'none');
}

const UPLINK = 'interface/uplink';
const CASES: readonly (readonly [address: string, pod: string, main: string])[] = [
  ['fd00:10:1:1::2', 'interface/pod/x/a', 'interface/pod/x/a'],
  ['fd00:10:1:1::77', 'drop', 'drop'],
  ['fd00:10:1:2::9', 'tunnel/2', 'tunnel/2'],
  ['fd00:10:1:c8::1', 'drop', 'drop'],
  ['fd00:172:30:1::2', 'interface/host', 'interface/host'],
  ['fd00:172:30:3::2', 'tunnel/3', 'tunnel/3'],
  ['fd00:192:168:30::2', 'tunnel/2', 'tunnel/2'],
  ['fd00:192:168:30::c8', 'drop', 'drop'],
  ['fd00:192:168:16::1', 'interface/host', 'interface/host'],
  ['fd00:192:168:16::2', 'tunnel/2', UPLINK],
  ['fd00:10:96::1', 'reject', 'reject'],
  ['2001:db8::1', `${UPLINK} fd00:192:168:16::fffe`, `${UPLINK} fd00:192:168:16::fffe`],
  ['10.1.2.9', 'tunnel/2', 'tunnel/2'],
  ['192.168.16.2', 'tunnel/2', UPLINK],
];

for (const [address, pod, main] of CASES) {
  test(`the routes to ${address} are ${pod} for pods and ${main} for the host`, () => {
    const ruleset = rulesetOf(DUAL);
    assert.is(way(ruleset, 'pod', address), pod);
    assert.is(way(ruleset, 'main', address), main);
  });
}

test('interfaces, node, SNAT and tunnels name both families', () => {
  const ruleset = rulesetOf(DUAL);
  const node = ruleset.get('node');
  assert.equal(node?.kind === 'node' && [node.addresses, node.podSubnets, node.podCidrs], [
    ['192.168.16.1', 'fd00:192:168:16::1'],
    ['10.1.1.0/24', 'fd00:10:1:1::/64'],
    ['10.1.0.0/16', 'fd00:10:1::/48'],
  ]);
  const pod = ruleset.get('interface/pod/x/a');
  assert.equal(pod?.kind === 'interface' && [pod.peerAddresses, pod.ownAddresses], [
    ['10.1.1.2', 'fd00:10:1:1::2'],
    ['10.1.1.1', 'fd00:10:1:1::1'],
  ]);
  const host = ruleset.get('interface/host');
  assert.equal(host?.kind === 'interface' && host.ownAddresses, ['172.30.1.1', 'fd00:172:30:1::1']);
  const snat = ruleset.get('snat');
  assert.equal(snat?.kind === 'snat' && [snat.addresses, snat.sources, snat.hairpin], [
    ['192.168.16.1', 'fd00:192:168:16::1'],
    ['10.1.0.0/16', 'fd00:10:1::/48'],
    ['10.1.1.254', 'fd00:10:1:1:7fff:ffff:ffff:fffe'],
  ]);
  assert.ok(snat?.kind === 'snat' && snat.exclude.includes('fd00:10:96::/112'));
  const tunnel = ruleset.get('tunnel/2');
  assert.equal(tunnel?.kind === 'tunnel' && [tunnel.remote, tunnel.localBvi6, tunnel.remoteBvi6], [
    '192.168.16.2',
    'fd00:192:168:30::1',
    'fd00:192:168:30::2',
  ]);
});

test('a cluster of one family says nothing of the other', () => {
  const ruleset = rulesetOf(DEFAULT_CONFIG);
  const texts = [...ruleset.values()]
    .filter(({ kind }) => kind !== 'interface')
    .map((i) => JSON.stringify(i));
  // The pod's record names an IPv6 address of its own; nothing else does.
  const six = texts.filter((text) => text.includes('fd00:') && !text.includes('fd00:10:1:1::2'));
  assert.equal(six, []);
});

test.run();
