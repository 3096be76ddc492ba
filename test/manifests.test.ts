/** The manifests under k8s/ say what the code reads, no more and no less. */
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { parse, parseAllDocuments } from 'yaml';
import { DEFAULT_CONFIG } from '../control/compiler/input.js';
import { parseClusterConfig } from '../control/ipam/config.js';

const read = (name: string): string =>
  readFileSync(fileURLToPath(new URL(`../../../k8s/${name}`, import.meta.url)), 'utf8');

const data = (): Record<string, string> => parse(read('config.yaml')).data;

test('cluster.json is accepted, and spells out every setting', () => {
  const raw: unknown = JSON.parse(data()['cluster.json'] ?? '');
  assert.equal(Object.keys(raw as object).sort(), Object.keys(DEFAULT_CONFIG).sort());
  assert.equal(parseClusterConfig(raw), DEFAULT_CONFIG);
});

test('the conflist names the CNI program and its socket', () => {
  const conflist = JSON.parse(data()['10-pteropus.conflist'] ?? '');
  assert.is(conflist.plugins.length, 1);
  assert.is(conflist.plugins[0].type, 'pteropus');
  assert.match(conflist.plugins[0].socket, /^\//);
});

test('the reflector may read what the compiler uses, and write nothing', () => {
  const roles = parseAllDocuments(read('rbac.yaml'))
    .map((document) => document.toJS())
    .filter((object) => object.kind === 'ClusterRole');
  const rules: { resources: string[]; verbs: string[] }[] = roles.flatMap((role) => role.rules);
  const resources = rules.flatMap((rule) => rule.resources).sort();
  assert.equal(resources, [
    'clusternetworkpolicies',
    'endpointslices',
    'namespaces',
    'networkpolicies',
    'nodes',
    'pods',
    'services',
  ]);
  for (const rule of rules) assert.equal(rule.verbs, ['get', 'list', 'watch']);
});

test.run();
