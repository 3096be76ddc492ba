/** Defects of Contiv/VPP, and our own earlier ones, as cases that must not come back. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { Model } from '../model/model.js';
import { parseApiObject } from '../objects/manifest.js';
import { judge } from '../ruleset/evaluate.js';
import { compile } from './compile.js';
import { apiPod, apiPolicy, clusterOf, localOf, NODES, nodeRecord } from './fixture.js';
import { DEFAULT_CONFIG } from './input.js';
import { block, check, ONE, OTHER, P1, P2, P3, PODS, pods } from './scenario.js';

test('defect 1: podSelector and namespaceSelector in one peer are both asked', () => {
  const both = { ...pods('three'), namespaceSelector: { matchLabels: { team: 'x' } } };
  const cluster = clusterOf(
    ...PODS,
    apiPod('pod4', 'other', '10.1.2.3', 'n2', { app: 'four' }),
    apiPod('pod5', 'default', '10.1.1.5', 'n1', { app: 'three' }),
    apiPolicy('p', 'default', { podSelector: ONE, ingress: [{ from: [both] }] }),
  );
  check(cluster, P3, P1, { 'tcp 80': true });
  check(cluster, '10.1.2.3', P1, { 'tcp 80': false });
  check(cluster, '10.1.1.5', P1, { 'tcp 80': false });
});

test('defect 2: SCTP is neither TCP nor UDP', () => {
  const ports = [{ protocol: 'SCTP', port: 80 }];
  const cluster = clusterOf(...PODS, apiPolicy('p', 'default', { podSelector: ONE, ingress: [{ ports }] }));
  check(cluster, P2, P1, { 'sctp 80': true, 'tcp 80': false, 'udp 80': false });
});

test('defect 3: an empty namespaceSelector means all namespaces, kube-system too', () => {
  const cluster = clusterOf(
    ...PODS,
    apiPod('dns', 'kube-system', '10.1.3.2', 'n3'),
    apiPolicy('p', 'default', { podSelector: ONE, ingress: [{ from: [{ namespaceSelector: {} }] }] }),
  );
  check(cluster, '10.1.3.2', P1, { 'tcp 80': true });
  check(cluster, '8.8.8.8', P1, { 'tcp 80': false });
});

test('defect 4: a port name nobody has opens nothing', () => {
  const rule = { ports: [{ port: 'nope' }] };
  const cluster = clusterOf(
    ...PODS,
    apiPolicy('p', 'default', { podSelector: ONE, ingress: [rule], egress: [rule] }),
  );
  check(cluster, P2, P1, { 'tcp 80': false, 'tcp 1': false, [OTHER]: false });
  check(cluster, P1, P2, { 'tcp 80': false, [OTHER]: false });
});

test('defect 5: a port name is that of each pod, in ingress and in egress, and of its own protocol', () => {
  const named = (port: number, protocol = 'TCP') => [{ name: 'web', containerPort: port, protocol }];
  const a = apiPod('a', 'x', '10.1.1.2', 'n1', {}, named(8080));
  const b = apiPod('b', 'x', '10.1.1.3', 'n1', {}, named(9090));
  const c = apiPod('c', 'x', '10.1.2.2', 'n2', {}, named(7070, 'UDP'));
  const client = apiPod('client', 'y', '10.1.3.2', 'n3');
  const rule = { ports: [{ port: 'web' }] };
  for (const policy of [
    apiPolicy('in', 'x', { podSelector: {}, ingress: [rule] }),
    apiPolicy('out', 'y', { podSelector: {}, policyTypes: ['Egress'], egress: [rule] }),
  ]) {
    const cluster = clusterOf(a, b, c, client, policy);
    check(cluster, '10.1.3.2', '10.1.1.2', { 'tcp 8080': true, 'tcp 9090': false });
    check(cluster, '10.1.3.2', '10.1.1.3', { 'tcp 9090': true, 'tcp 8080': false });
    check(cluster, '10.1.3.2', '10.1.2.2', { 'udp 7070': false, 'tcp 7070': false });
  }
});

test('defect 6: a pod relabelled out of a policy is open at once', () => {
  const policy = apiPolicy('p', 'default', { podSelector: ONE });
  check(clusterOf(...PODS, policy), P2, P1, { 'tcp 80': false });
  const relabelled = apiPod('pod1', 'default', P1, 'n1', { app: 'uno' });
  check(clusterOf(...PODS, policy, relabelled), P2, P1, { 'tcp 80': true });
});

test('defect 19: pods that have ended are no peers, and whoever reuses an address inherits nothing', () => {
  const policy = apiPolicy('p', 'default', { podSelector: ONE, ingress: [{ from: [pods('two')] }] });
  const ended = { ...PODS[1], status: { phase: 'Succeeded', podIPs: [{ ip: P2 }] } };
  const heir = apiPod('heir', 'other', P2, 'n1', { app: 'two' });
  const cluster = clusterOf(PODS[0], ended, heir, policy);
  check(cluster, P2, P1, { 'tcp 80': false });
  // The last holder's record may outlive its wiring.
  const stale = apiPod('stale', 'default', P3, 'n1', { app: 'two' });
  const model = Model.of([
    ...[PODS[0], PODS[2], stale, policy].map(parseApiObject),
    ...NODES.map((n) => nodeRecord(n)),
  ]);
  const wired = {
    pod: { namespace: 'default', name: 'pod1' },
    link: 'l',
    mac: 'm',
    peerMac: 'p',
    addresses: [P1],
  };
  const local = { node: 'n1', uplink: { link: 'u', mac: 'm' }, host: null, attachments: [wired] };
  const sets = [...compile(model, local, DEFAULT_CONFIG).values()].filter(
    (item) => item.kind === 'addressset',
  );
  assert.equal(
    sets.map((set) => set.addresses),
    [[]],
  );
});

test('defect 19: nor do records elsewhere of an address that is wired here count', () => {
  const policy = apiPolicy('p', 'default', { podSelector: ONE, ingress: [{ from: [pods('two')] }] });
  const ended = { ...apiPod('ended', 'default', '10.1.2.9', 'n2', { app: 'two' }) };
  const status = { phase: 'Failed', podIPs: [{ ip: '10.1.2.9' }] };
  check(clusterOf(...PODS, { ...ended, status }, policy), '10.1.2.9', P1, { 'tcp 80': false });
  check(clusterOf(...PODS, ended, policy), '10.1.2.9', P1, { 'tcp 80': true });
  // Not ended, on another node, but its address is wired here for somebody else.
  const elsewhere = apiPod('elsewhere', 'default', '10.1.1.9', 'n2', { app: 'two' });
  const heir = apiPod('heir', 'other', '10.1.1.9', 'n1');
  const model = Model.of([
    ...[PODS[0], elsewhere, heir, policy].map(parseApiObject),
    ...NODES.map((n) => nodeRecord(n)),
  ]);
  const ruleset = compile(model, localOf('n1', model.all('Pod')), DEFAULT_CONFIG);
  const question = { direction: 'ingress', peer: '10.1.1.9', protocol: 'TCP', port: 80 } as const;
  assert.not(judge(ruleset, { ...question, pod: { namespace: 'default', name: 'pod1' } }).allowed);
});

test('egress by port names: several names and protocols in one rule do not mix', () => {
  const port = (name: string, containerPort: number, protocol = 'TCP') => ({ name, containerPort, protocol });
  const cluster = clusterOf(
    apiPod('a', 'x', '10.1.1.2', 'n1', {}, [port('web', 80), port('dns', 53, 'UDP')]),
    apiPod('b', 'x', '10.1.1.3', 'n1', {}, [port('alt', 80), port('dns', 54)]),
    apiPod('client', 'y', '10.1.3.2', 'n3'),
    apiPolicy('p', 'y', {
      podSelector: {},
      policyTypes: ['Egress'],
      egress: [
        { to: [{ namespaceSelector: {} }], ports: [{ port: 'web' }] },
        { to: [{ namespaceSelector: {} }], ports: [{ port: 'dns' }, { port: 'dns', protocol: 'UDP' }] },
      ],
    }),
  );
  check(cluster, '10.1.3.2', '10.1.1.2', {
    'tcp 80': true,
    'udp 53': true,
    'tcp 53': false,
    'tcp 54': false,
  });
  check(cluster, '10.1.3.2', '10.1.1.3', { 'tcp 80': false, 'tcp 54': true, 'udp 53': false });
  const both = clusterOf(
    apiPod('a', 'x', '10.1.1.2', 'n1', {}, [port('web', 80)]),
    apiPod('b', 'x', '10.1.1.3', 'n1', {}, [port('alt', 80)]),
    apiPod('client', 'y', '10.1.3.2', 'n3'),
    apiPolicy('p', 'y', {
      podSelector: {},
      policyTypes: ['Egress'],
      egress: [{ to: [{ namespaceSelector: {} }], ports: [{ port: 'web' }, { port: 'alt' }] }],
    }),
  );
  check(both, '10.1.3.2', '10.1.1.2', { 'tcp 80': true, 'tcp 53': false });
  check(both, '10.1.3.2', '10.1.1.3', { 'tcp 80': true, 'tcp 54': false });
});

test('egress by port name to a block: only the addresses inside it, not the pod with all it has', () => {
  const dual = apiPod('dual', 'x', '10.1.1.2', 'n1', {}, [{ name: 'web', containerPort: 80 }]);
  const cluster = clusterOf(
    { ...dual, status: { phase: 'Running', podIPs: [{ ip: '10.1.1.2' }, { ip: 'fd00:1::2' }] } },
    {
      ...apiPod('client', 'y', '10.1.3.2', 'n3'),
      status: { phase: 'Running', podIPs: [{ ip: '10.1.3.2' }, { ip: 'fd00:3::2' }] },
    },
    apiPolicy('p', 'y', {
      podSelector: {},
      policyTypes: ['Egress'],
      egress: [{ to: [block('10.0.0.0/8')], ports: [{ port: 'web' }] }],
    }),
  );
  check(cluster, '10.1.3.2', '10.1.1.2', { 'tcp 80': true });
  check(cluster, 'fd00:3::2', 'fd00:1::2', { 'tcp 80': false });
});

test.run();
