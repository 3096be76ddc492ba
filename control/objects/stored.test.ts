import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { toJson } from './json.js';
import { parseApiObject } from './manifest.js';
import { readStored } from './stored.js';
import { parseStoredKey, storedKey } from './stored-keys.js';
import type { ClusterNetworkPolicy, KubeObject, NetworkPolicy } from './types.js';

const POLICY = parseApiObject({
  apiVersion: 'networking.k8s.io/v1',
  kind: 'NetworkPolicy',
  metadata: { name: 'p', namespace: 'shop' },
  spec: {
    podSelector: { matchLabels: { app: 'web' } },
    policyTypes: ['Ingress'],
    ingress: [{ from: [{ podSelector: {} }] }, { ports: [{ port: 80 }] }],
  },
}) as NetworkPolicy;
const TIERED = parseApiObject({
  apiVersion: 'policy.networking.k8s.io/v1alpha2',
  kind: 'ClusterNetworkPolicy',
  metadata: { name: 'c' },
  spec: {
    ...{ tier: 'Admin', priority: 1, subject: { namespaces: {} } },
    ingress: [
      { action: 'Accept', from: [{ namespaces: {} }] },
      { action: 'Deny', from: [{ namespaces: {} }] },
    ],
  },
}) as ClusterNetworkPolicy;

interface Rule extends Record<string, unknown> {
  ports: [Record<string, unknown>];
}

/** As much of an object's form as the changes below are about. */
interface Raw {
  metadata: Record<string, unknown>;
  spec: {
    ingress: [Rule, Rule];
    podSelector: Record<string, unknown>;
  } & Record<string, unknown>;
  [field: string]: unknown;
}

/** The object as a newer release might have written it. */
function newer(object: KubeObject, change: (raw: Raw) => void): ReturnType<typeof readStored> {
  const raw = JSON.parse(toJson(object)) as Raw;
  change(raw);
  return readStored(storedKey(object), JSON.stringify(raw));
}

test('what this release wrote is read as it was', () => {
  for (const object of [POLICY, TIERED]) {
    const { object: read, problem } = readStored(storedKey(object), toJson(object));
    assert.is(problem, null);
    assert.is(toJson(read as KubeObject), toJson(object));
  }
});

test('a field that restricts nothing is left out, and told', () => {
  const { object, problem } = newer(POLICY, (raw) => {
    raw.metadata.finalizers = [];
    raw.status = {};
  });
  assert.is(toJson(object as KubeObject), toJson(POLICY));
  assert.match(String(problem), /metadata\.finalizers.*no effect|status.*no effect/);
});

test('a field of a rule: the rule allows nothing, the others stay', () => {
  const { object, problem } = newer(POLICY, (raw) => {
    raw.spec.ingress[1].ports[0].icmp = 8;
  });
  assert.equal((object as NetworkPolicy).spec.ingress?.length, 1);
  assert.match(String(problem), 'spec.ingress[1].ports[0].icmp');
  const tiered = newer(TIERED, (raw) => {
    raw.spec.ingress[0].when = 'at night';
  }).object as ClusterNetworkPolicy;
  assert.equal(
    tiered.spec.ingress.map(({ unsupported }) => unsupported),
    [['spec.ingress[0].when'], []],
  );
});

test('a field of the policy: no rule of it allows anything', () => {
  const { object } = newer(POLICY, (raw) => {
    raw.spec.podSelector.matchNames = ['x'];
  });
  assert.equal((object as NetworkPolicy).spec.ingress, []);
  assert.equal((object as NetworkPolicy).spec.policyTypes, ['Ingress']);
  const tiered = newer(TIERED, (raw) => {
    raw.spec.schedule = {};
  }).object as ClusterNetworkPolicy;
  assert.ok(tiered.spec.ingress.every(({ unsupported }) => unsupported.length === 1));
});

test('a policy with a value that is not understood is closed; another object is not used', () => {
  const { object, problem } = newer(POLICY, (raw) => {
    raw.spec.ingress[1].ports[0].protocol = 'QUIC';
  });
  assert.equal((object as NetworkPolicy).spec.ingress, []);
  assert.equal((object as NetworkPolicy).spec.podSelector.matchLabels, { app: 'web' });
  assert.match(String(problem), 'no traffic');
  for (const value of ['', '{}', '[]', 'null', toJson(TIERED), '{"kind":"NetworkPolicy"}']) {
    const read = readStored(storedKey(POLICY), value);
    assert.is(read.object, null);
    assert.ok(read.problem !== null);
  }
});

test('keys name objects and back', () => {
  for (const object of [POLICY, TIERED]) {
    const { namespace, name } = object.metadata;
    assert.equal(parseStoredKey(storedKey(object)), { kind: object.kind, namespace, name });
  }
  for (const key of ['/pteropus/k8s/Unicorn/a/b', '/pteropus/k8s/Pod', '/other', '']) {
    assert.is(parseStoredKey(key), null);
  }
});

test.run();
