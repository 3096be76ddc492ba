import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { findService } from '../ruleset/evaluate.js';
import type { Ruleset, ServiceItem } from '../ruleset/types.js';
import { clusterOf } from './fixture.js';

interface TestEndpoint {
  readonly ip: string;
  readonly node?: string;
  readonly ready?: boolean;
  readonly serving?: boolean;
  readonly terminating?: boolean;
}

function service(spec: Readonly<Record<string, unknown>>, more: Readonly<Record<string, unknown>> = {}) {
  const ports = [{ port: 80, targetPort: 8080, nodePort: 30080 }];
  const full = { clusterIP: '10.96.0.10', selector: { app: 'a' }, ports, ...spec };
  return { apiVersion: 'v1', kind: 'Service', metadata: { name: 's', namespace: 'x', ...more }, spec: full };
}

function slice(
  name: string,
  endpoints: readonly TestEndpoint[],
  ports: unknown = [{ port: 8080 }],
  type = 'IPv4',
) {
  return {
    apiVersion: 'discovery.k8s.io/v1',
    kind: 'EndpointSlice',
    metadata: { name, namespace: 'x', labels: { 'kubernetes.io/service-name': 's' } },
    addressType: type,
    ports,
    endpoints: endpoints.map(({ ip, node, ...conditions }) => ({
      addresses: [ip],
      nodeName: node,
      conditions,
    })),
  };
}

const A = { ip: '10.1.1.2', node: 'n1' };
const B = { ip: '10.1.2.2', node: 'n2' };
const C = { ip: '10.1.3.2', node: 'n3' };

function rulesetOn(node: string, ...objects: readonly unknown[]): Ruleset {
  return clusterOf(...objects).rulesets.get(node) ?? new Map();
}

/** Backends behind an address as seen on a node, or null if no Service has it. */
function backends(ruleset: Ruleset, address: string, port: number): readonly string[] | null {
  const item = findService(ruleset, address, 'TCP', port);
  return item === null ? null : item.backends.map((backend) => `${backend.address}:${backend.port}`);
}

const items = (ruleset: Ruleset) =>
  [...ruleset.values()].filter((i): i is ServiceItem => i.kind === 'service');
const VIP = '10.96.0.10';

test('slices are merged, an endpoint in two of them counts once, as the readier', () => {
  const ruleset = rulesetOn('n1', service({}), slice('s1', [A, { ...B, ready: false }]), slice('s2', [B, C]));
  assert.equal(backends(ruleset, VIP, 80), ['10.1.1.2:8080', '10.1.2.2:8080', '10.1.3.2:8080']);
});

test('only ready endpoints; else those that serve while they terminate', () => {
  const draining = { ...B, ready: false, serving: true, terminating: true };
  const dead = { ...C, ready: false, serving: false, terminating: true };
  assert.equal(backends(rulesetOn('n1', service({}), slice('s', [A, draining, dead])), VIP, 80), [
    '10.1.1.2:8080',
  ]);
  assert.equal(backends(rulesetOn('n1', service({}), slice('s', [draining, dead])), VIP, 80), [
    '10.1.2.2:8080',
  ]);
});

test('defect 13: without endpoints there is a Service without backends, which rejects', () => {
  assert.equal(backends(rulesetOn('n1', service({})), VIP, 80), []);
  assert.equal(backends(rulesetOn('n1', service({}), slice('s', [{ ...A, ready: false }])), VIP, 80), []);
});

test('defect 12: externalTrafficPolicy Local leaves the cluster IP alone', () => {
  const ruleset = rulesetOn(
    'n1',
    service({ type: 'NodePort', externalTrafficPolicy: 'Local' }),
    slice('s', [A, B]),
  );
  assert.equal(backends(ruleset, VIP, 80), ['10.1.1.2:8080', '10.1.2.2:8080']);
  assert.equal(backends(ruleset, '192.168.16.1', 30080), ['10.1.1.2:8080']);
  // Another node's port leads to that node's endpoints, whoever asks.
  assert.equal(backends(ruleset, '192.168.16.2', 30080), ['10.1.2.2:8080']);
  assert.equal(backends(ruleset, '192.168.16.3', 30080), []);
});

test('internalTrafficPolicy Local keeps to the node', () => {
  const objects = [service({ internalTrafficPolicy: 'Local' }), slice('s', [A, B])];
  assert.equal(backends(rulesetOn('n2', ...objects), VIP, 80), ['10.1.2.2:8080']);
  assert.equal(backends(rulesetOn('n3', ...objects), VIP, 80), []);
});

test('NodePorts are on the addresses of all nodes, and only for types that have them', () => {
  const ruleset = rulesetOn('n1', service({ type: 'NodePort' }), slice('s', [B]));
  for (const id of [1, 2, 3]) assert.equal(backends(ruleset, `192.168.16.${id}`, 30080), ['10.1.2.2:8080']);
  assert.is(backends(rulesetOn('n1', service({}), slice('s', [B])), '192.168.16.1', 30080), null);
});

test('headless, ExternalName, other proxies and unassigned Services are left alone', () => {
  for (const spec of [
    { clusterIP: 'None' },
    { type: 'ExternalName', externalName: 'a.b' },
    { clusterIP: '' },
  ]) {
    assert.equal(items(rulesetOn('n1', service(spec), slice('s', [A]))), []);
  }
  const labels = { 'service.kubernetes.io/service-proxy-name': 'other' };
  assert.equal(items(rulesetOn('n1', service({}, { labels }), slice('s', [A]))), []);
});

test('ports by name and protocol, the same number on TCP and UDP, each pod its own target', () => {
  const ports = [
    { name: 'dns', port: 53, protocol: 'UDP', targetPort: 'dns' },
    { name: 'dns-tcp', port: 53, targetPort: 5353 },
    { name: 'sctp', port: 9, protocol: 'SCTP' },
  ];
  const slicePorts = [
    { name: 'dns', port: 1053, protocol: 'UDP' },
    { name: 'dns-tcp', port: 5353 },
    { name: 'other', port: 1 },
  ];
  const other = [{ name: 'dns', port: 2053, protocol: 'UDP' }];
  const ruleset = rulesetOn('n1', service({ ports }), slice('a', [A], slicePorts), slice('b', [B], other));
  const of = (protocol: 'TCP' | 'UDP' | 'SCTP', port: number) =>
    findService(ruleset, VIP, protocol, port)?.backends.map((b) => `${b.address}:${b.port}`);
  assert.equal(of('UDP', 53), ['10.1.1.2:1053', '10.1.2.2:2053']);
  assert.equal(of('TCP', 53), ['10.1.1.2:5353']);
  assert.equal(of('SCTP', 9), []);
});

test('ClientIP affinity lasts three hours unless the Service says otherwise; None has none', () => {
  const affinity = (spec: object) => items(rulesetOn('n1', service({ ...spec })))[0]?.affinitySeconds;
  assert.is(affinity({}), null);
  assert.is(affinity({ sessionAffinity: 'ClientIP' }), 10800);
  const config = { clientIP: { timeoutSeconds: 30 } };
  assert.is(affinity({ sessionAffinity: 'ClientIP', sessionAffinityConfig: config }), 30);
});

test('load balancer addresses: VIP only, with their source ranges, never an address of the cluster (CVE-2020-8554)', () => {
  const ingress = ['192.0.2.1', '10.1.1.2', '10.96.0.99', '192.168.16.2', '172.30.1.2'].map((ip) => ({ ip }));
  const status = { loadBalancer: { ingress: [...ingress, { ip: '192.0.2.2', ipMode: 'Proxy' }] } };
  const spec = {
    type: 'LoadBalancer',
    loadBalancerSourceRanges: ['198.51.100.0/24'],
    externalIPs: ['203.0.113.1'],
  };
  const ruleset = rulesetOn('n1', { ...service(spec), status }, slice('s', [A]));
  const found = items(ruleset).filter(({ sourceRanges }) => sourceRanges !== null);
  assert.equal(
    found.map(({ key }) => key),
    ['service/x/s/TCP/80/loadbalancer'],
  );
  assert.equal(found[0]?.frontends, [{ address: '192.0.2.1', port: 80, type: 'LoadBalancer' }]);
  assert.equal(found[0]?.sourceRanges, ['198.51.100.0/24']);
  // Ranges are the load balancer's; node ports stay open to all. externalIPs are off.
  assert.is(findService(ruleset, '192.168.16.1', 'TCP', 30080)?.sourceRanges, null);
  assert.is(backends(ruleset, '203.0.113.1', 80), null);
  // To the API an empty list is an absent one.
  const everyone = rulesetOn(
    'n1',
    { ...service({ ...spec, loadBalancerSourceRanges: [] }), status },
    slice('s', [A]),
  );
  assert.is(findService(everyone, '192.0.2.1', 'TCP', 80)?.sourceRanges, null);
});

test('a load balancer address under the policy Local: any endpoint for the cluster, own ones for outside', () => {
  const status = { loadBalancer: { ingress: [{ ip: '192.0.2.1' }] } };
  const local = { ...service({ type: 'LoadBalancer', externalTrafficPolicy: 'Local' }), status };
  assert.is(backends(rulesetOn('n1', local, slice('s', [A, B])), '192.0.2.1', 80)?.length, 2);
  assert.is(backends(rulesetOn('n3', local, slice('s', [A, B])), '192.0.2.1', 80)?.length, 2);
  const outside = (ruleset: ReturnType<typeof rulesetOn>) => {
    const item = findService(ruleset, '192.0.2.1', 'TCP', 80);
    return item?.outsideBackends?.map(({ address, port }) => `${address}:${port}`) ?? null;
  };
  assert.equal(outside(rulesetOn('n1', local, slice('s', [A, B]))), ['10.1.1.2:8080']);
  assert.equal(outside(rulesetOn('n3', local, slice('s', [A, B]))), []);
  // All of them are here: no difference.
  assert.is(outside(rulesetOn('n1', local, slice('s', [A]))), null);
  // Nobody anywhere: everyone is refused at once.
  assert.is(outside(rulesetOn('n3', local, slice('s', []))), null);
  const cluster = { ...service({ type: 'LoadBalancer' }), status };
  assert.is(outside(rulesetOn('n3', cluster, slice('s', [A, B]))), null);
});

test('two Services cannot share a load balancer address and port', () => {
  const status = { loadBalancer: { ingress: [{ ip: '192.0.2.1' }] } };
  const first = { ...service({ type: 'LoadBalancer' }), status };
  const second = { ...service({ type: 'LoadBalancer', clusterIP: '10.96.0.11' }, { name: 't' }), status };
  const found = items(rulesetOn('n1', second, first)).filter((item) =>
    item.frontends.some(({ type }) => type === 'LoadBalancer'),
  );
  assert.equal(
    found.map(({ name }) => name),
    ['s'],
  );
});

test('dual stack: each family by itself', () => {
  const dual = service({ clusterIP: VIP, clusterIPs: [VIP, 'fd00:96::a'] });
  const ruleset = rulesetOn(
    'n1',
    dual,
    slice('a', [A]),
    slice('b', [{ ip: 'fd00:1::2' }], [{ port: 8080 }], 'IPv6'),
  );
  assert.equal(backends(ruleset, VIP, 80), ['10.1.1.2:8080']);
  assert.equal(backends(ruleset, 'fd00:96::a', 80), ['fd00:1::2:8080']);
});

test.run();
