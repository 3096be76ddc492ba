import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { parseApiObject } from '../objects/manifest.js';
import type { EndpointSlice, Pod } from '../objects/types.js';
import { endpointSlices } from './endpoints.js';
import { podObject, serviceObject } from './fixtures.js';

const labels = { app: 'web' };
const service = (spec: object = {}) =>
  serviceObject('shop/web', { selector: labels, ports: [{ port: 80, targetPort: 'http' }], ...spec });
const pod = (name: string, ip: string, port = 8080): Pod =>
  podObject(`shop/${name}`, { labels, ip, node: 'node-1', ports: [{ name: 'http', containerPort: port }] });

test('ready pods that match are endpoints, with the port their own name stands for', () => {
  const [slice, ...more] = endpointSlices([service()], [pod('a', '10.1.1.2'), pod('b', '10.1.1.3')], []);
  assert.is(more.length, 0);
  assert.equal(slice?.ports, [{ name: null, protocol: 'TCP', port: 8080 }]);
  assert.equal(
    slice?.endpoints.map(({ addresses }) => addresses[0]),
    ['10.1.1.2', '10.1.1.3'],
  );
  assert.is(slice?.endpoints[0]?.nodeName, 'node-1');
  assert.equal(slice?.endpoints[0]?.targetRef, { kind: 'Pod', namespace: 'shop', name: 'a' });
  assert.is(slice?.metadata.labels['kubernetes.io/service-name'], 'web');
});

test('pods that resolve a name differently come in different slices', () => {
  const slices = endpointSlices([service()], [pod('a', '10.1.1.2', 8080), pod('b', '10.1.1.3', 9090)], []);
  assert.equal(
    slices.map(({ ports }) => ports[0]?.port),
    [8080, 9090],
  );
  assert.is(new Set(slices.map(({ metadata }) => metadata.name)).size, 2);
});

test('other namespaces, other labels, pods without address and ended pods are no endpoints', () => {
  const ended: Pod = {
    ...pod('c', '10.1.1.4'),
    status: { phase: 'Succeeded', podIPs: ['10.1.1.4'], ready: false, terminating: false },
  };
  const strangers = [
    podObject('ops/a', { labels, ip: '10.1.1.9' }),
    podObject('shop/b', { labels: { app: 'db' }, ip: '10.1.1.8' }),
    podObject('shop/d', { labels }),
    ended,
  ];
  const [slice] = endpointSlices([service({ ports: [{ port: 80 }] })], strangers, []);
  assert.equal(slice?.endpoints, []);
});

test('readiness: not ready pods are told as such, or published when the Service says so', () => {
  const late: Pod = {
    ...pod('a', '10.1.1.2'),
    status: { phase: 'Running', podIPs: ['10.1.1.2'], ready: false, terminating: false },
  };
  const conditions = (spec: object) =>
    endpointSlices([service(spec)], [late], [])[0]?.endpoints[0]?.conditions;
  assert.equal(conditions({}), { ready: false, serving: false, terminating: false });
  assert.equal(conditions({ publishNotReadyAddresses: true }), {
    ready: true,
    serving: true,
    terminating: false,
  });
  const leaving: Pod = { ...late, status: { ...late.status, ready: true, terminating: true } };
  assert.equal(endpointSlices([service()], [leaving], [])[0]?.endpoints[0]?.conditions, {
    ready: false,
    serving: true,
    terminating: true,
  });
});

test("a user's slices are kept, a controller's are made anew", () => {
  const given = (labels: Record<string, string>) =>
    parseApiObject({
      apiVersion: 'discovery.k8s.io/v1',
      kind: 'EndpointSlice',
      metadata: { name: 'given', namespace: 'shop', labels },
      addressType: 'IPv4',
      endpoints: [{ addresses: ['203.0.113.10'] }],
      ports: [{ port: 443 }],
    }) as EndpointSlice;
  const bank = serviceObject('shop/bank', { ports: [{ port: 443 }] });
  assert.is(endpointSlices([bank], [], [given({ 'kubernetes.io/service-name': 'bank' })]).length, 1);
  const managed = given({
    'kubernetes.io/service-name': 'web',
    'endpointslice.kubernetes.io/managed-by': 'endpointslice-controller.k8s.io',
  });
  const slices = endpointSlices([service()], [pod('a', '10.1.1.2')], [managed]);
  assert.equal(
    slices.map(({ metadata }) => metadata.name),
    ['web-sim'],
  );
});

test.run();
