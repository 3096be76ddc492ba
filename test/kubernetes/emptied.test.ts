/**
 * The network's etcd emptied under running nodes: ids and addresses stay, no policy opens meanwhile, records return; and a
 * node whose journal the store contradicts is refused.
 */
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { OWN_NETNS } from '../../control/agent/agent-config.js';
import { Journal } from '../../control/agent/journal.js';
import { recordOf } from '../../control/agent/node-id.js';
import { toJson } from '../../control/objects/json.js';
import { nodeKey } from '../../control/objects/stored-keys.js';
import { NodeProcess } from '../../control/sim/afxdp/process.js';
import { MAX_OPERATIONS } from '../../control/store/store.js';
import { runExecutable } from '../cni/executable.js';
import { assertAsCompiled, assertLinks, calm, dumpOf } from '../e2e/support/end-state.js';
import { until } from '../e2e/support/kernel.js';
import { fromApp, pod, policy, service } from '../e2e/support/manifests.js';
import { rest } from '../e2e/support/rest.js';
import { testIf } from '../support/requires.js';
import { clusterRequirements, startCluster, type TestCluster } from './support/cluster.js';
import { Pods } from './support/pods.js';

const needs = clusterRequirements();
const MANIFESTS = [
  pod('client', { node: 'node-1' }),
  pod('stranger', { node: 'node-1' }),
  pod('server', { node: 'node-2' }),
  service('server', { app: 'server' }),
  policy('only-client', 'server', { ingress: [{ from: fromApp('client') }] }),
];
let running: TestCluster;
let pods: Pods;

test.before(async () => {
  if (needs.some((need) => need !== null)) return;
  running = await startCluster(`x-empty-${process.pid}`, { mostBackoffMs: 20, leaseSeconds: 1 });
  pods = new Pods(running);
  await pods.bring(MANIFESTS);
});
test.after(() => running?.close());

/** All keys at once, as far as a transaction goes. */
async function removeAllKeys(): Promise<void> {
  const { store } = running.driver;
  const { entries } = await store.list('/');
  const deletions = entries.map(({ key }) => ({ type: 'delete', key }) as const);
  assert.ok(deletions.length > 10);
  for (let at = 0; at < deletions.length; at += MAX_OPERATIONS) {
    await store.transact([], deletions.slice(at, at + MAX_OPERATIONS));
  }
}

/** Its files are gone, as after the loss of a disk: it begins anew, and its revisions too. */
async function replaceEtcd(): Promise<void> {
  const { etcd } = running.plane;
  const { deaths, pid } = etcd.process;
  process.kill(pid!, 'SIGSTOP');
  rmSync(join(runDir(), 'etcd', 'data'), { recursive: true, force: true });
  process.kill(pid!, 'SIGKILL');
  await until('etcd died', 10_000, () => (etcd.process.deaths > deaths ? true : null));
  await etcd.ready();
}

function runDir(): string {
  return join(running.driver.nodes[0]!.paths.dir, '..');
}

async function identities(): Promise<readonly unknown[]> {
  return Promise.all(
    running.driver.nodes.map(async ({ paths }) => (await rest(paths.restSocket, '/ipam')).body as unknown),
  );
}

for (const [what, empty] of [
  ['all keys removed', removeAllKeys],
  ['replaced by an empty one', replaceEtcd],
] as const) {
  testIf(test, ...needs)(`etcd under running nodes, ${what}`, async () => {
    const { driver, cluster } = running;
    const before = { dumps: await Promise.all(driver.nodes.map(dumpOf)), ids: await identities() };
    const connection = await pods.workload('client').open('tcp', pods.ip('server'), 80);
    let watching = true;
    const opened = (async () => {
      let attempts = 0;
      for (; watching; attempts++) {
        const { outcome } = await pods.workload('stranger').probe('tcp', pods.ip('server'), 80, 100);
        if (outcome === 'connected') return `the policy was open, attempt ${attempts}`;
      }
      return attempts > 3 ? null : 'hardly asked';
    })();
    const busy = connection.send(200, 5);
    await empty();
    await until('node records return', 20_000, async () => {
      const { entries } = await driver.store.list('/pteropus/nodes/').catch(() => ({ entries: [] }));
      return entries.length === driver.nodes.length ? true : null;
    });
    await cluster.settled();
    const { entries } = await driver.store.list('/pteropus/k8s/');
    await calm(driver.nodes, Math.max(...entries.map(({ revision }) => revision)), what);
    watching = false;
    assert.is(await opened, null);
    assert.equal(await busy, { sent: 200, answered: 200 });
    assert.equal(await identities(), before.ids);
    assert.equal(await Promise.all(driver.nodes.map(dumpOf)), before.dumps);

    await pods.bring([...MANIFESTS, pod('late', { node: 'node-2' })]);
    assert.is((await pods.workload('client').probe('tcp', pods.ip('late'), 80, 3000)).outcome, 'connected');
    await pods.bring(MANIFESTS);
    for (const node of driver.nodes) {
      const pods = cluster.state.pods.filter((one) => one.pod.spec.nodeName === node.spec.name);
      const wired = new Map(pods.map(({ pod: { metadata, status } }) => [metadata.name, status.podIPs]));
      await assertAsCompiled(node, wired, driver.store, cluster.spec.config, what);
      assertLinks(node, wired.size, what);
    }
  });
}

testIf(test, ...needs)(
  'a node whose journal and the store contradict each other is refused, and CNI STATUS says why',
  async () => {
    const { driver, plane, cluster } = running;
    const dir = join(runDir(), 'intruder');
    mkdirSync(dir, { recursive: true, mode: 0o700 });
    const paths = {
      cni: join(dir, 'cni.sock'),
      rest: join(dir, 'rest.sock'),
      journal: join(dir, 'journal.json'),
      dataplane: join(dir, 'dataplane.sock'),
    };
    // A disk that was copied, or a machine restored from another's.
    await new Journal(paths.journal).save({ node: 'intruder', id: 1, cursors: [], pods: [] });
    await driver.store.put(nodeKey(9), toJson(recordOf('intruder', 9, [])));
    const config = join(dir, 'agent.json');
    const store = { endpoints: [plane.etcd.endpoint] };
    const fields = { ...paths, node: 'intruder', store, uplink: 'lo', cluster: cluster.spec.config };
    writeFileSync(config, JSON.stringify({ ...fields, dieWithStdin: true }));
    const intruder = new NodeProcess({
      name: 'the intruder',
      netns: OWN_NETNS,
      argv: [
        process.execPath,
        new URL('../../../../bin/pteropus.mjs', import.meta.url).pathname,
        'agent',
        '--config',
        config,
      ],
      log: join(dir, 'agent.log'),
      saysReady: false,
      onDeath: () => undefined,
    });
    await intruder.start();
    try {
      const refusal = await until('it is refused', 20_000, async () => {
        const { status, body } = await rest(paths.rest, '/readyz').catch(() => ({ status: 0, body: {} }));
        return status === 503 && /the store says/.test(body.problem) ? (body.problem as string) : null;
      });
      assert.match(refusal, /node intruder: the journal says id 1, the store says 9/);
      const conf = { cniVersion: '1.1.0', name: 'net', type: 'pteropus', socket: paths.cni };
      const { exit, stdout } = await runExecutable({ CNI_COMMAND: 'STATUS', CNI_PATH: '/opt/cni/bin' }, conf);
      const told = JSON.parse(stdout) as { readonly code: number; readonly msg: string };
      assert.equal([exit, told.code], [1, 50]);
      assert.match(told.msg, /the journal says id 1, the store says 9/);
      const ready = await Promise.all(driver.nodes.map((node) => rest(node.paths.restSocket, '/readyz')));
      assert.equal(
        ready.map(({ status }) => status),
        [200, 200],
        'who has it keeps it',
      );
    } finally {
      await intruder.stop();
      await driver.store.delete(nodeKey(9));
    }
  },
);

test.run();
