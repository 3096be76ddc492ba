/** The manifests under k8s/ say what the code reads, no more and no less. */
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { parse, parseAllDocuments } from 'yaml';
import { DEFAULT_CONFIG } from '../control/compiler/input.js';
import { parseClusterConfig } from '../control/ipam/config.js';
import { parseKsrConfig } from '../control/ksr/config.js';
import { RESOURCES } from '../control/ksr/resources.js';
import { fillAddress, renderAgentConfig } from '../control/node/render.js';

const read = (name: string): string =>
  readFileSync(fileURLToPath(new URL(`../../../k8s/${name}`, import.meta.url)), 'utf8');

interface Container {
  readonly name: string;
  readonly args?: readonly string[];
  readonly volumeMounts: readonly { readonly name: string; readonly mountPath: string }[];
  readonly securityContext: { readonly privileged?: boolean };
}

interface PodSpec {
  readonly hostNetwork?: boolean;
  readonly dnsPolicy?: string;
  readonly tolerations: readonly { readonly key?: string; readonly effect?: string }[];
  readonly initContainers?: readonly Container[];
  readonly containers: readonly Container[];
  readonly volumes: readonly { readonly name: string; readonly secret?: { readonly secretName: string } }[];
}

interface Rule {
  readonly apiGroups: readonly string[];
  readonly resources: readonly string[];
  readonly verbs: readonly string[];
}

/** What these tests look at; the API server checks the form of everything (test/kubernetes). */
interface Manifest {
  readonly kind: string;
  readonly metadata: { readonly name: string; readonly labels: Readonly<Record<string, string>> };
  readonly spec?: { readonly template?: { readonly spec: PodSpec } };
  readonly data?: Readonly<Record<string, string>>;
  readonly rules?: readonly Rule[];
}

const documents = (name: string): readonly Manifest[] =>
  parseAllDocuments(read(name)).map((document) => document.toJS());

/** A file of the ConfigMap. */
const shared = (name: string): unknown => JSON.parse(documents('config.yaml')[0]?.data?.[name] ?? '');

const workloads = (): readonly { readonly name: string; readonly pod: PodSpec }[] =>
  ['etcd.yaml', 'vswitch.yaml', 'ksr.yaml'].flatMap(documents).flatMap(({ metadata, spec }) => {
    const pod = spec?.template?.spec;
    return pod === undefined ? [] : [{ name: metadata.name, pod }];
  });

const containersOf = ({ initContainers = [], containers }: PodSpec): readonly Container[] => [
  ...initContainers,
  ...containers,
];

test('cluster.json is accepted, and spells out every setting', () => {
  const raw = shared('cluster.json') as object;
  assert.equal(Object.keys(raw).sort(), Object.keys(DEFAULT_CONFIG).sort());
  assert.equal(parseClusterConfig(raw), DEFAULT_CONFIG);
});

test('node.json becomes a configuration the agent accepts, and its paths are mounted', () => {
  const node = { name: 'node-1', addresses: ['10.0.0.1'] };
  const { config } = renderAgentConfig(shared('node.json'), shared('cluster.json'), node, 'node.json');
  const agent = workloads()
    .flatMap(({ pod }) => pod.containers)
    .find(({ name }) => name === 'agent');
  assert.ok(agent !== undefined && 'caFile' in config.store);
  const mounted = (path: string | null | undefined): boolean =>
    agent.volumeMounts.some(({ mountPath }) => path?.startsWith(`${mountPath}`));
  const { caFile, certFile, keyFile } = config.store as Record<'caFile' | 'certFile' | 'keyFile', string>;
  const { cni, dataplane, journal, cniBinDir, cniConfDir } = config;
  for (const path of [cni, dataplane, journal, cniBinDir, cniConfDir, caFile, certFile, keyFile]) {
    assert.ok(mounted(path), `${path} is mounted`);
  }
});

test('ksr.json is accepted by ksr', () => {
  const config = parseKsrConfig(
    JSON.parse(fillAddress(shared('ksr.json'), { addresses: [] }, 'ksr.json')),
    'x',
  );
  assert.equal(config.externalIPCIDRs, DEFAULT_CONFIG.externalIPCIDRs);
});

test('ksr may list and watch what it reflects, tell events, and nothing else', () => {
  const roles = documents('rbac.yaml').filter(({ kind }) => kind === 'ClusterRole');
  assert.is(roles.length, 1);
  const allowed = new Set<string>();
  for (const { apiGroups, resources, verbs } of roles[0]?.rules ?? []) {
    for (const group of apiGroups)
      for (const resource of resources) for (const verb of verbs) allowed.add(`${verb} ${group}/${resource}`);
  }
  const needed = RESOURCES.flatMap(({ apiVersion, path }) => {
    const group = apiVersion.includes('/') ? apiVersion.split('/')[0] : '';
    return ['list', 'watch'].map((verb) => `${verb} ${group}/${path.split('/').at(-1)}`);
  });
  assert.equal([...allowed].sort(), [...needed, 'create events.k8s.io/events'].sort());
});

test('every volume that is mounted is there, and every Secret is one that certificates.sh makes', () => {
  const script = read('certificates.sh');
  for (const { pod } of workloads()) {
    const { volumes } = pod;
    for (const { volumeMounts } of containersOf(pod))
      for (const { name } of volumeMounts)
        assert.ok(
          volumes.some((volume) => volume.name === name),
          name,
        );
    for (const { secret } of volumes) {
      if (secret !== undefined)
        assert.match(script, new RegExp(`^secret ${secret.secretName} `, 'm'), secret.secretName);
    }
  }
});

test('nothing needs the pod network or the cluster’s DNS to start', () => {
  assert.is(workloads().length, 3);
  for (const { name, pod } of workloads()) {
    assert.is(pod.hostNetwork, true, name);
    assert.is(pod.dnsPolicy, 'Default', name);
    const tolerated = pod.tolerations.some(
      ({ key, effect }) =>
        (key === undefined || key === 'node.kubernetes.io/not-ready') && effect === undefined,
    );
    assert.ok(tolerated, `${name} tolerates nodes that are not ready`);
  }
});

test('programs are started with flags they have', () => {
  const known: Readonly<Record<string, string>> = {
    dataplane: readFileSync(
      fileURLToPath(new URL('../../../control/dataplane/main.ts', import.meta.url)),
      'utf8',
    ),
    node: readFileSync(fileURLToPath(new URL('../../../control/node/main.ts', import.meta.url)), 'utf8'),
  };
  for (const { pod } of workloads()) {
    for (const { args = [] } of containersOf(pod)) {
      const source = known[args[0] ?? ''];
      if (source === undefined) continue;
      for (const flag of args.filter((arg) => arg.startsWith('--')))
        assert.ok(source.includes(flag.split('=')[0] ?? ''), flag);
    }
  }
});

test('only the agent is privileged', () => {
  const privileged = workloads()
    .flatMap(({ pod }) => containersOf(pod))
    .filter(({ securityContext }) => securityContext.privileged)
    .map(({ name }) => name);
  assert.equal(privileged, ['agent']);
  assert.is(
    parse(read('namespace.yaml')).metadata.labels['pod-security.kubernetes.io/enforce'],
    'privileged',
  );
});

test.run();
