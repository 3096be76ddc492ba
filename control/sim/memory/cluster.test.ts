/** Whole clusters on the memory feed: every cell of every matrix must agree with the oracle. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { file, testIf } from '../../../test/support/requires.js';
import { readInputs } from '../manifest-set.js';
import { compare, parseReachability } from '../matrix/reachability.js';
import { differences } from '../matrix/render.js';
import { EXAMPLE } from '../options.js';
import type { Session } from '../session.js';
import { startSession } from '../start.js';
import { resolveTrace } from '../traceway.js';

/** The Online Boutique demo's own manifests; PTEROPUS_BOUTIQUE names the folder. */
const BOUTIQUE = process.env['PTEROPUS_BOUTIQUE'] ?? join(EXAMPLE, '../../../shared/data/online-boutique');
const MANIFESTS = join(BOUTIQUE, 'manifests.yaml');
const POLICIES = join(BOUTIQUE, 'network-policies.yaml');

async function withCluster<T>(
  files: readonly string[],
  body: (session: Session) => Promise<T>,
  nodes = 3,
  dualStack = false,
): Promise<T> {
  const lines: string[] = [];
  const progress = (line: string) => lines.push(line);
  const session = await startSession({
    name: 'test',
    feed: 'memory',
    nodes,
    files,
    dualStack,
    runDir: '/nonexistent',
    progress,
  });
  try {
    return await body(session);
  } finally {
    await session.close();
  }
}

async function agree(session: Session, icmp = false): Promise<number> {
  const { cells } = await session.matrix({ icmp });
  assert.equal(differences(cells), []);
  return cells.length;
}

test('examples/shop: every cell as the policies and the authors say', async () => {
  await withCluster([EXAMPLE], async (session) => {
    const { cells } = await session.matrix({ icmp: false });
    assert.equal(differences(cells), []);
    assert.ok(cells.length > 2000);
    const path = join(EXAMPLE, 'expect.yaml');
    const { mismatches, unused, checked } = compare(
      cells,
      parseReachability(readFileSync(path, 'utf8'), path),
    );
    assert.equal(mismatches, []);
    assert.equal(unused, []);
    assert.ok(checked > 1500);
  });
});

test('examples/shop on one node: every cell is as the policies say', async () => {
  await withCluster([EXAMPLE], agree, 1);
});

test('examples/dual-stack: each family as the policies and the authors say', async () => {
  const dir = join(EXAMPLE, '../dual-stack');
  const body = async (session: Session) => {
    const { cells } = await session.matrix({ icmp: true });
    assert.equal(differences(cells), []);
    const path = join(dir, 'expect.yaml');
    const wanted = parseReachability(readFileSync(path, 'utf8'), path);
    const { mismatches, unused, checked } = compare(cells, wanted);
    assert.equal([mismatches, unused], [[], []]);
    assert.ok(checked > 200);
  };
  await withCluster([dir], body, 3, true);
});

test('examples/protocols: TCP, UDP and ICMP are told apart', async () => {
  const dir = join(EXAMPLE, '../protocols');
  await withCluster([dir], async (session) => {
    const { cells } = await session.matrix({ icmp: true });
    assert.equal(differences(cells), []);
    const path = join(dir, 'expect.yaml');
    const { mismatches, unused } = compare(cells, parseReachability(readFileSync(path, 'utf8'), path));
    assert.equal([mismatches, unused], [[], []]);
  });
});

test('examples/tiers: Admin, NetworkPolicies and Baseline', async () => {
  const dir = join(EXAMPLE, '../tiers');
  await withCluster([dir], async (session) => {
    const { cells } = await session.matrix({ icmp: false });
    assert.equal(differences(cells), []);
    const path = join(dir, 'expect.yaml');
    const { mismatches, unused } = compare(cells, parseReachability(readFileSync(path, 'utf8'), path));
    assert.equal([mismatches, unused], [[], []]);
  });
});

testIf(test, file(MANIFESTS))(
  'Online Boutique, unchanged, without policies: everyone reaches everyone',
  async () => {
    await withCluster([MANIFESTS], async (session) => {
      const { cells } = await session.matrix({ icmp: false });
      assert.ok(cells.every(({ agrees, measured }) => agrees && measured === 'yes'));
    });
  },
);

testIf(test, file(POLICIES))(
  'Online Boutique with its policies; then they come and go while it runs',
  async () => {
    await withCluster([MANIFESTS], async (session) => {
      const inputs = await readInputs([POLICIES]);
      const { objects } = await session.apply(inputs);
      assert.ok(objects > 10);
      const closed = (await session.matrix({ icmp: false })).cells;
      assert.equal(differences(closed), []);
      assert.ok(closed.some(({ measured }) => measured === 'no'));
      await session.delete(
        session.state.policies.map(({ metadata }) => `NetworkPolicy/${metadata.namespace}/${metadata.name}`),
      );
      const open = (await session.matrix({ icmp: false })).cells;
      assert.ok(open.every(({ agrees, measured }) => agrees && measured === 'yes'));
    });
  },
);

test('the matrix measures: a policy lost behind the cluster’s back is noticed', async () => {
  await withCluster([EXAMPLE], async (session) => {
    const { store } = session.driver;
    const key = '/pteropus/k8s/NetworkPolicy/payments/ledger';
    const revision = await store.get(key).then(async (entry) => {
      assert.ok(entry !== null);
      return (await store.transact([], [{ type: 'delete', key }])).revision;
    });
    await session.driver.settled(revision);
    const wrong = differences((await session.matrix({ icmp: false })).cells);
    assert.ok(wrong.some((line) => /^payments\/ledger-\d → .*expected none, measured connected/.test(line)));
    assert.ok(
      wrong.some((line) => /→ payments\/ledger-\d:5432.*expected an answer, measured timeout/.test(line)),
    );
  });
});

const DENY = `apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: lock, namespace: ops}
spec: {podSelector: {matchLabels: {app: dns}}, policyTypes: [Ingress]}
`;

test('a changed policy is in force in less than 100 ms', async () => {
  await withCluster([EXAMPLE], async (session) => {
    const probe = { ...resolveTrace(session.state, 'ops/debug', 'ops/dns:5353/udp'), timeoutMs: 200 };
    const outcome = async () => (await session.driver.probe([probe]))[0]?.outcome;
    const times: number[] = [];
    // Everything happens in this process: where others have the cores, its own time is what counts.
    const timed = async (change: () => Promise<{ readonly millis: number }>): Promise<void> => {
      const before = process.cpuUsage();
      const { millis } = await change();
      const { user, system } = process.cpuUsage(before);
      times.push(Math.min(millis, (user + system) / 1000));
    };
    for (let i = 0; i < 5; i++) {
      assert.is(await outcome(), 'connected');
      await timed(() => session.apply([{ file: 'lock.yaml', text: DENY }]));
      assert.is(await outcome(), 'timeout');
      await timed(() => session.delete(['NetworkPolicy/ops/lock']));
    }
    times.sort((a, b) => a - b);
    assert.ok(
      (times[Math.floor(times.length / 2)] ?? 0) < 100,
      `took ${times.map(Math.round).join(', ')} ms`,
    );
  });
});

test('pods come, change and go; what stays keeps its place and address', async () => {
  const text = (replicas: number, port: number) => `apiVersion: apps/v1
kind: StatefulSet
metadata: {name: extra, namespace: ops}
spec:
  replicas: ${replicas}
  template:
    metadata: {labels: {app: extra}}
    spec: {containers: [{name: c, image: i, ports: [{containerPort: ${port}}]}]}
---
apiVersion: v1
kind: Service
metadata: {name: extra, namespace: ops}
spec: {selector: {app: extra}, ports: [{port: 80, targetPort: ${port}}]}
`;
  await withCluster([EXAMPLE], async (session) => {
    const places = () =>
      new Map(
        session.state.pods.map(({ pod }) => [
          `${pod.metadata.namespace}/${pod.metadata.name}`,
          `${pod.spec.nodeName} ${pod.status.podIPs[0]}`,
        ]),
      );
    const before = places();
    const apply = (replicas: number, port: number) =>
      session.apply([{ file: 'x', text: text(replicas, port) }]);
    assert.is((await apply(4, 8000)).podsAdded, 4);
    for (const [name, place] of before) assert.is(places().get(name), place);
    await agree(session);
    assert.is((await apply(2, 8000)).podsRemoved, 2);
    const replaced = await apply(2, 9000);
    assert.equal([replaced.podsAdded, replaced.podsRemoved], [2, 2]);
    await agree(session);
    await session.delete(['StatefulSet/ops/extra']);
    const refused = resolveTrace(session.state, 'ops/debug', 'service/ops/extra:80');
    assert.is((await session.driver.probe([refused]))[0]?.outcome, 'rejected');
    assert.equal([...places()], [...before]);
  });
});

test('what cannot be applied changes nothing', async () => {
  await withCluster([EXAMPLE], async (session) => {
    const pods = session.state.pods.length;
    const bad = 'apiVersion: v1\nkind: Pod\nmetadata: {name: BAD, namespace: ops}\nspec: {containers: []}\n';
    const error: unknown = await session.apply([{ file: 'bad.yaml', text: bad }]).catch((e: unknown) => e);
    assert.match(String(error), /bad\.yaml:3/);
    assert.is(session.state.pods.length, pods);
  });
});

test('a trace tells the way over both nodes and the rule that decided', async () => {
  await withCluster([EXAMPLE], async (session) => {
    const allowed = await session.trace(resolveTrace(session.state, 'shop/web', 'service/payments/api:443'));
    assert.is(allowed.result.outcome, 'connected');
    const text = allowed.steps.map((step) => step.text).join('\n');
    assert.match(text, /NetworkPolicy shop\/web spec\.egress\[1\]/);
    assert.match(text, /NetworkPolicy payments\/api spec\.ingress\[0\]/);
    const denied = await session.trace(resolveTrace(session.state, 'shop/mailer', 'shop/cart:7070'));
    assert.is(denied.result.outcome, 'timeout');
    assert.match(denied.steps.map((step) => step.text).join('\n'), /shop\/default-deny/);
  });
});

test.run();
