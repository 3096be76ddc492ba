/** Nodes that Kubernetes knows by the address of another link than the data plane's. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { Model } from '../model/model.js';
import { parseApiObject } from '../objects/manifest.js';
import { findRoute } from '../ruleset/evaluate.js';
import type { RouteTarget, Ruleset } from '../ruleset/types.js';
import { compile } from './compile.js';
import { apiPod, clusterOf, localOf, NODES, nodeRecord } from './fixture.js';
import { internalAddresses } from './host-addresses.js';
import { DEFAULT_CONFIG } from './input.js';

const POD = apiPod('a', 'x', '10.1.1.2', 'n1');
const SERVICE = {
  apiVersion: 'v1',
  kind: 'Service',
  metadata: { name: 's', namespace: 'x' },
  spec: { type: 'NodePort', clusterIP: '10.96.0.9', ports: [{ port: 80, nodePort: 30080 }] },
};

function node(name: string, ...internal: readonly string[]): Readonly<Record<string, unknown>> {
  const addresses = internal.map((address) => ({ type: 'InternalIP', address }));
  return {
    apiVersion: 'v1',
    kind: 'Node',
    metadata: { name },
    status: { addresses: [...addresses, { type: 'Hostname', address: name }] },
  };
}

/** n1's, where the pod is. */
function rulesetOf(...nodes: readonly unknown[]): Ruleset {
  const { model } = clusterOf(POD, SERVICE, ...nodes);
  const objects = [...model.all('Pod'), ...model.all('Service'), ...model.all('Node')];
  const all = Model.of([...objects, ...NODES.map((record) => nodeRecord(record))]);
  const local = localOf('n1', model.all('Pod'));
  const hostPorts = [{ protocol: 'TCP' as const, hostPort: 8080, containerPort: 80, hostIP: null }];
  const attachments = local.attachments.map((attachment) => ({ ...attachment, hostPorts }));
  return compile(all, { ...local, attachments }, DEFAULT_CONFIG);
}

function way(ruleset: Ruleset, vrf: 'pod' | 'main', address: string): string {
  const target: RouteTarget | undefined = findRoute(ruleset, vrf, address)?.target;
  if (target?.type === 'interface') return target.interface;
  return target?.type === 'tunnel' ? target.tunnel : (target?.type ?? 'none');
}

test('from pods their own node is behind the interconnect and others behind their tunnels, with the pod as source', () => {
  const ruleset = rulesetOf(node('n1', '10.0.0.1'), node('n2', '10.0.0.2'));
  assert.is(way(ruleset, 'pod', '10.0.0.1'), 'interface/host');
  assert.is(way(ruleset, 'main', '10.0.0.1'), 'interface/host');
  assert.is(way(ruleset, 'pod', '10.0.0.2'), 'tunnel/2');
  assert.is(way(ruleset, 'main', '10.0.0.2'), 'interface/uplink');
  assert.is(way(ruleset, 'pod', '10.0.0.3'), 'interface/uplink');
  const host = ruleset.get('interface/host');
  assert.ok(host?.kind === 'interface' && host.peerAddresses.includes('10.0.0.1'));
  assert.not(host.peerAddresses.includes('10.0.0.2'));
  const snat = ruleset.get('snat');
  assert.ok(snat?.kind === 'snat');
  for (const ip of ['10.0.0.1', '10.0.0.2']) assert.ok(snat.exclude.includes(`${ip}/32`), ip);
});

test('NodePorts and host ports are served there too', () => {
  const ruleset = rulesetOf(node('n1', '10.0.0.1'), node('n2', '10.0.0.2'));
  const frontends = [...ruleset.values()].flatMap((item) => (item.kind === 'service' ? item.frontends : []));
  const at = (port: number): readonly string[] =>
    frontends.filter((frontend) => frontend.port === port).map(({ address }) => address);
  assert.equal(at(30080), ['10.0.0.1', '10.0.0.2', '192.168.16.1', '192.168.16.2', '192.168.16.3']);
  assert.equal(at(8080), ['10.0.0.1', '192.168.16.1']);
});

test('an address that is not the node’s alone is not its own', () => {
  const ruleset = rulesetOf(
    node('n1', '10.0.0.1'),
    node('n2', '10.0.0.1', '192.168.16.3', '192.168.16.254', '10.1.3.7', '10.96.0.1', '10.0.0.2'),
    node('n3', '10.0.0.2', '10.0.0.3'),
  );
  assert.is(way(ruleset, 'pod', '10.0.0.1'), 'interface/host', 'the own one first');
  assert.is(way(ruleset, 'pod', '192.168.16.3'), 'tunnel/3', 'an underlay address before all');
  assert.is(way(ruleset, 'pod', '192.168.16.254'), 'interface/uplink');
  assert.is(way(ruleset, 'pod', '10.1.3.7'), 'tunnel/3');
  assert.is(way(ruleset, 'pod', '10.96.0.1'), 'reject');
  assert.is(way(ruleset, 'pod', '10.0.0.2'), 'tunnel/2', 'the lower id');
  assert.is(way(ruleset, 'pod', '10.0.0.3'), 'tunnel/3');
});

test('names, other families and other kinds of addresses are passed over; text is canonical, each once', () => {
  const parsed = parseApiObject({
    ...node('n1', '10.0.0.1', '10.0.0.1', 'fd00::A', 'n1.example'),
  });
  assert.ok(parsed.kind === 'Node');
  assert.equal(internalAddresses(DEFAULT_CONFIG, parsed), ['10.0.0.1']);
  assert.equal(internalAddresses(DEFAULT_CONFIG, undefined), []);
  const external = { ...parsed, status: { addresses: [{ type: 'ExternalIP', address: '198.51.100.1' }] } };
  assert.equal(internalAddresses(DEFAULT_CONFIG, external), []);
});

test('where Kubernetes knows a node by its underlay address, nothing is added', () => {
  const without = rulesetOf();
  const known = rulesetOf(...[1, 2, 3].map((id) => node(`n${id}`, `192.168.16.${id}`)));
  assert.equal([...known.values()], [...without.values()]);
});

test.run();
