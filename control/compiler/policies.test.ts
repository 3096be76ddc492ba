/** The reference's policy scenarios (section 3.2 of its notes), and its defects as cases that must not come back. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { Model } from '../model/model.js';
import { parseApiObject } from '../objects/manifest.js';
import { judge } from '../ruleset/evaluate.js';
import type { PolicyItem } from '../ruleset/types.js';
import { compile } from './compile.js';
import {
  apiNamespace,
  apiPod,
  apiPolicy,
  type CompiledCluster,
  clusterOf,
  compileCluster,
  judgeBoth,
  localOf,
  NODES,
  nodeRecord,
} from './fixture.js';
import { DEFAULT_CONFIG } from './input.js';

const P1 = '10.1.1.2';
const P2 = '10.1.1.3';
const P3 = '10.1.2.2';
/** What stands for "any other protocol" in the reference's tables. */
const OTHER = 'icmp 0';

const PODS = [
  apiPod('pod1', 'default', P1, 'n1', { app: 'one' }),
  apiPod('pod2', 'default', P2, 'n1', { app: 'two' }),
  apiPod('pod3', 'other', P3, 'n2', { app: 'three' }),
  apiNamespace('default'),
  apiNamespace('other', { team: 'x' }),
];
const pods = (app: string) => ({ podSelector: { matchLabels: { app } } });
const tcp = (...ports: number[]) => ports.map((port) => ({ protocol: 'TCP', port }));
const udp = (...ports: number[]) => ports.map((port) => ({ protocol: 'UDP', port }));
const block = (cidr: string, ...except: string[]) => ({ ipBlock: { cidr, except } });
const ANY_TCP = [{ protocol: 'TCP' }];

/** `tcp 80`, `udp 53`, `icmp 0`. */
function check(
  cluster: CompiledCluster,
  from: string,
  to: string,
  expected: Readonly<Record<string, boolean>>,
): void {
  for (const [what, allowed] of Object.entries(expected)) {
    const [name = '', port] = what.split(' ');
    const protocol = ({ tcp: 'TCP', udp: 'UDP', sctp: 'SCTP', icmp: null } as const)[name] ?? null;
    const got = judgeBoth(cluster, { from, to, protocol, port: Number(port) });
    assert.is(got.allowed, allowed, `${from} -> ${to} ${what}: ${JSON.stringify(got)}`);
  }
}

const ONE = { matchLabels: { app: 'one' } };

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
  // Through a Service to itself (the NAT loopback of the reference), and outwards: never judged.
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
