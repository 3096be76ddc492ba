/** The reference's policy scenarios (section 3.2 of its notes), and who is judged at all. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { parseApiObject } from '../objects/manifest.js';
import type { PolicyItem } from '../ruleset/types.js';
import { compile } from './compile.js';
import { apiPod, apiPolicy, clusterOf, compileCluster, judgeBoth } from './fixture.js';
import { DEFAULT_CONFIG } from './input.js';
import { ANY_TCP, block, check, ONE, OTHER, P1, P2, P3, PODS, pods, tcp, udp } from './scenario.js';

test('SinglePolicySinglePod', () => {
  const cluster = clusterOf(
    ...PODS,
    apiPolicy('p', 'default', { podSelector: ONE, ingress: [{ from: [pods('two')], ports: tcp(80, 443) }] }),
  );
  check(cluster, P2, P1, {
    'tcp 80': true,
    'tcp 443': true,
    'tcp 100': false,
    'udp 80': false,
    [OTHER]: false,
  });
  check(cluster, P3, P1, { 'tcp 80': false });
  // Through a Service to itself (the NAT loopback of Contiv/VPP), and outwards: never judged.
  check(cluster, P1, P1, { 'tcp 100': true, [OTHER]: true });
  check(cluster, P1, P2, { 'tcp 100': true, [OTHER]: true });
});

test('SinglePolicyWithIPBlockSinglePod', () => {
  const cluster = clusterOf(
    ...PODS,
    apiPolicy('p', 'default', {
      podSelector: ONE,
      ingress: [{ from: [block('192.168.2.0/24', '192.168.2.4/30')], ports: tcp(80, 443) }],
    }),
  );
  check(cluster, '192.168.2.1', P1, { 'tcp 80': true, 'tcp 443': true, 'udp 80': false, [OTHER]: false });
  check(cluster, '192.168.2.20', P1, { 'tcp 80': true });
  check(cluster, '192.168.2.5', P1, { 'tcp 80': false, [OTHER]: false });
  check(cluster, P1, '192.168.2.5', { 'tcp 80': true });
});

test('SinglePolicyMultiplePods', () => {
  const cluster = clusterOf(
    ...PODS,
    apiPolicy('p', 'default', {
      podSelector: {},
      ingress: [
        {
          from: [
            { ...pods('three'), namespaceSelector: { matchLabels: { team: 'x' } } },
            block('10.0.0.0/8', '10.1.0.0/16', '10.2.0.0/16', '10.3.0.0/16'),
          ],
          ports: [...tcp(8000), ...udp(8000)],
        },
      ],
    }),
  );
  for (const to of [P1, P2]) {
    for (const from of [P3, '10.10.10.10']) {
      check(cluster, from, to, { 'tcp 8000': true, 'udp 8000': true, 'udp 8001': false, [OTHER]: false });
    }
    check(cluster, '10.1.10.10', to, { 'tcp 8000': false, 'udp 8000': false });
  }
});

test('SinglePolicyWithNestedIPBlocksSinglePod: an except is not a deny', () => {
  const cluster = clusterOf(
    ...PODS,
    apiPolicy('p', 'default', {
      podSelector: ONE,
      ingress: [
        { from: [block('10.10.0.0/16', '10.10.10.0/24')], ports: ANY_TCP },
        { from: [block('10.0.0.0/8')], ports: tcp(80) },
      ],
    }),
  );
  check(cluster, '10.0.0.1', P1, { 'tcp 80': true, 'tcp 81': false });
  check(cluster, '10.10.0.1', P1, { 'tcp 81': true });
  check(cluster, '10.10.10.1', P1, { 'tcp 81': false, 'tcp 80': true });
});

test('SingleEgressPolicySinglePod', () => {
  const cluster = clusterOf(
    ...PODS,
    apiPolicy('p', 'default', {
      podSelector: ONE,
      policyTypes: ['Egress'],
      egress: [{ to: [pods('two')], ports: tcp(80, 443) }],
    }),
  );
  check(cluster, P1, P2, {
    'tcp 80': true,
    'tcp 443': true,
    'tcp 100': false,
    'udp 80': false,
    [OTHER]: false,
  });
  check(cluster, P1, P3, { 'tcp 80': false });
  check(cluster, P3, P1, { 'tcp 1': true, [OTHER]: true });
});

test('SingleEgressPolicyWithIPBlockSinglePod', () => {
  const cluster = clusterOf(
    ...PODS,
    apiPolicy('p', 'default', {
      podSelector: ONE,
      policyTypes: ['Egress'],
      egress: [{ to: [block('192.168.2.0/24', '192.168.2.4/30')], ports: tcp(80, 443) }],
    }),
  );
  check(cluster, P1, '192.168.2.1', { 'tcp 80': true, 'tcp 81': false });
  check(cluster, P1, '192.168.2.20', { 'tcp 443': true });
  check(cluster, P1, '192.168.2.5', { 'tcp 80': false });
  check(cluster, '192.168.2.5', P1, { 'tcp 80': true });
});

test('SingleBothWaysPolicySinglePod', () => {
  const cluster = clusterOf(
    ...PODS,
    apiPolicy('p', 'default', {
      podSelector: ONE,
      ingress: [
        {
          from: [pods('two'), block('10.5.0.0/16', '10.5.1.0/24', '10.5.2.0/24', '10.5.3.0/24')],
          ports: [...udp(333, 777), ...ANY_TCP],
        },
      ],
      egress: [{ to: [pods('two')], ports: tcp(80, 443) }],
    }),
  );
  for (const from of [P2, '10.5.6.7']) {
    check(cluster, from, P1, {
      'udp 333': true,
      'udp 777': true,
      'tcp 1': true,
      'udp 444': false,
      [OTHER]: false,
    });
  }
  check(cluster, '10.5.1.1', P1, { 'tcp 1': false, 'udp 333': false });
  check(cluster, P1, P2, { 'tcp 80': true, 'tcp 100': false, 'udp 80': false, [OTHER]: false });
  check(cluster, P1, P3, { 'tcp 80': false });
  check(cluster, P1, P1, { 'tcp 100': true });
});

test('SinglePolicySinglePodMultipleRenderers: every node says the same', () => {
  const policy = apiPolicy('p', 'default', {
    podSelector: {},
    ingress: [{ from: [pods('two')], ports: tcp(80) }],
  });
  for (const node of ['n1', 'n2', 'n3']) {
    const cluster = clusterOf(...PODS.slice(1), apiPod('pod1', 'default', P1, node, { app: 'one' }), policy);
    check(cluster, P2, P1, { 'tcp 80': true, 'tcp 81': false });
  }
});

test('MultiplePoliciesSinglePod: ports belong to their own peers', () => {
  const cluster = clusterOf(
    ...PODS,
    apiPolicy('p1', 'default', {
      podSelector: ONE,
      ingress: [{ from: [pods('two')], ports: [...udp(333, 777), ...ANY_TCP] }],
    }),
    apiPolicy('p2', 'default', {
      podSelector: ONE,
      ingress: [{ from: [block('10.5.0.0/16', '10.5.1.0/24')], ports: udp(333, 888) }],
    }),
    apiPolicy('p3', 'default', {
      podSelector: ONE,
      policyTypes: ['Egress'],
      egress: [{ to: [pods('two')], ports: tcp(80, 443) }],
    }),
  );
  check(cluster, P2, P1, { 'udp 333': true, 'udp 777': true, 'tcp 9': true, 'udp 888': false });
  check(cluster, '10.5.6.7', P1, { 'udp 888': true, 'udp 333': true, 'udp 777': false, 'tcp 80': false });
  check(cluster, '10.5.1.7', P1, { 'udp 888': false });
  check(cluster, P1, P2, { 'tcp 443': true, 'tcp 9': false });
});

test('MultiplePodsSpecialCases', () => {
  const ingress = (rule: unknown) =>
    clusterOf(...PODS, apiPolicy('p', 'default', { podSelector: ONE, ingress: [rule] }));
  const ports = [...tcp(8000), ...udp(8000)];
  for (const rule of [{ ports }, { from: [], ports }]) {
    check(ingress(rule), '8.8.8.8', P1, {
      'tcp 8000': true,
      'udp 8000': true,
      'tcp 1': false,
      [OTHER]: false,
    });
  }
  for (const rule of [{}, { from: [], ports: [] }])
    check(ingress(rule), '8.8.8.8', P1, { 'tcp 1': true, [OTHER]: true });
  const gone = ingress({ from: [pods('nobody')] });
  check(gone, P2, P1, { 'tcp 1': false, [OTHER]: false });
  check(gone, P1, P1, { 'tcp 1': true });
  const egress = clusterOf(
    ...PODS,
    apiPolicy('p', 'default', {
      podSelector: { matchLabels: { app: 'two' } },
      policyTypes: ['Egress'],
      egress: [{ to: [pods('one'), block('10.5.0.0/16')] }],
    }),
  );
  for (const to of [P1, '10.5.9.9']) check(egress, P2, to, { 'tcp 1': true, 'udp 1': true, [OTHER]: true });
  check(egress, P2, P3, { 'tcp 1': false, [OTHER]: false });
});

test('host-network pods are neither subject nor peer', () => {
  const host = { ...apiPod('h', 'default', '192.168.16.2', 'n2', { app: 'two' }) };
  const pod = { ...host, spec: { ...(host['spec'] as object), hostNetwork: true } };
  const cluster = clusterOf(
    ...PODS,
    pod,
    apiPolicy('p', 'default', { podSelector: {}, ingress: [{ from: [pods('two')] }], egress: [] }),
  );
  check(cluster, '192.168.16.2', P1, { 'tcp 80': false });
  check(cluster, '8.8.8.8', '192.168.16.2', { 'tcp 80': true });
});

test('a node reaches its own pods, and no other node does', () => {
  const cluster = clusterOf(...PODS, apiPolicy('p', 'default', { podSelector: {} }));
  check(cluster, '192.168.16.1', P1, { 'tcp 80': true });
  check(cluster, '172.30.1.2', P1, { 'tcp 80': true });
  check(cluster, '192.168.16.2', P1, { 'tcp 80': false });
});

test('a wired pod whose object has not come is closed where its namespace has policies', () => {
  const cluster = clusterOf(...PODS, apiPolicy('p', 'default', { podSelector: ONE, ingress: [{}] }));
  const wired = {
    pod: { namespace: 'default', name: 'new' },
    link: 'l',
    mac: 'm',
    peerMac: 'p',
    addresses: ['10.1.1.9'],
  };
  const local = { node: 'n1', uplink: { link: 'u', mac: 'm' }, host: null, attachments: [wired] };
  const ruleset = compile(cluster.model, local, DEFAULT_CONFIG);
  const endpoint = ruleset.get('endpoint/default/new');
  assert.is(endpoint?.kind === 'endpoint' && endpoint.egress, null);
  const key = endpoint?.kind === 'endpoint' ? (endpoint.ingress ?? '') : '';
  const policy = ruleset.get(key) as PolicyItem;
  assert.equal(policy.rules, []);
  assert.is(policy.isolatedBy.length, 1);
});

test('pods with equal rules share one policy, peers written differently share one set', () => {
  const cluster = clusterOf(
    ...PODS,
    apiPolicy('a', 'default', { podSelector: {}, ingress: [{ from: [pods('two')] }] }),
    apiPolicy('b', 'default', {
      podSelector: {},
      ingress: [
        {
          from: [
            { podSelector: { matchExpressions: [{ key: 'app', operator: 'In', values: ['two', 'two'] }] } },
          ],
        },
      ],
    }),
  );
  const items = [...(cluster.rulesets.get('n1')?.values() ?? [])];
  assert.is(items.filter((item) => item.kind === 'policy').length, 1);
  assert.is(items.filter((item) => item.kind === 'addressset').length, 1);
});

test('a rule names where it comes from', () => {
  const cluster = clusterOf(
    ...PODS,
    apiPolicy('p', 'default', { podSelector: ONE, ingress: [{ ports: tcp(1) }, {}] }),
  );
  const { ingress } = judgeBoth(cluster, { from: P2, to: P1, protocol: 'TCP', port: 80 });
  assert.equal(ingress?.origin, {
    kind: 'NetworkPolicy',
    namespace: 'default',
    name: 'p',
    field: 'spec.ingress[1]',
  });
  const closed = compileCluster(
    [...PODS, apiPolicy('q', 'default', { podSelector: ONE })].map(parseApiObject),
  );
  const denied = judgeBoth(closed, { from: P2, to: P1, protocol: 'TCP', port: 80 }).ingress;
  assert.is(denied?.by, 'isolated');
  assert.equal(
    denied?.isolatedBy.map(({ name }) => name),
    ['q'],
  );
});

test.run();
