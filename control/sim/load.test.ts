import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { fileURLToPath } from 'node:url';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { InvalidInputError } from '../common/errors.js';
import { DEFAULT_CONFIG } from '../compiler/input.js';
import { clusterOnPaper, loadCluster } from './load.js';
import { ManifestReader, readInputs } from './manifest-set.js';

const POD = (name: string) => `apiVersion: v1
kind: Pod
metadata: {name: ${name}, namespace: shop}
spec: {containers: [{name: c, image: i, ports: [{containerPort: 80}]}]}
`;

function folder(files: Record<string, string>): string {
  const dir = mkdtempSync(join(tmpdir(), 'pteropus-load-'));
  for (const [name, text] of Object.entries(files)) writeFileSync(join(dir, name), text);
  return dir;
}

test('folders, files and standard input are read once each, in order', async () => {
  const dir = folder({ 'b.yml': POD('b'), 'a.yaml': POD('a'), 'c.json': '{}', 'README.md': 'no' });
  const inputs = await readInputs([dir, join(dir, 'a.yaml'), '-'], Readable.from([POD('z')]));
  assert.equal(
    inputs.map(({ file }) => file.slice(file.lastIndexOf('/') + 1)),
    ['a.yaml', 'b.yml', 'c.json', '<stdin>'],
  );
  rmSync(dir, { recursive: true });
});

test('what is not there, or holds nothing, is an error', async () => {
  const dir = folder({ 'README.md': 'no' });
  for (const arg of [dir, join(dir, 'absent.yaml')]) {
    const error: unknown = await readInputs([arg]).catch((e: unknown) => e);
    assert.instance(error, InvalidInputError);
    assert.ok((error as Error).message.includes(dir), 'names what was asked for');
  }
  rmSync(dir, { recursive: true });
});

test('an object given twice is an error that names both places', () => {
  const inputs = [
    { file: 'one.yaml', text: POD('a') },
    { file: 'two.yaml', text: `# again\n${POD('a')}` },
  ];
  assert.throws(() => new ManifestReader().parse(inputs), /two\.yaml:2: .*first in one\.yaml:1/);
});

test('kinds without meaning for a network are counted, expectations are not', () => {
  const text = `apiVersion: v1
kind: ConfigMap
metadata: {name: x}
---
apiVersion: sim.pteropus.io/v1
kind: Reachability
expect: []
`;
  assert.equal([...new ManifestReader().parse([{ file: 'x', text }]).skipped], [['ConfigMap', 1]]);
});

test('a cluster on paper has everything: nodes, addresses, endpoints', async () => {
  const dir = folder({
    'web.yaml': `apiVersion: apps/v1
kind: Deployment
metadata: {name: web, namespace: shop}
spec:
  replicas: 2
  template:
    metadata: {labels: {app: web}}
    spec: {containers: [{name: c, image: i, ports: [{name: http, containerPort: 8080}]}]}
---
apiVersion: v1
kind: Service
metadata: {name: web, namespace: shop}
spec: {selector: {app: web}, ports: [{port: 80, targetPort: http}]}
`,
  });
  const cluster = await loadCluster([dir], 2);
  assert.equal(cluster.pods.map(({ pod }) => pod.status.podIPs[0]).sort(), ['10.1.1.2', '10.1.2.2']);
  assert.equal(
    cluster.namespaces.map(({ metadata }) => metadata.name),
    ['default', 'shop'],
  );
  assert.is(cluster.slices[0]?.endpoints.length, 2);
  const kinds = new Set(cluster.objects.map(({ kind }) => kind));
  for (const kind of ['Node', 'NodeRecord', 'Namespace', 'Pod', 'Service', 'EndpointSlice'] as const)
    assert.ok(kinds.has(kind), kind);
  rmSync(dir, { recursive: true });
});

test('pods a workload of the same input made are not made twice', () => {
  const owned = `apiVersion: v1
kind: List
items:
  - apiVersion: apps/v1
    kind: ReplicaSet
    metadata: {name: web-1, namespace: shop}
    spec: {template: {metadata: {labels: {app: web}}, spec: {containers: [{name: c, image: i}]}}}
  - apiVersion: v1
    kind: Pod
    metadata: {name: web-1-xyz, namespace: shop, ownerReferences: [{kind: ReplicaSet, name: web-1}]}
    spec: {containers: [{name: c, image: i}]}
`;
  const set = new ManifestReader().parse([{ file: 'kubectl', text: owned }]);
  assert.is(set.items.size, 2);
});

const LIVE = fileURLToPath(new URL('../../../../test/fixtures/kubectl-get-all.yaml', import.meta.url));

test('what kubectl says of a running cluster: each pod once, old addresses and nodes gone', async () => {
  const { pods, services, slices, warnings } = await loadCluster([LIVE], 2);
  const count = (workload: string) => pods.filter((planned) => planned.workload === workload).length;
  assert.equal(
    ['web', 'db', 'logs', 'debug', 'migrate', 'report-29012345'].map((name) => count(`shop/${name}`)),
    [2, 1, 2, 1, 0, 1],
    'a Job that is over runs nothing; one that a CronJob has started does',
  );
  assert.is(pods.length, 7);
  for (const { pod } of pods) {
    assert.match(pod.spec.nodeName ?? '', /^node-[12]$/);
    assert.match(pod.status.podIPs[0] ?? '', /^10\.1\.[12]\./);
  }
  const addresses = slices.flatMap(({ endpoints }) => endpoints.flatMap((endpoint) => endpoint.addresses));
  assert.is(addresses.length, 5, 'two of web, two of api, one of db');
  assert.not(addresses.some((address) => address.startsWith('10.244.')));
  const web = services.find(({ metadata }) => metadata.name === 'web');
  assert.match(web?.spec.clusterIPs[0] ?? '', /^10\./);
  assert.match(web?.status.loadBalancer[0]?.ip ?? '', /^192\.0\.2\./);
  assert.is(web?.spec.ports[0]?.nodePort, 31234);
  assert.is(warnings.filter((line) => line.includes('of another cluster')).length, 2, warnings.join('\n'));
});

test('live pods beside a Deployment whose ReplicaSets were not asked for', () => {
  const set = new ManifestReader().parse([{ file: 'live.yaml', text: readFileSync(LIVE, 'utf8') }]);
  const items = new Map([...set.items].filter(([key]) => !key.startsWith('ReplicaSet/')));
  const { pods } = clusterOnPaper({ ...set, items }, ['node-1'], DEFAULT_CONFIG);
  assert.is(pods.filter(({ pod }) => pod.metadata.name.startsWith('web-')).length, 2);
});

const DEPLOYMENT = (spec: string) =>
  `apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: web, namespace: shop}\nspec:\n${spec}`;
const TEMPLATE = '  template: {metadata: {labels: {app: web}}, spec: {containers: [{name: c}]}}\n';

test('manifests that cannot be a cluster name the line', () => {
  const load = (text: string, file = 'm.yaml') =>
    clusterOnPaper(new ManifestReader().parse([{ file, text }]), ['node-1'], DEFAULT_CONFIG);
  const web = DEPLOYMENT(`  replicas: 2000000000\n${TEMPLATE}`);
  assert.throws(() => load(web), /m\.yaml:5: Deployment shop\/web: spec\.replicas: .*2000000000/);
  const full = DEPLOYMENT(`  replicas: 900\n${TEMPLATE}`);
  assert.throws(() => load(full), /shop\/web with 900 pods: 1 node has addresses for \d+ pods, not for 900/);
  const selector = DEPLOYMENT(`  selector:\n    matchLabels: {app: wep}\n${TEMPLATE}`);
  assert.throws(() => load(selector), /m\.yaml:6: .*spec\.selector\.matchLabels\.app: is not on the pods/);
  const service = (name: string) =>
    `apiVersion: v1\nkind: Service\nmetadata: {name: ${name}}\nspec:\n  clusterIP: 10.96.3.3\n  ports: [{port: 80}]\n`;
  assert.throws(
    () => load(`${service('a')}---\n${service('b')}`),
    /m\.yaml:12: Service default\/b: spec\.clusterIP: .*belongs to Service default\/a/,
  );
  const deep = `{"apiVersion":"v1","kind":"Pod","spec":${'['.repeat(100_000)}${']'.repeat(100_000)}}`;
  assert.throws(() => load(deep, 'deep.json'), /deep\.json: is nested more than 200 deep/);
  assert.throws(() => load(`{"a": "${'['.repeat(300)}"}`, 'fine.json'), /needs apiVersion/);
});

test.run();
