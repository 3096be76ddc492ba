/**
 * kill -9 of ksr, etcd, agents and data planes while pods, policies and Services change through a real API server: the end
 * is that of a clean start, new pods start again without a hand, and connections that are open stay open.
 */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { SimNode } from '../../control/sim/afxdp/node.js';
import type { NodeProcess } from '../../control/sim/afxdp/process.js';
import type { Workload } from '../../control/sim/afxdp/workload.js';
import { ManifestReader } from '../../control/sim/manifest-set.js';
import { seeded } from '../e2e/support/churn.js';
import { assertAsCompiled, assertLinks, calm, dumpOf } from '../e2e/support/end-state.js';
import { until } from '../e2e/support/kernel.js';
import { fromApp, type Manifest, manifestText, pod, policy, service } from '../e2e/support/manifests.js';
import { testIf } from '../support/requires.js';
import { clusterRequirements, startCluster, type TestCluster } from './support/cluster.js';

const needs = clusterRequirements();
const ROUNDS = 20;
const LINES = { count: 100, everyMs: 5 };
/** Kills come within this time of the first change, milliseconds. */
const SPAN_MS = 400;
const FIRST = [pod('client', { node: 'node-1' }), pod('server', { node: 'node-2' })];
const NAMES = Array.from({ length: 6 }, (_, i) => `churn-${i}`);
const NODES = ['node-1', 'node-2'];
const reader = new ManifestReader();
let running: TestCluster;

test.before(async () => {
  if (needs.some((need) => need !== null)) return;
  running = await startCluster(`x-kill-${process.pid}`, { mostBackoffMs: 20, leaseSeconds: 1 });
  await bring(FIRST);
});
test.after(() => running?.close());

type Victim = 'ksr' | 'etcd' | 'agent' | 'dataplane';

function processOf(victim: Victim, node: SimNode): NodeProcess {
  if (victim === 'ksr') return running.plane.ksr.process;
  return victim === 'etcd' ? running.plane.etcd.process : node[victim];
}

async function bring(manifests: readonly Manifest[]): Promise<void> {
  await running.cluster.bring(reader.parse([{ file: 'test', text: manifestText(manifests) }]));
}

function workload(name: string): Workload {
  return running.driver.workload({ type: 'pod', pod: { namespace: 'default', name } });
}

/** A cluster at random: some pods somewhere with one of three tiers, some policies between tiers, a Service. */
function randomManifests(random: (n: number) => number): readonly Manifest[] {
  const tier = (): string => `t${random(3)}`;
  const pods = NAMES.filter(() => random(2) === 0).map((name) => {
    // A pod that stays keeps its node: another one would be another pod.
    const node = NODES[Number(name.at(-1)) % 2]!;
    return pod(name, { node, labels: { tier: tier() } });
  });
  const policies = ['a', 'b', 'c']
    .filter(() => random(2) === 0)
    .map((name) => {
      const from = random(3) === 0 ? [] : [{ podSelector: { matchLabels: { tier: tier() } } }];
      const ingress = random(4) === 0 ? [{ from: fromApp('client') }] : [{ from }];
      return policy(name, NAMES[random(NAMES.length)]!, { ingress });
    });
  const services = random(2) === 0 ? [] : [service('churn', { tier: tier() })];
  return [...FIRST, ...pods, ...policies, ...services];
}

/** In each round every victim dies once, each at its own time. */
async function rounds(seed: number, victims: readonly Victim[], count: number): Promise<void> {
  const { driver, cluster } = running;
  const { config } = cluster.spec;
  const random = seeded(seed);
  const connection = await workload('client').open('tcp', ipOf('server'), 80);
  const start = performance.now();
  for (let round = 1; round <= count; round++) {
    const node = driver.nodes[random(driver.nodes.length)]!;
    const told = `seed ${seed} round ${round}: ${victims.join(' and ')}, ${node.spec.name}`;
    const programs = victims.map((victim) => processOf(victim, node));
    const deaths = programs.map((program) => program.deaths);
    // Traffic goes on without agent, ksr and etcd. Without a data plane TCP would wait longer and longer.
    const busy = victims.includes('dataplane') ? null : connection.send(LINES.count, LINES.everyMs);
    const changing = bring(randomManifests(random));
    await Promise.all(programs.map((program) => killWithin(random(SPAN_MS), program)));
    await changing;
    await until(`${told}: back`, 20_000, () =>
      programs.every((program, i) => program.deaths > deaths[i]!) ? true : null,
    );
    await assertInForce(told);
    for (const each of driver.nodes) await assertAsCompiled(each, podsOf(each), driver.store, config, told);
    if (busy !== null) {
      assert.equal(await busy, { sent: LINES.count, answered: LINES.count }, `${told}: the open connection`);
    }
    assert.equal(await connection.send(3, 1), { sent: 3, answered: 3 }, `${told}: the connection afterwards`);
  }
  const millis = (performance.now() - start) / count;
  process.stdout.write(`${victims.join(' and ')}: ${millis.toFixed(0)} ms a round\n`);
  await assertAsAfterCleanStart();
}

async function killWithin(ms: number, program: NodeProcess): Promise<void> {
  await new Promise((resolve) => setTimeout(resolve, ms));
  process.kill(program.pid!, 'SIGKILL');
}

/** What the API says is in force everywhere, and nothing is on its way. */
async function assertInForce(told: string): Promise<void> {
  const { driver, cluster } = running;
  await cluster.settled();
  await calm(driver.nodes, await lastChange(), told);
}

/** Revision of the last change of an object; others change without meaning anything to agents. */
async function lastChange(): Promise<number> {
  const { entries } = await running.driver.store.list('/pteropus/k8s/');
  return Math.max(0, ...entries.map(({ revision }) => revision));
}

/** Pods of a node as the API has them: name -> addresses. */
function podsOf(node: SimNode): ReadonlyMap<string, readonly string[]> {
  const pods = running.cluster.state.pods.map((one) => one.pod);
  return new Map(
    pods
      .filter(({ spec }) => spec.nodeName === node.spec.name)
      .map(({ metadata, status }) => [metadata.name, status.podIPs]),
  );
}

function ipOf(name: string): string {
  const found = running.cluster.state.pods.find(({ pod: { metadata } }) => metadata.name === name);
  return found?.pod.status.podIPs[0] ?? '';
}

/** All programs killed at once, so that everything is made from nothing: it is what was there before. */
async function assertAsAfterCleanStart(): Promise<void> {
  const { driver, plane } = running;
  const before = await Promise.all(driver.nodes.map(dumpOf));
  const programs = [
    plane.ksr.process,
    plane.etcd.process,
    ...driver.nodes.flatMap(({ agent, dataplane }) => [agent, dataplane]),
  ];
  const deaths = programs.map((program) => program.deaths);
  for (const { pid } of programs) process.kill(pid!, 'SIGKILL');
  await until('all are back', 20_000, () =>
    programs.every((program, i) => program.deaths > deaths[i]!) ? true : null,
  );
  await assertInForce('clean start');
  assert.equal(await Promise.all(driver.nodes.map(dumpOf)), before);
  for (const node of driver.nodes) assertLinks(node, podsOf(node).size, 'clean start');
}

testIf(test, ...needs)(`${ROUNDS} times kill -9 of an agent and of ksr`, () =>
  rounds(11, ['agent', 'ksr'], ROUNDS),
);
testIf(test, ...needs)(`${ROUNDS} times kill -9 of a data plane and of etcd`, () =>
  rounds(12, ['dataplane', 'etcd'], ROUNDS),
);

test.run();
