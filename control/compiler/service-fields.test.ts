/** Fields of Services that choose near endpoints, let addresses in, weigh backends, and tell load balancers about nodes. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { problemsOf, problemText } from '../model/problems.js';
import { parseApiObject } from '../objects/manifest.js';
import { findService } from '../ruleset/evaluate.js';
import type { HealthCheckItem, Ruleset } from '../ruleset/types.js';
import { apiPod, compileCluster, NODES } from './fixture.js';
import { DEFAULT_CONFIG } from './input.js';

type Json = Readonly<Record<string, unknown>>;

const VIP = '10.96.0.10';
const LB = '192.0.2.1';

function service(spec: Json, more: Json = {}): Json {
  return {
    apiVersion: 'v1',
    kind: 'Service',
    metadata: { name: 's', namespace: 'x', ...(more['metadata'] as Json) },
    spec: { clusterIP: VIP, ports: [{ port: 80, nodePort: 30080 }], ...spec },
    status: { loadBalancer: { ingress: [{ ip: LB }] } },
  };
}

interface At {
  readonly node: number;
  readonly zone?: string;
  readonly ready?: boolean;
  readonly forZones?: readonly string[];
  readonly forNodes?: readonly string[];
}

/** Endpoints 10.1.NODE.2, .3, … */
function slice(...endpoints: readonly At[]): Json {
  const names = (list: readonly string[] | undefined) => list?.map((name) => ({ name }));
  return {
    apiVersion: 'discovery.k8s.io/v1',
    kind: 'EndpointSlice',
    metadata: { name: 's-1', namespace: 'x', labels: { 'kubernetes.io/service-name': 's' } },
    addressType: 'IPv4',
    ports: [{ port: 8080 }],
    endpoints: endpoints.map(({ node, zone, ready, forZones, forNodes }, i) => ({
      addresses: [`10.1.${node}.${i + 2}`],
      nodeName: `n${node}`,
      ...(zone === undefined ? {} : { zone }),
      conditions: { ready: ready ?? true, serving: true, terminating: ready === false },
      ...(forZones || forNodes ? { hints: { forZones: names(forZones), forNodes: names(forNodes) } } : {}),
      targetRef: { kind: 'Pod', namespace: 'x', name: `p${i}` },
    })),
  };
}

const nodeIn = (name: string, zone: string): Json => ({
  apiVersion: 'v1',
  kind: 'Node',
  metadata: { name, labels: { 'topology.kubernetes.io/zone': zone } },
});

function rulesetOn(
  node: number,
  objects: readonly Json[],
  externalIPCIDRs: readonly string[] = [],
  nodePortAddresses: readonly string[] = [],
): Ruleset {
  const config = { ...DEFAULT_CONFIG, externalIPCIDRs, nodePortAddresses };
  return compileCluster(objects.map(parseApiObject), NODES, config).rulesets.get(`n${node}`) ?? new Map();
}

/** Last number of each backend's address. */
function backends(ruleset: Ruleset, address = VIP, port = 80): readonly number[] | null {
  const item = findService(ruleset, address, 'TCP', port);
  return item === null ? null : item.backends.map((backend) => Number(backend.address.split('.')[3]));
}

const ZONES = [nodeIn('n1', 'a'), nodeIn('n2', 'a'), nodeIn('n3', 'b')];

test('hints for the zone of this node are followed', () => {
  const hinted = [
    service({}),
    ...ZONES,
    slice({ node: 1, forZones: ['a'] }, { node: 2, forZones: ['a', 'b'] }, { node: 3, forZones: ['b'] }),
  ];
  assert.equal(backends(rulesetOn(1, hinted)), [2, 3]);
  assert.equal(backends(rulesetOn(3, hinted)), [3, 4]);
});

test('hints are ignored if a ready endpoint lacks one, if none is for this zone, or if this node has no zone', () => {
  const all = [2, 3, 4];
  const lacking = slice({ node: 1, forZones: ['a'] }, { node: 2, forZones: ['a'] }, { node: 3 });
  assert.equal(backends(rulesetOn(1, [service({}), ...ZONES, lacking])), all);
  const elsewhere = slice(
    { node: 1, forZones: ['c'] },
    { node: 2, forZones: ['c'] },
    { node: 3, forZones: ['c'] },
  );
  assert.equal(backends(rulesetOn(1, [service({}), ...ZONES, elsewhere])), all);
  const hinted = slice(
    { node: 1, forZones: ['a'] },
    { node: 2, forZones: ['b'] },
    { node: 3, forZones: ['b'] },
  );
  assert.equal(backends(rulesetOn(1, [service({}), hinted])), all);
  // One that is not ready counts for nothing.
  const notReady = slice(
    { node: 1, forZones: ['a'] },
    { node: 2, forZones: ['b'] },
    { node: 3, ready: false },
  );
  assert.equal(backends(rulesetOn(1, [service({}), ...ZONES, notReady])), [2]);
});

test('hints for this node come before those for its zone', () => {
  const hints = (node: number, zone: string) => ({ node, forNodes: [`n${node}`], forZones: [zone] });
  const objects = [service({}), ...ZONES, slice(hints(2, 'a'), hints(3, 'b'))];
  assert.equal(backends(rulesetOn(2, objects)), [2]);
  assert.equal(backends(rulesetOn(3, objects)), [3]);
  assert.equal(backends(rulesetOn(1, objects)), [2]);
});

test('trafficDistribution where nobody set hints: the zone of the endpoint, or of its node', () => {
  for (const trafficDistribution of ['PreferSameZone', 'PreferClose']) {
    const objects = [
      service({ trafficDistribution }),
      ...ZONES,
      slice({ node: 1, zone: 'a' }, { node: 2 }, { node: 3 }),
    ];
    assert.equal(backends(rulesetOn(1, objects)), [2, 3]);
    assert.equal(backends(rulesetOn(3, objects)), [4]);
  }
  const near = [
    service({ trafficDistribution: 'PreferSameNode' }),
    ...ZONES,
    slice({ node: 1 }, { node: 3 }),
  ];
  assert.equal(backends(rulesetOn(1, near)), [2]);
  assert.equal(backends(rulesetOn(2, near)), [2]);
  assert.equal(backends(rulesetOn(3, near)), [3]);
  const plain = [service({}), ...ZONES, slice({ node: 1 }, { node: 3 })];
  assert.equal(backends(rulesetOn(1, plain)), [2, 3]);
});

test('nearness is for traffic that may go anywhere: Local keeps to the node, node ports follow it', () => {
  const spec = { type: 'NodePort', trafficDistribution: 'PreferSameZone' };
  const endpoints = slice({ node: 1 }, { node: 3 });
  assert.equal(backends(rulesetOn(2, [service(spec), ...ZONES, endpoints]), '192.168.16.2', 30080), [2]);
  const local = service({ ...spec, internalTrafficPolicy: 'Local' });
  assert.equal(backends(rulesetOn(2, [local, ...ZONES, endpoints])), []);
});

test('if no near endpoint is ready, the others are used; if none is, those that drain', () => {
  const spec = { trafficDistribution: 'PreferSameZone' };
  const endpoints = slice({ node: 1, ready: false }, { node: 3 });
  assert.equal(backends(rulesetOn(1, [service(spec), ...ZONES, endpoints])), [3]);
  const draining = slice({ node: 1, ready: false }, { node: 3, ready: false });
  assert.equal(backends(rulesetOn(1, [service(spec), ...ZONES, draining])), [2, 3]);
});

test('externalIPs: only inside externalIPCIDRs, never an address of the cluster (CVE-2020-8554)', () => {
  const spec = { externalIPs: ['203.0.113.1', '198.51.100.1', '10.1.1.2', '192.168.16.2', VIP] };
  const objects = [service(spec), slice({ node: 1 }, { node: 2 })];
  assert.is(backends(rulesetOn(1, objects), '203.0.113.1'), null);
  const ruleset = rulesetOn(1, objects, ['203.0.113.0/24', '10.0.0.0/8', '192.168.0.0/16']);
  assert.equal(backends(ruleset, '203.0.113.1'), [2, 3]);
  assert.equal(findService(ruleset, '203.0.113.1', 'TCP', 80)?.frontends, [
    { address: '203.0.113.1', port: 80, type: 'ExternalIP' },
  ]);
  for (const other of ['198.51.100.1', '10.1.1.2', '192.168.16.2'])
    assert.is(backends(ruleset, other), null, other);
  assert.is(findService(ruleset, VIP, 'TCP', 80)?.scope, 'internal');
  const local = [service({ ...spec, externalTrafficPolicy: 'Local' }), slice({ node: 1 }, { node: 2 })];
  const served = rulesetOn(1, local, ['203.0.113.0/24']);
  assert.equal(backends(served, '203.0.113.1'), [2, 3], 'from inside the cluster');
  const outside = findService(served, '203.0.113.1', 'TCP', 80)?.outsideBackends ?? [];
  assert.equal(
    outside.map(({ node }) => node),
    ['n1'],
    'from outside',
  );
  const texts = problemsOf([parseApiObject(service(spec))], ['203.0.113.0/24']).map(problemText);
  assert.is(texts.length, 4);
  assert.match(texts[0] ?? '', /^Service x\/s: spec\.externalIPs: 198\.51\.100\.1 is not served/);
});

test('no Service takes over an address of every node: pods ask it for names (CVE-2020-8554)', () => {
  const objects = [
    service({ type: 'LoadBalancer', externalIPs: ['169.254.20.10'] }),
    slice({ node: 1 }, { node: 2 }),
  ].map((object, i) =>
    i === 0 ? { ...object, status: { loadBalancer: { ingress: [{ ip: '169.254.20.10' }] } } } : object,
  );
  const served = (hostAddresses: readonly string[]) => {
    const config = { ...DEFAULT_CONFIG, externalIPCIDRs: ['169.254.0.0/16'], hostAddresses };
    const ruleset =
      compileCluster(objects.map(parseApiObject), NODES, config).rulesets.get('n1') ?? new Map();
    return backends(ruleset, '169.254.20.10');
  };
  assert.equal(served([]), [2, 3]);
  assert.is(served(['169.254.20.10']), null);
});

test('healthCheckNodePort tells how many ready endpoints are on the node', () => {
  const spec = { type: 'LoadBalancer', externalTrafficPolicy: 'Local', healthCheckNodePort: 31999 };
  const two = {
    ports: [
      { name: 'a', port: 80 },
      { name: 'b', port: 81 },
    ],
  };
  const endpoints = slice({ node: 1 }, { node: 1 }, { node: 1, ready: false }, { node: 2 });
  const check = (node: number, more: Json = {}) =>
    [...rulesetOn(node, [service({ ...spec, ...more }), endpoints]).values()].filter(
      (item): item is HealthCheckItem => item.kind === 'healthcheck',
    );
  assert.equal(check(1), [
    {
      kind: 'healthcheck',
      key: 'healthcheck/x/s',
      namespace: 'x',
      name: 's',
      port: 31999,
      localEndpoints: 2,
    },
  ]);
  assert.is(check(2)[0]?.localEndpoints, 1);
  assert.is(check(3)[0]?.localEndpoints, 0);
  assert.is(check(1, two).length, 1);
  for (const without of [
    { type: 'NodePort' },
    { externalTrafficPolicy: 'Cluster' },
    { healthCheckNodePort: 0 },
  ])
    assert.equal(check(1, without), []);
});

test('node ports are served in a given range of node addresses only', () => {
  const objects = [service({ type: 'NodePort' }), slice({ node: 1 })];
  assert.equal(backends(rulesetOn(1, objects, [], ['192.168.16.2/32']), '192.168.16.2', 30080), [2]);
  assert.is(backends(rulesetOn(1, objects, [], ['192.168.16.2/32']), '192.168.16.1', 30080), null);
  assert.is(backends(rulesetOn(1, objects, [], ['10.0.0.0/8']), '192.168.16.1', 30080), null);
});

test('a pod on the host network is a backend at its node’s address', () => {
  const endpoint = {
    addresses: ['192.168.16.2'],
    nodeName: 'n2',
    targetRef: { kind: 'Pod', namespace: 'x', name: 'agent' },
  };
  const host = {
    ...apiPod('agent', 'x', '192.168.16.2', 'n2'),
    spec: { nodeName: 'n2', hostNetwork: true, containers: [{ name: 'c' }] },
  };
  const objects = [service({}), host, { ...slice(), endpoints: [endpoint] }];
  assert.equal(findService(rulesetOn(1, objects), VIP, 'TCP', 80)?.backends, [
    { address: '192.168.16.2', port: 8080, weight: 1, pod: { namespace: 'x', name: 'agent' }, node: 'n2' },
  ]);
});

test('a load balancer without node ports has none', () => {
  const spec = { type: 'LoadBalancer', allocateLoadBalancerNodePorts: false, ports: [{ port: 80 }] };
  const ruleset = rulesetOn(1, [service(spec), slice({ node: 1 })]);
  assert.equal(
    [...ruleset.keys()].filter((key) => key.startsWith('service/')),
    ['service/x/s/TCP/80/internal', 'service/x/s/TCP/80/loadbalancer'],
  );
});

test('publishNotReadyAddresses is for whoever makes the slices: what they say counts', () => {
  const objects = [
    service({ publishNotReadyAddresses: true }),
    slice({ node: 1 }, { node: 2, ready: false }),
  ];
  assert.equal(backends(rulesetOn(1, objects)), [2]);
});

test('the algorithm and the weights of backends come from annotations', () => {
  const weighted = (weight: string) => {
    const pod = apiPod('p0', 'x', '10.1.1.2', 'n1');
    return {
      ...pod,
      metadata: { ...(pod['metadata'] as Json), annotations: { 'service.pteropus.io/weight': weight } },
    };
  };
  const annotations = { 'service.pteropus.io/algorithm': 'maglev' };
  const item = (algorithm: Json, weight: string) =>
    findService(
      rulesetOn(1, [
        service({}, { metadata: { annotations: algorithm } }),
        weighted(weight),
        slice({ node: 1 }, { node: 2 }),
      ]),
      VIP,
      'TCP',
      80,
    );
  assert.is(item(annotations, '3')?.algorithm, 'maglev');
  assert.equal(
    item(annotations, '3')?.backends.map(({ weight }) => weight),
    [3, 1],
  );
  assert.is(item({}, '3')?.algorithm, 'random');
  for (const bad of ['0', '1001', '-1', '1.5', 'x', ''])
    assert.is(item({}, bad)?.backends[0]?.weight, 1, bad);
  const wrong = [
    service(
      { trafficDistribution: 'X' },
      { metadata: { annotations: { 'service.pteropus.io/algorithm': 'y' } } },
    ),
    weighted('0'),
  ];
  assert.equal(problemsOf(wrong.map(parseApiObject), []).map(problemText), [
    'Service x/s: spec.trafficDistribution: X is not known; all endpoints are used',
    'Service x/s: metadata.annotations["service.pteropus.io/algorithm"]: y is neither random nor maglev; random is used',
    'Pod x/p0: metadata.annotations["service.pteropus.io/weight"]: 0 is not a weight from 1 to 1000; 1 is used',
  ]);
});

test.run();
