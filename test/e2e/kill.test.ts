/**
 * kill -9 of agents and data planes while pods and policies change, again and again: the end is that of a clean start,
 * nobody has to lend a hand, and connections that are open stay open.
 */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { PodRecord } from '../../control/agent/journal.js';
import { compile } from '../../control/compiler/compile.js';
import { HOST, UPLINK } from '../../control/compiler/interfaces.js';
import { Model } from '../../control/model/model.js';
import { fromJson } from '../../control/objects/json.js';
import { canonicalRuleset, rulesetOf } from '../../control/ruleset/canonical.js';
import type { InterfaceItem, Item, Ruleset } from '../../control/ruleset/types.js';
import type { SimNode } from '../../control/sim/afxdp/node.js';
import { testIf } from '../support/requires.js';
import { Churn, seeded } from './support/churn.js';
import { startTestCluster, type TestCluster } from './support/cluster.js';
import { inNetns, until } from './support/kernel.js';
import { pod } from './support/manifests.js';
import { requirements } from './support/needs.js';
import { rest } from './support/rest.js';

const needs = requirements('ip');
const ROUNDS = 20;
const CHANGES = 6;
/** Lines over the open connection in each round, and their pace in milliseconds. */
const LINES = { count: 60, everyMs: 5 };
/** The kill comes within this time of the first change, milliseconds. */
const SPAN_MS = 120;
let cluster: TestCluster;

test.before(async () => {
  if (needs.some((need) => need !== null)) return;
  cluster = await startTestCluster(
    'kill',
    [pod('client', { node: 'node-1' }), pod('server', { node: 'node-2' })],
    { mostBackoffMs: 20 },
  );
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
    await settled(churn.revision, told);
    for (const each of driver.nodes) await assertAsCompiled(each, churn, told);
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
  for (const each of driver.nodes)
    await settled(churn.revision, 'cleared').then(() => assertLinks(each, churn));
}

/** Everything up to `revision` is in force on all nodes, and nothing is on its way. */
async function settled(revision: number, told: string): Promise<void> {
  await cluster.driver.settled(revision);
  for (const { paths, agent } of cluster.driver.nodes) {
    await agent.ready();
    await until(`${told}: settled`, 15_000, async () => {
      try {
        const { body } = await rest(paths.restSocket, '/status');
        const drift = await rest(paths.restSocket, '/drift');
        const calm = body.ready && body.store.applied >= revision && drift.body.items?.length === 0;
        return calm ? true : null;
      } catch {
        // It is on its way back.
        return null;
      }
    });
  }
}

/** What the data plane has is what a compiler that starts with nothing makes of the store and of the pods that run. */
async function assertAsCompiled(node: SimNode, churn: Churn, told: string): Promise<void> {
  const { items } = (await rest(node.paths.restSocket, '/backend')).body as { items: Item[] };
  const { items: records } = (await rest(node.paths.restSocket, '/pods')).body as { items: PodRecord[] };
  const wired = records
    .filter(({ pod: { name } }) => churn.wired.has(name))
    .map(({ pod: { name }, addresses }) => `${name} ${addresses.join()}`);
  const expected = [...churn.wired.values()].filter((one) => one.node === node);
  assert.equal(
    wired.sort(),
    expected.map(({ pod: { metadata }, addresses }) => `${metadata.name} ${addresses.join()}`).sort(),
    `${told}: pods of ${node.spec.name}`,
  );
  assert.is(records.length, expected.length + 1, `${told}: no other pod than the first one`);
  const real = rulesetOf(items);
  const wanted = await compiled(node, real, records);
  assert.is(canonicalRuleset(real), canonicalRuleset(wanted), `${told}: data plane of ${node.spec.name}`);
}

async function compiled(node: SimNode, real: Ruleset, records: readonly PodRecord[]): Promise<Ruleset> {
  const { store } = cluster.driver;
  const lists = await Promise.all(['/pteropus/k8s/', '/pteropus/nodes/'].map((prefix) => store.list(prefix)));
  const objects = lists.flatMap(({ entries }) => entries.map(({ key, value }) => fromJson(value, key)));
  const link = (key: string): InterfaceItem => real.get(key) as InterfaceItem;
  const host = link(HOST);
  const local = {
    node: node.spec.name,
    uplink: { link: link(UPLINK).link, mac: link(UPLINK).mac },
    host: { link: host.link, mac: host.mac, peerMac: host.peerMac ?? '' },
    attachments: records.map((record) => ({ ...record, peerMac: record.podMac })).map(attachment),
  };
  return compile(Model.of(objects), local, cluster.spec.config);
}

function attachment({ pod: ref, link, mac, podMac, addresses }: PodRecord) {
  return { pod: ref, link, mac, peerMac: podMac, addresses };
}

/** Both programs of all nodes killed, so that everything is made from nothing: it is what was there before. */
async function assertAsAfterCleanStart(churn: Churn): Promise<void> {
  const { nodes } = cluster.driver;
  const dump = async ({ paths }: SimNode): Promise<string> => {
    return canonicalRuleset(rulesetOf((await rest(paths.restSocket, '/backend')).body.items as Item[]));
  };
  const before = await Promise.all(nodes.map(dump));
  const deaths = nodes.map(({ agent, dataplane }) => [agent.deaths, dataplane.deaths] as const);
  for (const { agent, dataplane } of nodes)
    for (const { pid } of [agent, dataplane]) process.kill(pid!, 'SIGKILL');
  await until('all are back', 15_000, () => {
    return nodes.every(
      ({ agent, dataplane }, i) => agent.deaths > deaths[i]![0] && dataplane.deaths > deaths[i]![1],
    )
      ? true
      : null;
  });
  await settled(churn.revision, 'clean start');
  assert.equal(await Promise.all(nodes.map(dump)), before);
  for (const node of nodes) await assertLinks(node, churn);
}

/** Of pods' links there are those of the pods that run, and no other. */
async function assertLinks(node: SimNode, churn: Churn): Promise<void> {
  const netns = node.netns.replace('/run/netns/', '');
  const links = (JSON.parse(inNetns(netns, 'ip', '-j', 'link')) as { ifname: string }[])
    .map(({ ifname }) => ifname)
    .filter((name) => /^pt[0-9a-f]{13}$/.test(name));
  const running = [...churn.wired.values()].filter((one) => one.node === node).length;
  assert.is(links.length, running + 1, `links of ${node.spec.name}: ${links.join(' ')}`);
}

testIf(test, ...needs)(`${ROUNDS} times kill -9 of an agent`, () => rounds(1, ['agent'], ROUNDS));
testIf(test, ...needs)(`${ROUNDS} times kill -9 of a data plane`, () => rounds(2, ['dataplane'], ROUNDS));
testIf(test, ...needs)('kill -9 of both', () => rounds(3, ['agent', 'dataplane'], 5));

test.run();
