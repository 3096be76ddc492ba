/** Killed programs of a node: traffic goes on or comes back, and nothing of the state is lost. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { testIf } from '../support/requires.js';
import { startTestCluster, type TestCluster } from './support/cluster.js';
import { until } from './support/kernel.js';
import { fromApp, pod, policy, service } from './support/manifests.js';
import { requirements } from './support/needs.js';

const needs = requirements();
let cluster: TestCluster;

test.before(async () => {
  if (needs.some((need) => need !== null)) return;
  cluster = await startTestCluster('recover', [
    pod('client', { node: 'node-1' }),
    pod('server', { node: 'node-2' }),
    pod('stranger', { node: 'node-1' }),
    service('server', { app: 'server' }),
    policy('only-client', 'server', { ingress: [{ from: fromApp('client') }] }),
  ]);
});
test.after(() => cluster?.close());

async function assertAsBefore(): Promise<void> {
  for (const address of [cluster.ip('server'), cluster.clusterIp('server')]) {
    const allowed = await cluster.workload('client').probe('tcp', address, 80, 3000);
    assert.is(allowed.outcome, 'connected', JSON.stringify(allowed));
    const denied = await cluster.workload('stranger').probe('tcp', address, 80, 500);
    assert.is(denied.outcome, 'timeout', JSON.stringify(denied));
  }
}

testIf(test, ...needs)('an agent that is killed interrupts nothing and comes back', async () => {
  await assertAsBefore();
  const connection = await cluster.workload('client').open('tcp', cluster.ip('server'), 80);
  const running = connection.send(400, 5);
  for (const node of cluster.driver.nodes) process.kill(node.agent.pid!, 'SIGKILL');
  assert.equal(await running, { sent: 400, answered: 400 });
  await until('the agents are back', 10_000, () => {
    return cluster.driver.nodes.every((node) => node.agent.deaths === 1) ? true : null;
  });
  await Promise.all(cluster.driver.nodes.map((node) => node.agent.ready()));
  await assertAsBefore();
  const deny = policy('deny', 'server', { policyTypes: ['Ingress', 'Egress'], egress: [] });
  await cluster.apply([deny]);
  await cluster.apply([pod('new', { node: 'node-2' })]);
  assert.is(
    (await cluster.workload('client').probe('tcp', cluster.ip('new'), 80, 2000)).outcome,
    'connected',
  );
  assert.is.not(cluster.ip('new'), cluster.ip('server'));
  await cluster.delete([deny, pod('new')]);
});

for (const which of [0, 1]) {
  testIf(test, ...needs)(
    `a data plane that is killed on node-${which + 1} is started and filled again`,
    async () => {
      const node = cluster.driver.nodes[which]!;
      const connection = await cluster.workload('client').open('tcp', cluster.ip('server'), 80);
      const running = connection.send(600, 5);
      process.kill(node.dataplane.pid!, 'SIGKILL');
      const start = performance.now();
      await until('traffic is back', 10_000, async () => {
        const { outcome } = await cluster.workload('client').probe('tcp', cluster.ip('server'), 80, 50);
        return outcome === 'connected' && node.dataplane.deaths === 1 ? true : null;
      });
      process.stdout.write(
        `traffic back ${(performance.now() - start).toFixed(0)} ms after the data plane was killed\n`,
      );
      // Picked up in the middle by the new data plane; TCP sends again what was lost meanwhile.
      assert.equal(await running, { sent: 600, answered: 600 });
      await assertAsBefore();
    },
  );
}

testIf(test, ...needs)('both programs of both nodes killed at once', async () => {
  for (const node of cluster.driver.nodes) {
    process.kill(node.dataplane.pid!, 'SIGKILL');
    process.kill(node.agent.pid!, 'SIGKILL');
  }
  await until('traffic is back', 15_000, async () => {
    const { outcome } = await cluster.workload('client').probe('tcp', cluster.ip('server'), 80, 300);
    return outcome === 'connected' && cluster.driver.nodes.every((node) => node.agent.deaths === 2)
      ? true
      : null;
  });
  await assertAsBefore();
});

test.run();
