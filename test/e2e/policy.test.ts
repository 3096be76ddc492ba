/** Policies on connections that are open: what a new policy forbids stops, what it allows goes on without loss; and fast. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { testIf } from '../support/requires.js';
import { startTestCluster, type TestCluster } from './support/cluster.js';
import { fromApp, pod, policy } from './support/manifests.js';
import { requirements } from './support/needs.js';

const needs = requirements();
const LINES = 300;
const EVERY_MS = 5;
let cluster: TestCluster;

test.before(async () => {
  if (needs.some((need) => need !== null)) return;
  cluster = await startTestCluster('policy', [
    pod('near', { node: 'node-1' }),
    pod('far', { node: 'node-2' }),
    pod('stranger', { node: 'node-2' }),
    pod('server', { node: 'node-1' }),
  ]);
});
test.after(() => cluster?.close());

const allowSome = policy('allow-some', 'server', { ingress: [{ from: fromApp('near', 'far') }] });

for (const protocol of ['tcp', 'udp'] as const) {
  testIf(test, ...needs)(`${protocol}: a policy stops the connections it forbids and no others`, async () => {
    const clients = ['near', 'far', 'stranger'];
    const connections = await Promise.all(
      clients.map((name) => cluster.workload(name).open(protocol, cluster.ip('server'), 80)),
    );
    const before = await Promise.all(connections.map((connection) => connection.send(20, EVERY_MS)));
    for (const report of before) assert.equal(report, { sent: 20, answered: 20 });

    const running = connections.map((connection) => connection.send(LINES, EVERY_MS));
    await new Promise((resolve) => setTimeout(resolve, 100));
    await cluster.apply([allowSome]);
    const [near, far, stranger] = await Promise.all(running);
    assert.equal(near, { sent: LINES, answered: LINES }, 'near');
    assert.equal(far, { sent: LINES, answered: LINES }, 'far');
    assert.ok(stranger!.answered < LINES, `stranger got ${stranger!.answered} answers`);
    assert.ok(stranger!.answered > 5, 'and it was connected before');
    const after = await cluster.workload('stranger').probe(protocol, cluster.ip('server'), 80, 700);
    assert.is(after.outcome, 'timeout');

    await cluster.delete([allowSome]);
    const again = await cluster.workload('stranger').probe(protocol, cluster.ip('server'), 80, 3000);
    assert.is(again.outcome, 'connected');
    for (const name of clients) cluster.workload(name).closeConnections();
  });
}

testIf(test, ...needs)('a changed policy is in force everywhere in less than 100 ms', async () => {
  const deny = policy('deny-all', 'server', { policyTypes: ['Ingress'] });
  const times: number[] = [];
  for (let round = 0; round < 5; round++) {
    for (const change of [() => cluster.apply([deny]), () => cluster.delete([deny])]) {
      const start = performance.now();
      await change();
      times.push(performance.now() - start);
    }
    const open = await cluster.workload('far').probe('tcp', cluster.ip('server'), 80, 1000);
    assert.is(open.outcome, 'connected');
  }
  const sorted = times.sort((a, b) => a - b);
  process.stdout.write(
    `policy change in force: median ${sorted[5]!.toFixed(1)} ms, worst ${sorted[9]!.toFixed(1)} ms\n`,
  );
  assert.ok(sorted[5]! < 100, `median ${sorted[5]} ms`);
});

testIf(test, ...needs)('the policy in force when ADD returned holds for the first packet', async () => {
  const deny = policy('guard', 'late', { policyTypes: ['Ingress'] });
  await cluster.apply([deny]);
  await cluster.apply([pod('late', { node: 'node-2' })]);
  const results = await Promise.all(
    ['near', 'far'].map((name) => cluster.workload(name).probe('tcp', cluster.ip('late'), 80, 600)),
  );
  for (const { outcome } of results) assert.is(outcome, 'timeout');
  await cluster.delete([deny, pod('late', { node: 'node-2' })]);
});

test.run();
