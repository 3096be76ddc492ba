/** Pods, Services, EndpointSlices and Nodes: what is read, and what is refused with its field. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { documentFrom, documentOf, InvalidObjectError } from './document.js';
import { parseApiObject } from './manifest.js';
import { parsePod } from './pod.js';
import type { EndpointSlice, Node, Pod, Service } from './types.js';

type Json = Readonly<Record<string, unknown>>;

function pod(spec: Json, more: Json = {}): Json {
  const containers = [{ name: 'c' }];
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name: 'p', namespace: 'x' },
    spec: { containers, ...spec },
    ...more,
  };
}

function service(spec: Json, more: Json = {}): Json {
  return {
    apiVersion: 'v1',
    kind: 'Service',
    metadata: { name: 's' },
    spec: { ports: [{ port: 80 }], ...spec },
    ...more,
  };
}

function slice(endpoints: readonly Json[], more: Json = {}): Json {
  const metadata = { name: 's', labels: { 'kubernetes.io/service-name': 's' } };
  return {
    apiVersion: 'discovery.k8s.io/v1',
    kind: 'EndpointSlice',
    metadata,
    addressType: 'IPv4',
    endpoints,
    ...more,
  };
}

test('a pod: addresses in canonical text, readiness, sidecars, the end', () => {
  const object = parseApiObject(
    pod(
      {
        hostNetwork: true,
        initContainers: [
          { name: 'once', ports: [{ containerPort: 1 }] },
          { name: 'side', restartPolicy: 'Always', ports: [{ name: 'm', containerPort: 9 }] },
        ],
      },
      {
        metadata: { name: 'p', deletionTimestamp: '2026-01-01T00:00:00Z' },
        status: {
          phase: 'Running',
          podIP: '10.0.0.1',
          podIPs: [{ ip: '10.0.0.1' }, { ip: 'FD00:0:0::01' }],
          conditions: [{ type: 'Ready', status: 'True' }],
        },
      },
    ),
  ) as Pod;
  assert.equal(object.status, {
    phase: 'Running',
    podIPs: ['10.0.0.1', 'fd00::1'],
    ready: true,
    terminating: true,
  });
  assert.equal(
    object.spec.containers.map(({ name, ports }) => [name, ports.length]),
    [
      ['c', 0],
      ['side', 1],
    ],
  );
});

test('endpoint conditions: absent ready is true, absent serving is ready, absent terminating is false', () => {
  const conditions = (value: unknown) =>
    (parseApiObject(slice([{ addresses: ['10.0.0.1'], conditions: value }])) as EndpointSlice).endpoints[0]
      ?.conditions;
  assert.equal(conditions(undefined), { ready: true, serving: true, terminating: false });
  assert.equal(conditions({ ready: false }), { ready: false, serving: false, terminating: false });
  assert.equal(conditions({ ready: false, serving: true, terminating: true }), {
    ready: false,
    serving: true,
    terminating: true,
  });
});

test('a Service: cluster IPs, names and numbers of targets, load balancer status', () => {
  const spec = { clusterIP: 'None', ports: [{ port: 1, targetPort: 'web', nodePort: 0 }] };
  const ingress = [{ ip: '192.0.2.1' }, { hostname: 'a.b' }, { ip: '192.0.2.2', ipMode: 'Proxy' }];
  const object = parseApiObject(service(spec, { status: { loadBalancer: { ingress } } })) as Service;
  assert.equal(object.spec.clusterIPs, ['None']);
  assert.equal([object.spec.ports[0]?.targetPort, object.spec.ports[0]?.nodePort], ['web', null]);
  assert.equal(object.status.loadBalancer, [
    { ip: '192.0.2.1', ipMode: 'VIP' },
    { ip: '192.0.2.2', ipMode: 'Proxy' },
  ]);
  assert.equal((parseApiObject(service({ clusterIP: '' })) as Service).spec.clusterIPs, []);
});

test('a Node: addresses and pod ranges, old form and new', () => {
  const node = (spec: Json) =>
    parseApiObject({ apiVersion: 'v1', kind: 'Node', metadata: { name: 'n' }, spec }) as Node;
  assert.equal(node({ podCIDR: '10.1.2.3/24' }).spec.podCIDRs, ['10.1.2.0/24']);
  assert.equal(node({ podCIDRs: ['10.1.2.0/24', 'fd00::/64'] }).spec.podCIDRs, ['10.1.2.0/24', 'fd00::/64']);
});

const REFUSED: readonly (readonly [string, Json, string])[] = [
  [
    'a port out of range',
    pod({ containers: [{ name: 'c', ports: [{ containerPort: 0 }] }] }),
    'spec.containers[0].ports[0].containerPort',
  ],
  [
    'a port name',
    pod({ containers: [{ name: 'c', ports: [{ name: 'a_b', containerPort: 1 }] }] }),
    'spec.containers[0].ports[0].name',
  ],
  ['a container twice', pod({ containers: [{ name: 'c' }, { name: 'c' }] }), 'spec.containers[1].name'],
  ['no containers', pod({ containers: [] }), 'spec.containers'],
  ['a text for a boolean', pod({ hostNetwork: 'yes' }), 'spec.hostNetwork'],
  ['a pod address', pod({}, { status: { podIPs: [{ ip: '10.0.0.256' }] } }), 'status.podIPs[0].ip'],
  ['a name', pod({}, { metadata: { name: 'A' } }), 'metadata.name'],
  ['no name', pod({}, { metadata: { generateName: 'a-' } }), 'metadata.name'],
  ['a label', pod({}, { metadata: { name: 'p', labels: { 'a b': '' } } }), 'metadata.labels["a b"]'],
  ['a number for a label', pod({}, { metadata: { name: 'p', labels: { v: 1 } } }), 'metadata.labels.v'],
  ['ports without names', service({ ports: [{ port: 1 }, { port: 2 }] }), 'spec.ports[0].name'],
  [
    'a port twice',
    service({
      ports: [
        { name: 'a', port: 1 },
        { name: 'b', port: 1 },
      ],
    }),
    'spec.ports[1]',
  ],
  [
    'a port name twice',
    service({
      ports: [
        { name: 'a', port: 1 },
        { name: 'a', port: 2 },
      ],
    }),
    'spec.ports[1].name',
  ],
  ['a type', service({ type: 'Magic' }), 'spec.type'],
  ['a cluster IP', service({ clusterIP: '10.0.0' }), 'spec.clusterIP'],
  ['None beside an address', service({ clusterIPs: ['None', '10.0.0.1'] }), 'spec.clusterIPs'],
  [
    'an affinity timeout',
    service({ sessionAffinityConfig: { clientIP: { timeoutSeconds: 0 } } }),
    'spec.sessionAffinityConfig.clientIP.timeoutSeconds',
  ],
  [
    'a source range',
    service({ loadBalancerSourceRanges: ['10.0.0.0/33'] }),
    'spec.loadBalancerSourceRanges[0]',
  ],
  ['an endpoint of the other family', slice([{ addresses: ['fd00::1'] }]), 'endpoints[0].addresses[0]'],
  ['a loopback endpoint', slice([{ addresses: ['127.0.0.1'] }]), 'endpoints[0].addresses[0]'],
  ['a link-local endpoint', slice([{ addresses: ['169.254.169.254'] }]), 'endpoints[0].addresses[0]'],
  ['an endpoint without address', slice([{ addresses: [] }]), 'endpoints[0].addresses'],
];

for (const [what, value, field] of REFUSED) {
  test(`refused: ${what}`, () => {
    assert.throws(
      () => parseApiObject(value),
      (error: unknown) => error instanceof InvalidObjectError && error.field === field,
    );
  });
}

test('a pod made from a template is located in the template', () => {
  const parent = {
    ...documentOf({}),
    source: { file: 'd.yaml', line: 1 },
    locate: (path: readonly unknown[]) => path.length,
  };
  const value = pod({ containers: [{ name: 'c', ports: [{ containerPort: 'x' }] }] });
  const made = documentFrom(parent, 'v1', 'Pod', value, ['spec', 'template']);
  assert.throws(
    () => parsePod(made),
    /^d\.yaml:8: Pod x\/p: spec\.containers\[0\]\.ports\[0\]\.containerPort: must be a whole number \(got "x"\)$/,
  );
});

test('a kind we do not use is no object of ours', () => {
  assert.throws(
    () => parseApiObject({ apiVersion: 'v1', kind: 'Secret' }),
    /v1 Secret: is not a kind this network uses/,
  );
});

test.run();
