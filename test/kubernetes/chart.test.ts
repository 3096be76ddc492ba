/** The Helm chart by itself: lint, what it makes, what it refuses; and that k8s/*.yaml is what it makes. */
import { spawnSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { parse } from 'yaml';
import { packageVersion } from '../../control/common/version.js';
import { parseClusterConfig } from '../../control/ipam/config.js';
import { renderAgentConfig } from '../../control/node/render.js';
import { programPath } from '../../control/sim/kubernetes/programs.js';
import { helm } from '../support/kubernetes/start.js';
import { testIf } from '../support/requires.js';
import { CHART, helmTemplate, K8S, lint, VARIANTS } from './support/chart.js';

const check = testIf(test, helm());

check('helm lint finds nothing, with the defaults and with each variant', () => {
  for (const values of [[], ...Object.values(VARIANTS)]) lint(values);
});

check('k8s/*.yaml is what the chart makes', () => {
  const script = spawnSync(process.execPath, [join(K8S, '../scripts/manifests.mjs'), '--print'], {
    env: { ...process.env, HELM: programPath('helm') },
    encoding: 'utf8',
  });
  assert.is(script.status, 0, script.stderr);
  const made = new Map(Object.entries(JSON.parse(script.stdout) as Record<string, string>));
  assert.equal(
    [...made.keys()].sort(),
    readdirSync(K8S)
      .filter((name) => name.endsWith('.yaml'))
      .sort(),
  );
  for (const [name, text] of made)
    assert.is(readFileSync(join(K8S, name), 'utf8'), text, `${name}: run node scripts/manifests.mjs`);
});

test('the chart has the version of the package', () => {
  const { version, appVersion } = parse(readFileSync(join(CHART, 'Chart.yaml'), 'utf8'));
  assert.equal([version, appVersion], [packageVersion(), packageVersion()]);
});

interface Schema {
  readonly properties?: Readonly<Record<string, Schema>>;
}

test('values.schema.json knows every value of values.yaml', () => {
  const schema: Schema = JSON.parse(readFileSync(join(CHART, 'values.schema.json'), 'utf8'));
  const known = (values: object, { properties = {} }: Schema, path: string): void => {
    for (const [name, value] of Object.entries(values)) {
      const inner = properties[name];
      assert.ok(inner !== undefined, `${path}${name} is in the schema`);
      const isGroup = typeof value === 'object' && value !== null && !Array.isArray(value);
      if (isGroup && inner.properties !== undefined) known(value, inner, `${path}${name}.`);
    }
  };
  known(parse(readFileSync(join(CHART, 'values.yaml'), 'utf8')), schema, '');
});

check('null ranges, the second family and per-node settings reach agents as they are meant', () => {
  const documents = helmTemplate([
    ...['etcd.hosts={10.0.0.1,fd00::1}', 'cluster.nodeInterconnectCIDR=', 'cluster.defaultGateway='],
    ...['cluster.ipv6.nodeInterconnectCIDR=', 'cluster.ipv6.defaultGateway=', 'node.uplinks.b=ens4'],
    ...['node.underlayAddresses.b={10.9.0.2,fd09::2}', 'metrics.enabled=true'],
  ]);
  const data = documents.find(({ kind }) => kind === 'ConfigMap')?.['data'] as Record<string, string>;
  const cluster: unknown = JSON.parse(data['cluster.json'] ?? '');
  const config = parseClusterConfig(cluster);
  assert.equal([config.nodeInterconnectCIDR, config.defaultGateway], [null, null]);
  assert.equal([config.ipv6?.nodeInterconnectCIDR, config.ipv6?.defaultGateway], [null, null]);
  const node = { name: 'b', addresses: ['10.0.0.7'] };
  const agent = renderAgentConfig(JSON.parse(data['node.json'] ?? ''), cluster, node, 'node.json').config;
  assert.equal([agent.uplink, agent.addresses], ['ens4', ['10.9.0.2', 'fd09::2']]);
  assert.equal(agent.rest?.listen, { host: '10.0.0.7', port: 9999 });
  assert.equal('endpoints' in agent.store && agent.store.endpoints, [
    'https://10.0.0.1:12379',
    'https://[fd00::1]:12379',
  ]);
});

check('the number of workers reaches data planes and agents, but not those on VPP', () => {
  const documents = helmTemplate([...(VARIANTS['nodes on VPP'] ?? []), 'node.workers=4']);
  const data = documents.find(({ kind }) => kind === 'ConfigMap')?.['data'] as Record<string, string>;
  const workers = (name: string): unknown => JSON.parse(data[name] ?? '').workers;
  assert.equal([workers('node.json'), workers('node-vpp.json')], [4, undefined]);
  const sets = documents.filter(({ kind }) => kind === 'DaemonSet').map((set) => JSON.stringify(set));
  assert.is(sets.filter((set) => set.includes('"--workers=4"')).length, 1);
});

check('nodes on VPP have a daemon set and a configuration of their own, and no other node has', () => {
  const documents = helmTemplate(VARIANTS['nodes on VPP'] ?? []);
  const data = documents.find(({ kind }) => kind === 'ConfigMap')?.['data'] as Record<string, string>;
  const node = { name: 'b', addresses: ['10.0.0.7'] };
  const cluster: unknown = JSON.parse(data['cluster.json'] ?? '');
  const config = (name: string) =>
    renderAgentConfig(JSON.parse(data[name] ?? ''), cluster, node, name).config;
  const { vpp, backend } = config('node-vpp.json');
  assert.is(backend, 'vpp');
  assert.equal([vpp?.uplink.type, vpp?.runDir, vpp?.startup.hugepages], ['pci', '/run/pteropus/vpp', '2M']);
  assert.is(config('node.json').backend, 'wasm');
  const sets = documents.filter(({ kind }) => kind === 'DaemonSet').map((set) => JSON.stringify(set));
  assert.is(sets.length, 2);
  const [ours = '', others = ''] = [...sets].sort((a, b) => a.indexOf('affinity') - b.indexOf('affinity'));
  assert.match(others, /"key":"pteropus\.io\/backend","operator":"NotIn","values":\["vpp"\]/);
  assert.match(ours, /"nodeSelector":\{[^}]*"pteropus\.io\/backend":"vpp"/);
  // The agent speaks to VPP by the API files of that very VPP.
  const images = [...ours.matchAll(/"image":"([^"]+)"/g)].map(([, image]) => image);
  assert.is(images.length, 3);
  assert.is(new Set(images).size, 1, images.join());
  assert.match(ours, /"args":\["vswitch","--no-agent","--config","\/run\/pteropus\/agent\.json"\]/);
  const services = documents.filter(({ kind }) => kind === 'Service').map(({ metadata }) => metadata.name);
  assert.ok(services.includes('pteropus-agent-vpp-metrics'));
});

const REFUSED: readonly [string, readonly string[], RegExp][] = [
  ['no etcd', [], /etcd\.hosts is needed/],
  [
    'an etcd of others without an API server',
    ['etcd.external.endpoints={https://e:2379}'],
    /ksr\.apiServer\.host is needed/,
  ],
  ['VPP without an image', ['etcd.hosts={10.0.0.1}', 'vpp.enabled=true'], /vpp\.image\.repository is needed/],
  ['a value nobody knows', ['etcd.hosts={10.0.0.1}', 'node.uplnk=a'], /uplnk/],
  ['an address that is none', ['etcd.hosts={master-1}'], /etcd\/hosts|etcd\.hosts/],
  ['too many workers', ['etcd.hosts={10.0.0.1}', 'node.workers=17'], /workers/],
  [
    'a number of buffers the data plane does not take',
    ['etcd.hosts={10.0.0.1}', 'node.frames=1000'],
    /frames/,
  ],
  ['a feed that is none', ['etcd.hosts={10.0.0.1}', 'node.podFeed=xdp'], /podFeed/],
  ['a range that is none', ['etcd.hosts={10.0.0.1}', 'cluster.serviceCIDR=10.96'], /serviceCIDR/],
];
for (const [what, values, message] of REFUSED) {
  check(`${what} is refused, and the value is named`, () => {
    assert.throws(() => helmTemplate(values), message);
  });
}

test.run();
