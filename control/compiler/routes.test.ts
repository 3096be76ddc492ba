/** Addresses, tunnels and routes of a node: who is reached how, from pods and from everybody else. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { Model } from '../model/model.js';
import { DATAPLANE_ANNOTATION } from '../objects/stored-keys.js';
import { findRoute } from '../ruleset/evaluate.js';
import type { Ruleset, Vrf } from '../ruleset/types.js';
import { compile } from './compile.js';
import { UnknownNodeError } from './context.js';
import { apiPod, clusterOf, localOf, NODES, nodeRecord } from './fixture.js';
import { type ClusterConfig, DEFAULT_CONFIG } from './input.js';

const POD = apiPod('a', 'x', '10.1.1.2', 'n1');

function rulesetOf(config: Partial<ClusterConfig> = {}): Ruleset {
  const full = { ...DEFAULT_CONFIG, ...config };
  const model = Model.of([...clusterOf(POD).model.all('Pod'), ...NODES.map((node) => nodeRecord(node))]);
  return compile(model, localOf('n1', model.all('Pod')), full);
}

/** Where a packet goes: an interface (with its next hop), a tunnel, drop or reject. */
function way(ruleset: Ruleset, vrf: Vrf, address: string): string {
  const target = findRoute(ruleset, vrf, address)?.target;
  if (target === undefined) return 'none';
  if (target.type === 'interface')
    return `${target.interface}${target.nextHop === null ? '' : ` ${target.nextHop}`}`;
  return target.type === 'tunnel' ? target.tunnel : target.type;
}

const UPLINK = 'interface/uplink';
const CASES: readonly (readonly [address: string, pod: string, main: string])[] = [
  ['10.1.1.2', 'interface/pod/x/a', 'interface/pod/x/a'],
  ['10.1.1.77', 'drop', 'drop'],
  ['10.1.2.9', 'tunnel/2', 'tunnel/2'],
  ['10.1.200.1', 'drop', 'drop'],
  ['172.30.1.2', 'interface/host', 'interface/host'],
  ['172.30.3.2', 'tunnel/3', 'tunnel/3'],
  ['172.30.99.2', 'drop', 'drop'],
  ['192.168.30.2', 'tunnel/2', 'tunnel/2'],
  ['192.168.30.200', 'drop', 'drop'],
  ['192.168.16.1', 'interface/host', 'interface/host'],
  ['192.168.16.2', 'tunnel/2', UPLINK],
  ['192.168.16.200', UPLINK, UPLINK],
  ['10.100.0.1', 'reject', 'reject'],
  ['8.8.8.8', `${UPLINK} 192.168.16.254`, `${UPLINK} 192.168.16.254`],
];

for (const [address, pod, main] of CASES) {
  test(`the way to ${address}`, () => {
    const ruleset = rulesetOf();
    assert.is(way(ruleset, 'pod', address), pod);
    assert.is(way(ruleset, 'main', address), main);
  });
}

test('an address of every node leads to the own one from pods, and leaves with the pod as source', () => {
  const ruleset = rulesetOf({ hostAddresses: ['169.254.20.10'] });
  for (const vrf of ['pod', 'main'] as const) assert.is(way(ruleset, vrf, '169.254.20.10'), 'interface/host');
  const host = ruleset.get('interface/host');
  assert.ok(host?.kind === 'interface' && host.peerAddresses.includes('169.254.20.10'));
  const snat = ruleset.get('snat');
  assert.ok(snat?.kind === 'snat' && snat.exclude.includes('169.254.20.10/32'));
  assert.is(way(rulesetOf(), 'pod', '169.254.20.10'), `${UPLINK} 192.168.16.254`);
});

test('without a gateway there is no way out, and nothing of the cluster leaks', () => {
  const ruleset = rulesetOf({ defaultGateway: null });
  assert.is(way(ruleset, 'pod', '8.8.8.8'), 'none');
  assert.is(way(ruleset, 'pod', '10.1.200.1'), 'drop');
});

test('node addresses that come from elsewhere are reached by the gateway', () => {
  const ruleset = rulesetOf({ nodeInterconnectCIDR: null, defaultGateway: '172.16.0.1' });
  assert.is(way(ruleset, 'main', '192.168.16.2'), `${UPLINK} 172.16.0.1`);
  assert.is(way(ruleset, 'pod', '192.168.16.2'), 'tunnel/2');
});

test('a tunnel is arithmetic on both ids', () => {
  assert.equal(rulesetOf().get('tunnel/2'), {
    kind: 'tunnel',
    key: 'tunnel/2',
    peer: 'n2',
    vni: 10,
    local: '192.168.16.1',
    remote: '192.168.16.2',
    localMac: '12:2b:00:00:00:01',
    remoteMac: '12:2b:00:00:00:02',
    localBvi: '192.168.30.1',
    remoteBvi: '192.168.30.2',
    mtu: 1450,
  });
});

test('a peer without an address, or with an id that is taken, gets no tunnel and breaks nothing', () => {
  const config = { ...DEFAULT_CONFIG, nodeInterconnectCIDR: null };
  const lost = { ...nodeRecord({ name: 'lost', id: 7 }), addresses: [] };
  const twin = nodeRecord({ name: 'twin', id: 1 });
  const far = {
    ...lost,
    metadata: { ...lost.metadata, name: 'far' },
    id: 100000,
    addresses: ['192.168.16.9'],
  };
  const model = Model.of([nodeRecord({ name: 'n1', id: 1 }), lost, twin, far]);
  const ruleset = compile(model, localOf('n1', []), config);
  assert.equal(
    [...ruleset.keys()].filter((key) => key.startsWith('tunnel/')),
    [],
  );
  assert.is(way(ruleset, 'pod', '10.1.7.2'), 'drop');
});

test('interfaces: a pod may use its own addresses, its packets fit a tunnel', () => {
  const ruleset = rulesetOf();
  const pod = ruleset.get('interface/pod/x/a');
  assert.equal(pod?.kind === 'interface' && [pod.peerAddresses, pod.ownAddresses, pod.mtu], [
    ['10.1.1.2'],
    ['10.1.1.1'],
    1450,
  ]);
  const host = ruleset.get('interface/host');
  assert.equal(host?.kind === 'interface' && [host.peerAddresses, host.ownAddresses, host.mtu], [
    ['172.30.1.2', '192.168.16.1'],
    ['172.30.1.1'],
    1500,
  ]);
});

test('SNAT covers pods and spares the cluster; off, it still has the hairpin address', () => {
  const snat = rulesetOf().get('snat');
  assert.equal(snat?.kind === 'snat' && [snat.addresses, snat.sources, snat.hairpin], [
    ['192.168.16.1'],
    ['10.1.0.0/16'],
    ['10.1.1.254'],
  ]);
  assert.ok(
    snat?.kind === 'snat' && snat.exclude.includes('192.168.16.3/32') && snat.exclude.includes('10.1.0.0/16'),
  );
  const off = rulesetOf({ natExternalTraffic: false }).get('snat');
  assert.equal(off?.kind === 'snat' && [off.sources, off.hairpin], [[], ['10.1.1.254']]);
});

test('a node without a record has no ruleset', () => {
  assert.throws(
    () => compile(Model.of([]), localOf('n1', []), DEFAULT_CONFIG),
    (error: unknown) => error instanceof UnknownNodeError && error.retryable,
  );
});

test('clients outside come to a node on VPP in the name of the node that led them there', () => {
  const onVpp = nodeRecord({ name: 'n2', id: 2 });
  const annotations = { [DATAPLANE_ANNOTATION]: 'vpp' };
  const model = Model.of([
    ...[1, 3].map((id) => nodeRecord({ name: `n${id}`, id })),
    { ...onVpp, metadata: { ...onVpp.metadata, annotations } },
  ]);
  const ruleset = compile(model, localOf('n1', []), DEFAULT_CONFIG);
  const hides = [2, 3].map((id) => {
    const tunnel = ruleset.get(`tunnel/${id}`);
    return tunnel?.kind === 'tunnel' && tunnel.hidesClients === true;
  });
  assert.equal(hides, [true, false]);
});

test.run();
