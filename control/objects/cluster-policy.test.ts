/** ClusterNetworkPolicy: what is read, what is refused with its field, and what is noted as not understood. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { problemsOf, problemText } from '../model/problems.js';
import { Random } from '../oracle/random.js';
import { randomClusterPolicy } from '../oracle/random-tiers.js';
import { InvalidObjectError } from './document.js';
import { fromJson, toJson } from './json.js';
import { parseApiObject, parseManifests } from './manifest.js';
import type { ClusterNetworkPolicy } from './types.js';

const ALL = { namespaces: {} };

function policy(spec: object): ClusterNetworkPolicy {
  return parseApiObject({
    apiVersion: 'policy.networking.k8s.io/v1alpha2',
    kind: 'ClusterNetworkPolicy',
    metadata: { name: 'p' },
    spec: { tier: 'Admin', priority: 0, subject: ALL, ...spec },
  }) as ClusterNetworkPolicy;
}

const ingress = (rule: object) => policy({ ingress: [{ action: 'Deny', from: [ALL], ...rule }] });
const egress = (rule: object) => policy({ egress: [{ action: 'Deny', to: [ALL], ...rule }] });

test('peers and ports are said in the terms of NetworkPolicies', () => {
  const [rule] = egress({
    name: 'r',
    to: [{ networks: ['10.0.0.1/8', 'fd00::/8'] }, { pods: { namespaceSelector: {}, podSelector: {} } }],
    protocols: [
      { tcp: { destinationPort: { number: 80 } } },
      { sctp: { destinationPort: { range: { start: 5, end: 9 } } } },
    ],
  }).spec.egress;
  assert.equal(
    rule?.peers?.map(({ ipBlock }) => ipBlock?.cidr),
    ['10.0.0.0/8', 'fd00::/8', undefined],
  );
  assert.equal(rule?.ports, [
    { protocol: 'TCP', port: 80, endPort: undefined },
    { protocol: 'SCTP', port: 5, endPort: 9 },
  ]);
  assert.is(rule?.name, 'r');
  assert.equal(rule?.unsupported, []);
});

test('a port name stands for every protocol; ports as earlier drafts wrote them', () => {
  const named = ingress({ protocols: [{ destinationNamedPort: 'web' }] }).spec.ingress[0];
  assert.equal(
    named?.ports?.map(({ protocol, port }) => `${protocol} ${port}`),
    ['TCP web', 'UDP web', 'SCTP web'],
  );
  const draft = ingress({
    ports: [
      { portNumber: { protocol: 'UDP', port: 53 } },
      { portRange: { start: 1, end: 2 } },
      { namedPort: 'web' },
    ],
  }).spec.ingress[0];
  assert.equal(
    draft?.ports?.map(({ protocol, port, endPort }) => `${protocol} ${port} ${endPort ?? ''}`.trim()),
    ['UDP 53', 'TCP 1 2', 'TCP web', 'UDP web', 'SCTP web'],
  );
});

test('what is stored is read back', () => {
  const object = egress({ protocols: [{ tcp: {} }] });
  assert.equal(fromJson(toJson(object)), object);
});

test('what breaks the rules of the API is refused, with its field', () => {
  const refused: readonly (readonly [() => unknown, RegExp])[] = [
    [() => policy({ tier: 'Network' }), /ClusterNetworkPolicy p: spec\.tier: must be one of Admin, Baseline/],
    [() => policy({ priority: 1001 }), /spec\.priority: must be 0-1000 \(got 1001\)/],
    [() => policy({ priority: undefined }), /spec\.priority: is required/],
    [() => policy({ subject: {} }), /spec\.subject: must have exactly one of namespaces and pods/],
    [() => policy({ subject: { ...ALL, pods: {} } }), /spec\.subject: must have exactly one/],
    [() => policy({ subject: { nodes: {} } }), /spec\.subject\.nodes: unknown field/],
    [
      () => policy({ subject: { pods: { namespaceSelector: {} } } }),
      /subject\.pods\.podSelector: is required/,
    ],
    [() => ingress({ action: 'Log' }), /spec\.ingress\[0\]\.action: must be one of Accept, Deny, Pass/],
    [() => ingress({ from: [] }), /spec\.ingress\[0\]\.from: must not be empty/],
    [() => ingress({ from: undefined }), /spec\.ingress\[0\]\.from: is required/],
    [() => ingress({ from: [{ ...ALL, pods: {} }] }), /from\[0\]: must have exactly one field/],
    [() => ingress({ name: 'x'.repeat(101) }), /name: has at most 100 characters/],
    [() => ingress({ protocols: [] }), /protocols: must not be empty/],
    [() => ingress({ protocols: [{ tcp: {}, udp: {} }] }), /protocols\[0\]: must have exactly one field/],
    [() => ingress({ protocols: [{ tcp: { destinationPort: { number: 0 } } }] }), /number: must be 1-65535/],
    [
      () => ingress({ protocols: [{ tcp: { destinationPort: { range: { start: 9, end: 9 } } } }] }),
      /range\.end: must be more than start 9/,
    ],
    [() => ingress({ protocols: [{ destinationNamedPort: '-' }] }), /is not a valid port name/],
    [
      () => ingress({ protocols: [{ tcp: {} }], ports: [{ namedPort: 'a' }] }),
      /cannot stand beside protocols/,
    ],
    [() => egress({ to: [{ networks: ['10.0.0.0/40'] }] }), /networks\[0\]: is not a CIDR/],
    [
      () => egress({ to: [{ networks: ['10.0.0.0/8'] }], protocols: [{ destinationNamedPort: 'web' }] }),
      /spec\.egress\[0\]: has a port name and networks/,
    ],
  ];
  for (const [parse, message] of refused) {
    assert.throws(
      parse,
      (error: unknown) => error instanceof InvalidObjectError && message.test(error.message),
      String(message),
    );
  }
});

test('what is not understood is noted with its path, and reported', () => {
  const odd = policy({
    schedule: 'nightly',
    ingress: [{ action: 'Accept', from: [ALL, { serviceAccounts: {} }, {}], sourcePorts: [1] }],
    egress: [
      {
        action: 'Deny',
        to: [{ domainNames: ['a.b'] }, { nodes: {} }],
        protocols: [{ icmp: { type: 8 } }, {}],
      },
    ],
  });
  assert.equal(odd.spec.ingress[0]?.unsupported, [
    'spec.schedule',
    'spec.ingress[0].sourcePorts',
    'spec.ingress[0].from[1].serviceAccounts',
    'spec.ingress[0].from[2]',
  ]);
  assert.equal(odd.spec.egress[0]?.unsupported, [
    'spec.schedule',
    'spec.egress[0].to[0].domainNames',
    'spec.egress[0].to[1].nodes',
    'spec.egress[0].protocols[0].icmp',
    'spec.egress[0].protocols[1]',
  ]);
  const texts = problemsOf([odd], []).map(problemText);
  assert.is(texts.length, 9);
  assert.match(
    texts[1] ?? '',
    /^ClusterNetworkPolicy p: spec\.ingress\[0\]\.sourcePorts: is not supported; .*accepts nothing$/,
  );
  assert.match(texts[5] ?? '', /to\[0\]\.domainNames: is not supported; .*denies everything$/);
});

test('equal priorities in one tier are reported, with the order they get', () => {
  const at = (name: string, tier: string, priority: number) => ({
    ...policy({ tier, priority }),
    metadata: { name, namespace: null, uid: null, labels: {}, annotations: {} },
  });
  const texts = problemsOf(
    [at('b', 'Admin', 5), at('a', 'Admin', 5), at('c', 'Baseline', 5), at('d', 'Admin', 6)],
    [],
  );
  assert.equal(texts.map(problemText), [
    'ClusterNetworkPolicy b: spec.priority: 5 is that of a too, in the tier Admin: the API does not say which comes first; here it is the order of their names',
  ]);
});

test('whatever stands in a field, a policy is read or refused with its field, never anything else', () => {
  const junk = [null, 0, -1, 70000, 1.5, '', 'x', true, [], {}, [null], [[]], { a: 1 }, [{}]];
  const parts = {
    selector: () => ({
      matchLabels: { a: 'b' },
      matchExpressions: [{ key: 'c', operator: 'In', values: ['d'] }],
    }),
    networks: ['10.0.0.0/8'],
    portNames: ['web'],
    ports: [80],
  };
  let refused = 0;
  for (let seed = 1; seed <= 3000; seed++) {
    const random = new Random(seed);
    const value: unknown = structuredClone(randomClusterPolicy(random, 0, parts));
    const places: { holder: Record<string | number, unknown>; key: string | number }[] = [];
    const walk = (node: unknown): void => {
      if (typeof node !== 'object' || node === null) return;
      const holder = node as Record<string | number, unknown>;
      for (const key of Object.keys(holder)) {
        places.push({ holder, key });
        walk(holder[key]);
      }
    };
    walk((value as { spec: unknown }).spec);
    const { holder, key } = random.pick(places);
    holder[key] = random.pick(junk);
    try {
      parseApiObject(value);
    } catch (error) {
      assert.instance(error, InvalidObjectError, `seed ${seed}: ${String(error)}`);
      assert.match((error as Error).message, /^ClusterNetworkPolicy cnp0: spec/);
      refused++;
    }
  }
  assert.ok(refused > 1000 && refused < 3000, `${refused} refused`);
});

test('policies of other versions and projects are passed over, but not in silence', () => {
  const text =
    'apiVersion: policy.networking.k8s.io/v1alpha1\nkind: AdminNetworkPolicy\nmetadata: {name: a}\nspec: {}';
  const { skipped, warnings } = parseManifests(text, 'in.yaml');
  assert.equal([...skipped], [['AdminNetworkPolicy.policy.networking.k8s.io/v1alpha1', 1]]);
  assert.is(warnings.length, 1);
  assert.match(
    warnings[0] ?? '',
    /^in\.yaml:1: AdminNetworkPolicy of policy\.networking\.k8s\.io\/v1alpha1 is not enforced/,
  );
});

test.run();
