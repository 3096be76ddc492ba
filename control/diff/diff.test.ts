/** `pteropus diff`: what opens, what closes, on which ports, by whose decision; folded by workload. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { captured } from '../../test/support/captured.js';
import { InvalidInputError } from '../common/errors.js';
import { Random } from '../oracle/random.js';
import { run } from './main.js';

const folder = mkdtempSync(join(tmpdir(), 'pteropus-diff-'));
process.on('exit', () => rmSync(folder, { recursive: true }));

const WORKLOADS = `
apiVersion: apps/v1
kind: Deployment
metadata: { name: web, namespace: x }
spec:
  replicas: 3
  selector: { matchLabels: { app: web } }
  template:
    metadata: { labels: { app: web } }
    spec: { containers: [{ name: c, ports: [{ containerPort: 80, name: http }] }] }
---
apiVersion: apps/v1
kind: StatefulSet
metadata: { name: db, namespace: x }
spec:
  replicas: 2
  selector: { matchLabels: { app: db } }
  template:
    metadata: { labels: { app: db } }
    spec: { containers: [{ name: c, ports: [{ containerPort: 5432 }] }] }
---
apiVersion: v1
kind: Pod
metadata: { name: tool, namespace: "y" }
spec: { containers: [{ name: c }] }
`;

const ingress = (rules: string) => `
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: { name: db, namespace: x }
spec:
  podSelector: { matchLabels: { app: db } }
  ingress: ${rules}
`;
const fromWeb = (port: number) =>
  ingress(`[{ from: [{ podSelector: { matchLabels: { app: web } } }], ports: [{ port: ${port} }] }]`);

let counter = 0;
function write(text: string): string {
  const path = join(folder, `${counter++}.yaml`);
  writeFileSync(path, text);
  return path;
}
const workloads = write(WORKLOADS);
const NOTHING = 'apiVersion: v1\nkind: Namespace\nmetadata: { name: x }\n';

const diff = (old: string, now: string, ...more: readonly string[]) =>
  captured(run, ['--with', workloads, '-f', write(old), '-f', write(now), ...more]);

interface EntryJson {
  readonly from: readonly string[];
  readonly to: readonly string[];
  readonly ports: readonly { readonly protocol: string; readonly from?: number; readonly to?: number }[];
  readonly families: readonly string[];
  readonly pairs: number;
  readonly because: readonly {
    readonly direction: string;
    readonly before: string;
    readonly after: string;
  }[];
}
interface Json {
  readonly opens: readonly EntryJson[];
  readonly closes: readonly EntryJson[];
  readonly added: readonly string[];
  readonly removed: readonly string[];
}

async function json(old: string, now: string, ...more: readonly string[]): Promise<Json> {
  return JSON.parse((await diff(old, now, '--json', ...more)).text) as Json;
}

test('nothing changes: exit 0', async () => {
  assert.equal(await diff(fromWeb(5432), fromWeb(5432)), {
    code: 0,
    text: 'nothing opens, nothing closes\n',
  });
  // Written differently, meaning the same.
  const twice = `[{ from: [{ podSelector: { matchExpressions: [{ key: app, operator: In, values: [web] }] } }], ports: [{ port: 5432, endPort: 5432 }] }]`;
  assert.is((await diff(fromWeb(5432), ingress(twice))).code, 0);
});

test('a first policy closes: ports it leaves open are not named', async () => {
  const { opens, closes } = await json(NOTHING, fromWeb(5432));
  assert.equal(opens, []);
  const web = closes.find(({ from }) => from.includes('x/web'));
  assert.equal(web?.to, ['x/db']);
  assert.is(web?.pairs, 6);
  assert.equal(web?.ports, [
    { protocol: 'TCP', from: 1, to: 5431 },
    { protocol: 'TCP', from: 5433, to: 65535 },
    { protocol: 'UDP', from: 1, to: 65535 },
    { protocol: 'SCTP', from: 1, to: 65535 },
    { protocol: 'ICMP' },
  ]);
  const others = closes.find(({ from }) => from.includes('y/tool'));
  assert.equal([...(others?.from ?? [])].sort(), ['nodes', 'outside', 'x/db', 'y/tool']);
  assert.is(others?.ports.length, 4);
  assert.equal(others?.because, [
    {
      direction: 'ingress',
      before: 'open: no policy selects it',
      after: 'no rule of NetworkPolicy x/db allows it',
    },
  ]);
});

test('a rule that moves opens one port and closes another, with file and line', async () => {
  const { code, text } = await diff(fromWeb(5432), fromWeb(5433));
  assert.is(code, 1);
  assert.match(
    text,
    /^opens\n {2}\+ x\/web → x\/db {2}TCP 5433 {2}\(6 pairs\)\n {6}ingress before: no rule of NetworkPolicy x\/db \(\S+:2\) allows it\n {14}after: {2}allowed by NetworkPolicy x\/db spec\.ingress\[0\] \(\S+:7\)\n/,
  );
  assert.match(text, /\ncloses\n {2}- x\/web → x\/db {2}TCP 5432 {2}\(6 pairs\)\n/);
  assert.match(text, /\n1 open, 1 close\n$/);
});

test('blocks of addresses are compared, each without those inside it', async () => {
  const block = (cidr: string, except = '') =>
    ingress(`[{ from: [{ ipBlock: { cidr: ${cidr}${except} } }] }]`);
  const { opens, closes } = await json(
    block('10.128.0.0/9'),
    block('10.128.0.0/9', ', except: [10.200.0.0/16]'),
  );
  assert.equal(opens, []);
  assert.equal(
    closes.map(({ from, to }) => [from, to]),
    [[['outside/10.200.0.0/16'], ['x/db']]],
  );
});

test('dual-stack: what changes alike in both families is said once, what changes in one is said of that one', async () => {
  const block = (cidr: string) =>
    ingress(`[{ from: [{ podSelector: {} }, { ipBlock: { cidr: "${cidr}" } }] }]`);
  const [old, now] = [block('::/0'), ingress('[{ from: [{ podSelector: { matchLabels: { app: web } } }] }]')];
  const { closes, opens } = await json(old, now, '--dual-stack');
  assert.equal(opens, []);
  assert.equal(
    closes.map(({ from, to, families, pairs }) => [from, to, families, pairs]),
    [
      [['x/db'], ['x/db'], ['IPv4', 'IPv6'], 2],
      [['nodes', 'outside', 'y/tool'], ['x/db'], ['IPv6'], 8],
    ],
  );
  const { text } = await diff(old, now, '--dual-stack');
  assert.match(text, /- x\/db → x\/db {2}everything {2}\(2 pairs\)\n/);
  assert.match(text, /- nodes, outside, y\/tool → x\/db {2}everything over IPv6 {2}\(8 pairs\)\n/);
  const single = await json(old, now);
  assert.equal(
    single.closes.map(({ from, families }) => [from, families]),
    [[['x/db'], ['IPv4']]],
  );
});

test('tiers: what an administrator denies', async () => {
  const guard = `
apiVersion: policy.networking.k8s.io/v1alpha2
kind: ClusterNetworkPolicy
metadata: { name: guard }
spec:
  tier: Admin
  priority: 1
  subject: { namespaces: {} }
  egress: [{ name: no-metadata, action: Deny, to: [{ networks: [169.254.169.254/32] }] }]
`;
  const { code, text } = await diff(NOTHING, guard);
  assert.is(code, 1);
  assert.match(
    text,
    /- x\/db, x\/web, y\/tool → outside\/169\.254\.169\.254\/32 {2}everything {2}\(6 pairs\)/,
  );
  assert.match(
    text,
    /after: {2}denied by ClusterNetworkPolicy guard spec\.egress\[0\] \(\S+:9, "no-metadata"\)/,
  );
});

test('workloads that come or go are named, not compared', async () => {
  const pod =
    'apiVersion: v1\nkind: Pod\nmetadata: { name: fresh, namespace: x }\nspec: { containers: [{ name: c }] }\n';
  const { added, removed, opens } = await json(NOTHING, pod);
  assert.equal([added, removed, opens], [['x/fresh'], [], []]);
  assert.match((await diff(pod, NOTHING)).text, /^note: x\/fresh is only in the old manifests/);
});

test('there and back again: what opens one way closes the other', async () => {
  const random = new Random(7);
  const rule = () => {
    const port = random.pick([80, 443, 5432]);
    const peer = random.pick([
      '{ podSelector: {} }',
      '{ namespaceSelector: {} }',
      '{ ipBlock: { cidr: 192.0.2.0/24 } }',
    ]);
    return `{ from: [${peer}], ports: [{ port: ${port}, protocol: ${random.pick(['TCP', 'UDP'])} }] }`;
  };
  for (let i = 0; i < 10; i++) {
    const [a, b] = [ingress(`[${rule()}, ${rule()}]`), ingress(`[${rule()}]`)];
    const [there, back] = [await json(a, b), await json(b, a)];
    const plain = (entries: readonly EntryJson[]) =>
      entries.map(({ from, to, ports }) => JSON.stringify([from, to, ports])).sort();
    assert.equal(plain(there.opens), plain(back.closes));
    assert.equal(plain(there.closes), plain(back.opens));
  }
});

test('two -f are needed', async () => {
  for (const args of [
    ['-f', workloads],
    ['-f', workloads, '-f', workloads, '-f', workloads],
  ]) {
    try {
      await run(args);
      assert.unreachable();
    } catch (error) {
      assert.instance(error, InvalidInputError);
      assert.match((error as Error).message, /-f: must be given twice/);
    }
  }
});

test.run();
