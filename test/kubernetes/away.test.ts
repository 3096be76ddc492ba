/** The network's etcd hangs while agents are killed: they start from their mirrors, policies hold, pods are wired. */
import { readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { assertAsCompiled, dumpOf } from '../e2e/support/end-state.js';
import { until } from '../e2e/support/kernel.js';
import { fromApp, pod, policy } from '../e2e/support/manifests.js';
import { rest } from '../e2e/support/rest.js';
import { testIf } from '../support/requires.js';
import { clusterRequirements, startCluster, type TestCluster } from './support/cluster.js';
import { Pods } from './support/pods.js';

const needs = clusterRequirements();
const MANIFESTS = [
  pod('client', { node: 'node-1' }),
  pod('stranger', { node: 'node-1' }),
  pod('server', { node: 'node-2' }),
  policy('only-client', 'server', { ingress: [{ from: fromApp('client') }] }),
];
let running: TestCluster;
let pods: Pods;

test.before(async () => {
  if (needs.some((need) => need !== null)) return;
  running = await startCluster(`x-away-${process.pid}`, { mostBackoffMs: 20, leaseSeconds: 1 });
  pods = new Pods(running);
  await pods.bring(MANIFESTS);
});
test.after(() => running?.close());

async function problems(socket: string): Promise<string> {
  const { body } = await rest(socket, '/problems');
  return JSON.stringify(body);
}

testIf(test, ...needs)('agents start without the store, and are put right when it is back', async () => {
  const { driver, plane, cluster, api } = running;
  const before = await Promise.all(driver.nodes.map(dumpOf));
  const connection = await pods.workload('client').open('tcp', pods.ip('server'), 80);
  // A mirror is written a little behind what is in force.
  for (const { paths } of driver.nodes) {
    await until('the mirror has the pods', 10_000, () => {
      const kept = readFileSync(join(dirname(paths.journal), 'mirror'), 'utf8');
      return ['client', 'server'].every((name) => kept.includes(`${pods.ip(name)}\\"`)) ? true : null;
    });
  }
  const etcd = plane.etcd.process.pid!;
  process.kill(etcd, 'SIGSTOP');
  try {
    for (const { agent } of driver.nodes) {
      const { deaths } = agent;
      process.kill(agent.pid!, 'SIGKILL');
      await until('the agent died', 10_000, () => (agent.deaths > deaths ? true : null));
    }
    for (const { paths } of driver.nodes) {
      await until('the agent runs', 30_000, async () => {
        const { status } = await rest(paths.restSocket, '/readyz').catch(() => ({ status: 0 }));
        return status === 200 ? true : null;
      });
      assert.match(await problems(paths.restSocket), 'the store is away');
    }
    assert.equal(await Promise.all(driver.nodes.map(dumpOf)), before);
    assert.equal(await connection.send(50, 5), { sent: 50, answered: 50 });
    const { outcome } = await pods.workload('stranger').probe('tcp', pods.ip('server'), 80, 300);
    assert.is.not(outcome, 'connected');
    const bringing = pods.bring([...MANIFESTS, pod('late', { node: 'node-2' })]);
    const address = await until('the pod has its address', 20_000, async () => {
      const found = (await api.get('/api/v1/namespaces/default/pods/late').catch(() => ({}))) as {
        readonly status?: { readonly podIP?: string };
      };
      return found.status?.podIP ?? null;
    });
    process.kill(etcd, 'SIGCONT');
    await bringing;
    assert.is(pods.ip('late'), address);
  } finally {
    process.kill(etcd, 'SIGCONT');
  }
  assert.is((await pods.workload('client').probe('tcp', pods.ip('late'), 80, 3000)).outcome, 'connected');
  for (const node of driver.nodes) {
    assert.not.match(await problems(node.paths.restSocket), 'the store is away');
    const pods = cluster.state.pods.filter((one) => one.pod.spec.nodeName === node.spec.name);
    const wired = new Map(pods.map(({ pod: { metadata, status } }) => [metadata.name, status.podIPs]));
    await assertAsCompiled(node, wired, driver.store, cluster.spec.config, 'the store is back');
  }
});

test.run();
