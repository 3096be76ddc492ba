/** ClusterNetworkPolicies: tiers, priorities, subjects, peers, ports, and what is not understood. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { Model } from '../model/model.js';
import { parseApiObject } from '../objects/manifest.js';
import { canonicalRuleset } from '../ruleset/canonical.js';
import { judge } from '../ruleset/evaluate.js';
import { compile } from './compile.js';
import {
  apiNamespace,
  apiPod,
  apiPolicy,
  type CompiledCluster,
  clusterOf,
  judgeBoth,
  localOf,
  NODES,
  nodeRecord,
} from './fixture.js';
import { DEFAULT_CONFIG } from './input.js';
import { ANY_TCP, check, ONE, OTHER, P1, P2, P3, PODS } from './scenario.js';

const EVERYONE = { namespaces: {} };
const TEAM_X = { namespaces: { matchLabels: { team: 'x' } } };
const pod = (app: string) => ({ pods: { namespaceSelector: {}, podSelector: { matchLabels: { app } } } });
const port = (number: number) => [{ tcp: { destinationPort: { number } } }];

function cnp(name: string, spec: object) {
  return {
    apiVersion: 'policy.networking.k8s.io/v1alpha2',
    kind: 'ClusterNetworkPolicy',
    metadata: { name },
    spec: { tier: 'Admin', priority: 10, subject: EVERYONE, ...spec },
  };
}

/** Cluster of the scenario with these policies. */
const withPolicies = (...policies: readonly unknown[]) => clusterOf(...PODS, ...policies);

const closed = apiPolicy('closed', 'default', { podSelector: ONE, ingress: [] });
const open = apiPolicy('open', 'default', { podSelector: ONE, ingress: [{}] });
const toOne = (action: string, spec: object = {}) => ({
  subject: pod('one'),
  ingress: [{ action, from: [EVERYONE], ...spec }],
});

test('Admin comes before NetworkPolicies: Accept opens what they close, Deny closes what they open', () => {
  check(withPolicies(closed, cnp('a', toOne('Accept'))), P2, P1, { 'tcp 80': true, [OTHER]: true });
  check(withPolicies(open, cnp('a', toOne('Deny'))), P2, P1, { 'tcp 80': false, [OTHER]: false });
});

test('Pass leaves the rest of the tier out and asks NetworkPolicies', () => {
  const pass = cnp('a', { ...toOne('Pass'), priority: 1 });
  const deny = cnp('b', { ...toOne('Deny'), priority: 2 });
  check(withPolicies(pass, deny), P2, P1, { 'tcp 80': true });
  check(withPolicies(pass, deny, closed), P2, P1, { 'tcp 80': false });
  check(withPolicies(pass, deny, open), P2, P1, { 'tcp 80': true });
});

test('Baseline is asked where no NetworkPolicy selects the pod in that direction', () => {
  const deny = cnp('b', { ...toOne('Deny'), tier: 'Baseline' });
  check(withPolicies(deny), P2, P1, { 'tcp 80': false });
  check(withPolicies(deny, open), P2, P1, { 'tcp 80': true });
  const egressOnly = apiPolicy('e', 'default', { podSelector: ONE, policyTypes: ['Egress'], egress: [{}] });
  check(withPolicies(deny, egressOnly), P2, P1, { 'tcp 80': false });
  const pass = cnp('a', { ...toOne('Pass'), tier: 'Baseline', priority: 1 });
  check(withPolicies(pass, deny), P2, P1, { 'tcp 80': true });
});

test('the lower priority is asked first; at equal priority the name decides; rules keep their order', () => {
  const accept = (name: string, priority: number) => cnp(name, { ...toOne('Accept'), priority });
  const deny = (name: string, priority: number) => cnp(name, { ...toOne('Deny'), priority });
  check(withPolicies(deny('a', 2), accept('b', 1)), P2, P1, { 'tcp 80': true });
  check(withPolicies(deny('a', 2), accept('b', 10)), P2, P1, { 'tcp 80': false });
  check(withPolicies(deny('b', 5), accept('a', 5)), P2, P1, { 'tcp 80': true });
  check(withPolicies(deny('a', 5), accept('b', 5)), P2, P1, { 'tcp 80': false });
  const rule = (action: string, protocols: unknown) => ({ action, from: [EVERYONE], protocols });
  const rules = [
    rule('Accept', port(80)),
    rule('Deny', [{ tcp: { destinationPort: { range: { start: 1, end: 100 } } } }]),
  ];
  const ordered = cnp('o', { subject: pod('one'), ingress: rules });
  check(withPolicies(ordered), P2, P1, { 'tcp 80': true, 'tcp 81': false, 'tcp 101': true, 'udp 81': true });
});

test('the subject is chosen by namespace, or by namespace and pod', () => {
  const deny = { ingress: [{ action: 'Deny', from: [EVERYONE] }] };
  const team = withPolicies(cnp('a', { ...deny, subject: TEAM_X }));
  check(team, P1, P3, { 'tcp 80': false });
  check(team, P2, P1, { 'tcp 80': true });
  const both = { pods: { namespaceSelector: TEAM_X.namespaces, podSelector: ONE } };
  check(withPolicies(cnp('a', { ...deny, subject: both })), P1, P3, { 'tcp 80': true });
  const byName = { namespaces: { matchLabels: { 'kubernetes.io/metadata.name': 'other' } } };
  check(withPolicies(cnp('a', { ...deny, subject: byName })), P1, P3, { 'tcp 80': false });
});

test('peers: namespaces, pods, and networks to the outside and to pods alike', () => {
  const deny = (...to: readonly unknown[]) =>
    cnp('a', { subject: pod('one'), egress: [{ action: 'Deny', to }] });
  check(withPolicies(deny(TEAM_X)), P1, P3, { 'tcp 80': false });
  check(withPolicies(deny(TEAM_X)), P1, P2, { 'tcp 80': true });
  check(withPolicies(deny(pod('two'))), P1, P2, { 'tcp 80': false });
  const networks = withPolicies(deny({ networks: ['192.0.2.0/24', '10.1.1.0/24'] }));
  check(networks, P1, '192.0.2.9', { 'tcp 443': false, [OTHER]: false });
  check(networks, P1, P2, { 'tcp 80': false });
  check(networks, P1, P3, { 'tcp 80': true });
});

test('a node reaches its own pods, and a pod itself, whatever tiers say', () => {
  const deny = cnp('a', {
    ingress: [{ action: 'Deny', from: [EVERYONE] }],
    egress: [{ action: 'Deny', to: [EVERYONE] }],
  });
  const cluster = withPolicies(deny);
  check(cluster, '192.168.16.1', P1, { 'tcp 80': true });
  check(cluster, P1, P1, { 'tcp 80': true });
});

test('port names are those of the destination: in egress each pod has its own', () => {
  const web = (name: string, ip: string, containerPort: number, protocol = 'TCP') =>
    apiPod(name, 'default', ip, 'n1', { app: 'web' }, [{ name: 'web', containerPort, protocol }]);
  const [a, b] = ['10.1.1.10', '10.1.1.11'];
  const protocols = [{ destinationNamedPort: 'web' }];
  const pods = [web('a', a, 80), web('b', b, 90, 'UDP')];
  const out = cnp('a', { subject: pod('one'), egress: [{ action: 'Deny', to: [EVERYONE], protocols }] });
  const egress = withPolicies(...pods, out);
  check(egress, P1, a, { 'tcp 80': false, 'tcp 90': true, 'udp 80': true });
  check(egress, P1, b, { 'udp 90': false, 'tcp 90': true, 'udp 80': true });
  const into = cnp('a', { ingress: [{ action: 'Deny', from: [EVERYONE], protocols }] });
  const ingress = withPolicies(...pods, into);
  check(ingress, P1, a, { 'tcp 80': false, 'tcp 90': true });
  // Nobody calls a port of P2 so: the name matches nothing.
  check(ingress, P1, P2, { 'tcp 80': true, 'tcp 90': true, [OTHER]: true });
});

test('what is not understood fails closed: Accept matches nothing, Deny and Pass deny everything', () => {
  const strange: readonly object[] = [
    { from: [EVERYONE, { serviceAccounts: {} }] },
    { from: [{}] },
    { from: [{ networks: ['10.0.0.0/8'] }] },
    { from: [EVERYONE], protocols: [{ icmp: {} }] },
    { from: [EVERYONE], protocols: [{ tcp: {} }] },
    { from: [EVERYONE], protocols: [{ tcp: { sourcePort: { number: 1 } } }] },
    { from: [EVERYONE], sourcePorts: [80] },
    { from: [{ pods: { namespaceSelector: {}, podSelector: {}, uid: 'x' } }] },
  ];
  for (const part of strange) {
    const name = JSON.stringify(part);
    const rule = (action: string) => cnp('a', { subject: pod('one'), ingress: [{ action, ...part }] });
    assert.is(allowed(withPolicies(rule('Accept'), closed)), false, `Accept ${name}`);
    assert.is(allowed(withPolicies(rule('Accept'))), true, `Accept and nothing else ${name}`);
    assert.is(allowed(withPolicies(rule('Deny'))), false, `Deny ${name}`);
    assert.is(allowed(withPolicies(rule('Pass'))), false, `Pass ${name}`);
  }
  const whole = cnp('a', { ...toOne('Deny', { protocols: port(443) }), schedule: 'nightly' });
  assert.is(allowed(withPolicies(whole)), false);
  const out = cnp('a', { subject: pod('one'), egress: [{ action: 'Deny', to: [{ nodes: {} }] }] });
  check(withPolicies(out), P1, '192.0.2.1', { 'tcp 80': false });
});

function allowed(cluster: CompiledCluster): boolean {
  return judgeBoth(cluster, { from: P2, to: P1, protocol: 'TCP', port: 80 }).allowed;
}

test('a policy without rules in a direction says nothing about it', () => {
  const cluster = withPolicies(cnp('a', { subject: EVERYONE }));
  const ruleset = cluster.rulesets.get('n1');
  const endpoint = ruleset?.get('endpoint/default/pod1');
  assert.ok(endpoint?.kind === 'endpoint' && endpoint.ingress === null && endpoint.egress === null);
});

test('a pod whose object has not come stays closed if a tier may deny it something', () => {
  const local = localOf(
    'n1',
    [parseApiObject(apiPod('late', 'default', '10.1.1.9', 'n1'))].filter((o) => o.kind === 'Pod'),
  );
  const ask = (...policies: readonly unknown[]) => {
    const objects = [apiNamespace('default'), ...policies].map(parseApiObject);
    const model = Model.of([...objects, ...NODES.map((node) => nodeRecord(node))]);
    const question = {
      pod: { namespace: 'default', name: 'late' },
      direction: 'ingress',
      protocol: 'TCP',
    } as const;
    return judge(compile(model, local, DEFAULT_CONFIG), { ...question, peer: P2, port: 80 }).allowed;
  };
  assert.is(ask(cnp('a', toOne('Deny', { protocols: port(443) }))), false);
  assert.is(ask(cnp('a', toOne('Accept'))), true);
  assert.is(ask(cnp('a', { ...toOne('Deny'), subject: TEAM_X })), true);
});

test('origins name the policy without a namespace', () => {
  const cluster = withPolicies(cnp('guard', toOne('Deny')));
  const { ingress } = judgeBoth(cluster, { from: P2, to: P1, protocol: null, port: 0 });
  assert.equal(ingress?.origin, {
    kind: 'ClusterNetworkPolicy',
    namespace: null,
    name: 'guard',
    field: 'spec.ingress[0]',
  });
});

test('the same bytes whatever the order of policies', () => {
  const policies = [
    cnp('a', toOne('Deny')),
    cnp('b', toOne('Accept')),
    apiPolicy('n', 'default', { podSelector: {}, ingress: [{ ports: ANY_TCP }] }),
  ];
  const text = (list: readonly unknown[]) =>
    [...withPolicies(...list).rulesets.values()].map(canonicalRuleset).join('\n');
  assert.is(text(policies), text([...policies].reverse()));
});

test.run();
