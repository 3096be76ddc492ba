/** VPP killed under traffic, an agent killed, a VPP that somebody else changed: nobody has to lend a hand. */
import { readFileSync } from 'node:fs';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import type { Fields, VppApi } from '../../control/backends/vpp/api/api.js';
import { openVppApi } from '../../control/backends/vpp/api/open.js';
import type { SimNode } from '../../control/sim/afxdp/node.js';
import { startTestCluster, type TestCluster } from '../e2e/support/cluster.js';
import { until } from '../e2e/support/kernel.js';
import { fromApp, pod, policy, service } from '../e2e/support/manifests.js';
import { rest } from '../e2e/support/rest.js';
import { testIf } from '../support/requires.js';
import { needsVppCluster } from './needs.js';

const needs = needsVppCluster();
const test = suite('recovery on VPP');
let cluster: TestCluster;

test.before(async () => {
  if (needs.some((need) => need !== null)) return;
  cluster = await startTestCluster(
    'vrecover',
    [
      pod('client', { node: 'node-1' }),
      pod('server', { node: 'node-2' }),
      pod('stranger', { node: 'node-1' }),
      service('server', { app: 'server' }),
      policy('only-client', 'server', { ingress: [{ from: fromApp('client') }] }),
    ],
    { vpp: ['node-1', 'node-2'], mostBackoffMs: 20 },
  );
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

async function withApi<T>({ vpp }: SimNode, work: (api: VppApi) => Promise<T>): Promise<T> {
  assert.ok(vpp);
  const api = await openVppApi({ socket: vpp.paths.apiSocket, apiDir: vpp.install.apiDir, name: 'test' });
  try {
    return await work(api);
  } finally {
    await api.close();
  }
}

/** A command of the debug CLI of the node's VPP. */
const cli = (node: SimNode, command: string): Promise<string> => withApi(node, (api) => api.cli(command));

/** Seconds of a core that the process has taken so far. */
function cpuSeconds(pid: number | undefined): number {
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1]?.split(' ') ?? [];
  return (Number(fields[11]) + Number(fields[12])) / 100;
}

testIf(test, ...needs)(
  'an agent that is killed costs no packet; the next one adopts what it finds',
  async () => {
    await assertAsBefore();
    const connection = await cluster.workload('client').open('tcp', cluster.ip('server'), 80);
    const packets = await cluster.workload('client').open('udp', cluster.ip('server'), 80);
    const running = connection.send(400, 5);
    const datagrams = packets.send(400, 5);
    for (const node of cluster.driver.nodes) process.kill(node.agent.pid!, 'SIGKILL');
    assert.equal(await running, { sent: 400, answered: 400 });
    assert.equal(await datagrams, { sent: 400, answered: 400 }, 'UDP sends nothing twice');
    await until('the agents are back', 10_000, () =>
      cluster.driver.nodes.every((node) => node.agent.deaths === 1) ? true : null,
    );
    await Promise.all(cluster.driver.nodes.map((node) => node.agent.ready()));
    await assertAsBefore();
  },
);

for (const which of [0, 1]) {
  testIf(test, ...needs)(
    `VPP killed under traffic on node-${which + 1} is started and filled again`,
    async () => {
      const node = cluster.driver.nodes[which]!;
      const deaths = node.dataplane.deaths;
      const connection = await cluster.workload('client').open('tcp', cluster.ip('server'), 80);
      const running = connection.send(200, 5);
      process.kill(node.dataplane.pid!, 'SIGKILL');
      const start = performance.now();
      await until('traffic is back', 20_000, async () => {
        const { outcome } = await cluster.workload('client').probe('tcp', cluster.ip('server'), 80, 50);
        return outcome === 'connected' && node.dataplane.deaths > deaths ? true : null;
      });
      process.stdout.write(
        `traffic back ${(performance.now() - start).toFixed(0)} ms after VPP was killed\n`,
      );
      // TCP sends again what was lost, ever more patiently: its next attempt may take longer than VPP took.
      await running;
      await until('the open connection goes on', 20_000, async () => {
        const { sent, answered } = await connection.send(3, 1);
        return answered === sent ? true : null;
      });
      await assertAsBefore();
    },
  );
}

testIf(test, ...needs)('what somebody else changed in VPP is found and mended by a resync', async () => {
  const node = cluster.driver.nodes[0]!;
  await withApi(node, async (api) => {
    for (const { translation } of await api.dump('cnat_translation_dump')) {
      await api.request('cnat_translation_del', { id: (translation as { readonly id: number }).id });
    }
  });
  const { outcome } = await cluster.workload('client').probe('tcp', cluster.clusterIp('server'), 80, 300);
  assert.is.not(outcome, 'connected', 'the damage is real');
  const drift = (await rest(node.paths.restSocket, '/drift')).body.items as readonly {
    readonly key: string;
  }[];
  assert.ok(
    drift.some(({ key }) => key.startsWith('service/default/server/')),
    JSON.stringify(drift),
  );
  await rest(node.paths.restSocket, '/resync?kind=downstream', 'POST');
  await assertAsBefore();
});

/** The agent looks every ten seconds, and may do so between the damage and our seeing it. */
const LOOKED = 30_000;

testIf(test, ...needs)('an interface that somebody took down is up again without a hand', async () => {
  const node = cluster.driver.nodes[1]!;
  const { items } = (await rest(node.paths.restSocket, '/pods')).body as {
    items: readonly { link: string }[];
  };
  const outcome = async (): Promise<string> =>
    (await cluster.workload('client').probe('tcp', cluster.ip('server'), 80, 300)).outcome;
  await until('the damage is real', LOOKED, async () => {
    await cli(node, `set interface state host-${items[0]?.link} down`);
    return (await outcome()) === 'connected' ? null : true;
  });
  await until('it is up', LOOKED, async () => ((await outcome()) === 'connected' ? true : null));
  await assertAsBefore();
});

testIf(test, ...needs)('a policy that somebody took off an interface is back without a hand', async () => {
  const node = cluster.driver.nodes[1]!;
  const stranger = async (): Promise<string> =>
    (await cluster.workload('stranger').probe('tcp', cluster.ip('server'), 80, 300)).outcome;
  const judged = (api: VppApi): Promise<readonly Fields[]> =>
    api
      .dump('acl_interface_list_dump', { sw_if_index: 0xffffffff })
      .then((details) => details.filter(({ count }) => count !== 0));
  const { length } = await withApi(node, judged);
  assert.is(await stranger(), 'timeout');
  await until('the damage is real', LOOKED, async () => {
    await withApi(node, async (api) => {
      for (const { sw_if_index = 0 } of await judged(api)) {
        await api.request('acl_interface_set_acl_list', { sw_if_index });
      }
    });
    return (await stranger()) === 'connected' ? true : null;
  });
  await withApi(node, (api) =>
    until('all is judged again', LOOKED, async () => ((await judged(api)).length === length ? true : null)),
  );
  await assertAsBefore();
});

testIf(test, ...needs)(
  'a pod that ends without an agent: VPP loses its link, the next agent frees the rest',
  async () => {
    const [node] = cluster.driver.nodes;
    assert.ok(node?.vpp);
    const deaths = node.dataplane.deaths;
    const interfaces = () => cli(node, 'show interface');
    const before = await interfaces();
    await node.agent.stop();
    await cluster.driver.removePod({ namespace: 'default', name: 'stranger' });
    const allowed = await cluster.workload('client').probe('tcp', cluster.ip('server'), 80, 3000);
    assert.is(allowed.outcome, 'connected', JSON.stringify(allowed));
    const took = cpuSeconds(node.dataplane.pid);
    await new Promise((resolve) => setTimeout(resolve, 500));
    assert.ok(cpuSeconds(node.dataplane.pid) - took < 0.25, 'VPP does not spin over the link that is gone');
    await node.agent.start();
    const count = (text: string): number => text.match(/^host-pt/gm)?.length ?? 0;
    assert.is(count(await interfaces()), count(before) - 1);
    await cluster.apply([pod('another', { node: 'node-1' })]);
    const reached = await cluster.workload('another').probe('tcp', cluster.ip('client'), 80, 3000);
    assert.is(reached.outcome, 'connected', JSON.stringify(reached));
    assert.is(node.dataplane.deaths, deaths);
  },
);

test.run();
