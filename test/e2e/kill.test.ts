/**
 * kill -9 of agents and data planes of a dual-stack cluster while pods and policies change, again and again: the end is that
 * of a clean start, nobody has to lend a hand, and connections that are open stay open. The same with ksr, etcd and a real API server:
 * test/kubernetes/kill.test.ts.
 */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { DEFAULT_IPV6 } from '../../control/compiler/input.js';
import type { SimNode } from '../../control/sim/afxdp/node.js';
import { kubernetes } from '../support/kubernetes/start.js';
import { testIf } from '../support/requires.js';
import { Churn, seeded } from './support/churn.js';
import { startTestCluster, type TestCluster } from './support/cluster.js';
import { assertAsCompiled, assertLinks, calm, dumpOf } from './support/end-state.js';
import { until } from './support/kernel.js';
import { pod } from './support/manifests.js';
import { requirements } from './support/needs.js';

const needs = requirements('ip');
const CHANGES = 6;
/** Lines over the open connection in each round, and their pace in milliseconds. */
const LINES = { count: 60, everyMs: 5 };
/** The kill comes within this time of the first change, milliseconds. */
const SPAN_MS = 120;
const FIRST = { 'node-1': 'client', 'node-2': 'server' } as const;
let cluster: TestCluster;

test.before(async () => {
  if (needs.some((need) => need !== null)) return;
  const pods = Object.entries(FIRST).map(([node, name]) => pod(name, { node }));
  cluster = await startTestCluster('kill', pods, { mostBackoffMs: 20, config: { ipv6: DEFAULT_IPV6 } });
});
test.after(() => cluster?.close());

type Victim = 'agent' | 'dataplane';

/** Rounds of changes with a kill among them, each checked to the end. */
async function rounds(seed: number, victims: readonly Victim[], count: number): Promise<void> {
  const { driver, spec } = cluster;
  const random = seeded(seed);
  const churn = new Churn(spec.cluster, driver.store, driver.nodes, random);
  const connection = await cluster.workload('client').open('tcp', cluster.ip('server'), 80);
  const start = performance.now();
  for (let round = 1; round <= count; round++) {
    const node = driver.nodes[random(driver.nodes.length)]!;
    const told = `seed ${seed} round ${round}: ${victims.join(' and ')} of ${node.spec.name}`;
    const deaths = victims.map((victim) => node[victim].deaths);
    // Traffic goes on while an agent is away. While a data plane is, TCP would wait longer and longer before it tries again.
    const busy = victims.includes('dataplane') ? null : connection.send(LINES.count, LINES.everyMs);
    const changing = churn.run(CHANGES);
    await new Promise((resolve) => setTimeout(resolve, random(SPAN_MS)));
    for (const victim of victims) process.kill(node[victim].pid!, 'SIGKILL');
    await changing;
    await until(`${told}: back`, 15_000, () =>
      victims.every((victim, i) => node[victim].deaths > deaths[i]!) ? true : null,
    );
    await calm(driver.nodes, churn.revision, told);
    for (const each of driver.nodes) {
      await assertAsCompiled(each, running(each, churn), driver.store, spec.config, told);
    }
    if (busy !== null) {
      assert.equal(await busy, { sent: LINES.count, answered: LINES.count }, `${told}: the open connection`);
    }
    assert.equal(await connection.send(3, 1), { sent: 3, answered: 3 }, `${told}: the connection afterwards`);
  }
  const millis = (performance.now() - start) / count;
  process.stdout.write(
    `${victims.join(' and ')}: ${millis.toFixed(0)} ms a round, ${churn.retries} commands given again\n`,
  );
  await assertAsAfterCleanStart(churn);
  await churn.clear();
  await calm(driver.nodes, churn.revision, 'cleared');
  for (const each of driver.nodes) assertLinks(each, 1, 'cleared');
}

/** Pods of a node by name: the first one and those that came. */
function running(node: SimNode, churn: Churn): ReadonlyMap<string, readonly string[]> {
  const first = FIRST[node.spec.name as keyof typeof FIRST];
  return new Map([
    [first, addressesOf(first)],
    ...[...churn.wired].flatMap(([name, wired]) =>
      wired.node === node ? [[name, wired.addresses] as const] : [],
    ),
  ]);
}

function addressesOf(name: string): readonly string[] {
  const found = cluster.cluster.state.pods.find(({ pod: { metadata } }) => metadata.name === name);
  return found?.pod.status.podIPs ?? [];
}

/** Both programs of all nodes killed, so that everything is made from nothing: it is what was there before. */
async function assertAsAfterCleanStart(churn: Churn): Promise<void> {
  const { nodes } = cluster.driver;
  const before = await Promise.all(nodes.map(dumpOf));
  const programs = nodes.flatMap(({ agent, dataplane }) => [agent, dataplane]);
  const deaths = programs.map((program) => program.deaths);
  for (const { pid } of programs) process.kill(pid!, 'SIGKILL');
  await until('all are back', 15_000, () =>
    programs.every((program, i) => program.deaths > deaths[i]!) ? true : null,
  );
  await calm(nodes, churn.revision, 'clean start');
  assert.equal(await Promise.all(nodes.map(dumpOf)), before);
  for (const node of nodes) assertLinks(node, running(node, churn).size, 'clean start');
}

/** Where the real API server can be had, the same is done there, 20 times each. */
const ROUNDS = kubernetes() === null ? 6 : 20;
testIf(test, ...needs)(`${ROUNDS} times kill -9 of an agent`, () => rounds(1, ['agent'], ROUNDS));
testIf(test, ...needs)(`${ROUNDS} times kill -9 of a data plane`, () => rounds(2, ['dataplane'], ROUNDS));
testIf(test, ...needs)('kill -9 of both', () => rounds(3, ['agent', 'dataplane'], 4));

test.run();
