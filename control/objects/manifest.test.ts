import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { DuplicateObjectError, InvalidObjectError, SyntaxInputError } from './document.js';
import { parseManifests } from './manifest.js';
import type { NetworkPolicy, Pod, Service } from './types.js';

const BOUTIQUE = join(
  process.env['PTEROPUS_BOUTIQUE'] ??
    fileURLToPath(new URL('../../../../../shared/data/online-boutique', import.meta.url)),
  'network-policies.yaml',
);

function only<T>(text: string): T {
  const { objects } = parseManifests(text, 'in.yaml');
  assert.is(objects.length, 1);
  return objects[0] as T;
}

function failure(text: string, type: new (...a: never[]) => Error = InvalidObjectError): string {
  try {
    parseManifests(text, 'in.yaml');
  } catch (error) {
    assert.instance(error, type);
    return (error as Error).message;
  }
  return assert.unreachable('should have failed') as never;
}

function policy(spec: string): string {
  return `apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata:\n  name: p\nspec:\n${spec.replace(/^/gm, '  ')}`;
}

test('defaults are those of the API server', () => {
  const pod = only<Pod>(
    'apiVersion: v1\nkind: Pod\nmetadata: {name: a}\nspec: {containers: [{name: c, ports: [{containerPort: 80}]}]}',
  );
  assert.is(pod.metadata.namespace, 'default');
  assert.is(pod.status.phase, 'Pending');
  assert.is(pod.spec.containers[0]?.ports[0]?.protocol, 'TCP');
  const service = only<Service>(
    'apiVersion: v1\nkind: Service\nmetadata: {name: s}\nspec: {selector: {}, ports: [{port: 80}]}',
  );
  assert.equal(service.spec.ports[0]?.targetPort, 80);
  assert.is(service.spec.selector, null);
  assert.is(service.spec.sessionAffinityTimeoutSeconds, 10800);
  assert.is(service.spec.loadBalancerSourceRanges, undefined);
});

test('a namespace always carries its name as a label', () => {
  const { objects } = parseManifests(
    'apiVersion: v1\nkind: Namespace\nmetadata: {name: a, labels: {kubernetes.io/metadata.name: b}}',
    'in.yaml',
  );
  assert.equal(objects[0]?.metadata.labels, { 'kubernetes.io/metadata.name': 'a' });
});

test('policyTypes: Ingress, and Egress if there are egress rules', () => {
  const types = (spec: string) => only<NetworkPolicy>(policy(spec)).spec.policyTypes;
  assert.equal(types('podSelector: {}'), ['Ingress']);
  assert.equal(types('egress: [{}]'), ['Ingress', 'Egress']);
  assert.equal(types('egress: []'), ['Ingress']);
  assert.equal(types('policyTypes: [Egress]\ningress: [{}]'), ['Egress']);
});

test('empty and absent stay apart', () => {
  const { spec } = only<NetworkPolicy>(policy('podSelector: {}\ningress: []'));
  assert.equal(spec.ingress, []);
  assert.is(spec.egress, undefined);
  const rule = only<NetworkPolicy>(policy('ingress: [{from: [], ports: null}]')).spec.ingress?.[0];
  assert.equal(rule?.peers, []);
  assert.is(rule?.ports, undefined);
});

test('an error names file, line, object, field and value', () => {
  const text = policy('podSelector: {}\ningress:\n- ports:\n  - port: 80\n  - port: 70000');
  assert.is(
    failure(text),
    'in.yaml:10: NetworkPolicy p: spec.ingress[0].ports[1].port: must be 1-65535 (got 70000)',
  );
});

const REFUSED: readonly (readonly [string, RegExp])[] = [
  ['ingress: [{form: []}]', /spec\.ingress\[0\]\.form: unknown field/],
  ['ingress: [{from: [{}]}]', /spec\.ingress\[0\]\.from\[0\]: must name a peer/],
  [
    'ingress: [{from: [{ipBlock: {cidr: 10.0.0.0/8, except: [11.0.0.0/8]}}]}]',
    /except\[0\]: must lie inside/,
  ],
  ['ingress: [{from: [{ipBlock: {cidr: 10.0.0.0}}]}]', /cidr: is not a CIDR/],
  ['ingress: [{from: [{ipBlock: {cidr: 10.0.0.0/8}, podSelector: {}}]}]', /must stand alone/],
  ['ingress: [{ports: [{port: 80, endPort: 79}]}]', /endPort: must be at least port 80/],
  ['ingress: [{ports: [{port: http, endPort: 81}]}]', /endPort: needs a numeric port/],
  ['ingress: [{ports: [{endPort: 81}]}]', /endPort: needs a numeric port/],
  ['ingress: [{ports: [{port: UPPER}]}]', /is not a valid port name/],
  ['ingress: [{ports: [{protocol: ICMP}]}]', /protocol: must be one of TCP, UDP, SCTP/],
  ['policyTypes: [Both]', /policyTypes\[0\]: must be one of Ingress, Egress/],
  ['podSelector: {matchLabels: {a: -x}}', /is not a valid label value/],
  ['podSelector: {matchLabels: {a: 1}}', /must be a string/],
  ['podSelector: {matchLabels: {a: yes}}', /must be a string/],
  ['podSelector: {matchExpressions: [{key: a, operator: In}]}', /values: must not be empty with In/],
  [
    'podSelector: {matchExpressions: [{key: a, operator: Exists, values: [b]}]}',
    /must be absent with Exists/,
  ],
  ['podSelector: {matchExpressions: [{key: a, operator: Gt, values: [b]}]}', /operator: must be one of/],
  ['podSelectors: {}', /spec\.podSelectors: unknown field/],
];

for (const [spec, message] of REFUSED) {
  test(`refused: ${spec}`, () => {
    assert.match(failure(policy(spec)), message);
  });
}

test('one input must not hold an object twice', () => {
  const one = policy('podSelector: {}');
  assert.match(
    failure(`${one}\n---\n${one}`, DuplicateObjectError),
    /^in\.yaml:8: NetworkPolicy default\/p: .*line 1$/,
  );
});

test('no YAML: file and line', () => {
  assert.match(failure('a: b\nc: [', SyntaxInputError), /^in\.yaml:2: /);
});

test('lists are unfolded, in YAML and JSON, with the lines of their items', () => {
  const item = { apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'a' } };
  const text = JSON.stringify({ apiVersion: 'v1', kind: 'List', items: [item] }, null, 1);
  assert.is(parseManifests(text, 'l.json').objects[0]?.metadata.name, 'a');
  const typed = 'apiVersion: v1\nkind: NamespaceList\nitems:\n- metadata: {name: a}\n- metadata: {name: b}\n';
  const { objects, sources } = parseManifests(typed, 'l.yaml');
  assert.equal(
    objects.map((o) => o.metadata.name),
    ['a', 'b'],
  );
  assert.equal(sources.get('Namespace//b'), { file: 'l.yaml', line: 5 });
  assert.match(
    failure(text.replace('"a"', '"A"')),
    /^in\.yaml:9: Namespace A: metadata\.name: is not a valid name/,
  );
});

test('other kinds are counted, workloads are handed on, foreign groups are told apart', () => {
  const text = [
    'apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}',
    'apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: a}',
    'apiVersion: crd.projectcalico.org/v1\nkind: NetworkPolicy\nmetadata: {name: a}',
    '# nothing',
  ].join('\n---\n');
  const result = parseManifests(text, 'in.yaml');
  assert.equal(
    [...result.skipped],
    [
      ['ConfigMap', 1],
      ['NetworkPolicy.crd.projectcalico.org/v1', 1],
    ],
  );
  assert.equal(
    result.workloads.map((w) => [w.kind, w.source?.line]),
    [['Deployment', 5]],
  );
});

test('a misspelt field of a Service is told: the API server would drop it', () => {
  const text = `apiVersion: v1
kind: Service
metadata: { name: s, namespace: shop }
spec:
  type: LoadBalancer
  loadBalancerSourceRange: [10.0.0.0/8]
  ports:
  - port: 80
    nodeport: 30080
`;
  assert.equal(parseManifests(text, 'in.yaml').warnings, [
    'in.yaml:6: Service shop/s: spec.loadBalancerSourceRange: unknown field, it has no effect',
    'in.yaml:9: Service shop/s: spec.ports[0].nodeport: unknown field, it has no effect',
  ]);
});

test('a separator glued to the end of a line is tolerated and told', () => {
  const text = `${policy('egress:\n- {}')}---\n# next\n${policy('egress:\n- {a: b}')}`;
  assert.match(failure(text), /^in\.yaml:15: NetworkPolicy p: spec\.egress\[0\]\.a: unknown field/);
  const two = `${policy('egress:\n- {}')}---\n# next\n${policy('podSelector: {}').replace('name: p', 'name: q')}`;
  const result = parseManifests(two, 'in.yaml');
  assert.equal(
    result.objects.map((o) => o.metadata.name),
    ['p', 'q'],
  );
  assert.equal(result.warnings, ['in.yaml: document separator at the end of a line (line 7)']);
  assert.is(result.sources.get('NetworkPolicy/default/q')?.line, 9);
});

if (existsSync(BOUTIQUE)) {
  test("Online Boutique's policies are read as they are", () => {
    const { objects, warnings } = parseManifests(readFileSync(BOUTIQUE, 'utf8'), BOUTIQUE);
    assert.is(objects.length, 13);
    assert.is(warnings.length, 1);
    assert.is(
      objects.filter((o) => o.kind === 'NetworkPolicy' && o.spec.egress?.length === 1).length >= 10,
      true,
    );
  });
}

test.run();
