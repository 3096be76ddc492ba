/** VPP killed under traffic, an agent killed, a VPP that somebody else changed: nobody has to lend a hand. */
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
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

/** A command of the debug CLI of the node's VPP. */
async function cli({ vpp }: SimNode, command: string): Promise<string> {
  assert.ok(vpp);
  const api = await openVppApi({ socket: vpp.paths.apiSocket, apiDir: vpp.install.apiDir, name: 'test' });
  try {
    return await api.cli(command);
  } finally {
    await api.close();
  }
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
      const running = connection.send(600, 5);
      process.kill(node.dataplane.pid!, 'SIGKILL');
      const start = performance.now();
      await until('traffic is back', 20_000, async () => {
        const { outcome } = await cluster.workload('client').probe('tcp', cluster.ip('server'), 80, 50);
        return outcome === 'connected' && node.dataplane.deaths > deaths ? true : null;
      });
      process.stdout.write(
        `traffic back ${(performance.now() - start).toFixed(0)} ms after VPP was killed\n`,
      );
      assert.equal(await running, { sent: 600, answered: 600 });
      await assertAsBefore();
    },
  );
}

testIf(test, ...needs)('what somebody else changed in VPP is found and mended by a resync', async () => {
  const node = cluster.driver.nodes[1]!;
  const route = `${cluster.ip('server')}/32`;
  await cli(node, `ip route del table 1 ${route}`);
  const { outcome } = await cluster.workload('client').probe('tcp', cluster.ip('server'), 80, 300);
  assert.is.not(outcome, 'connected', 'the damage is real');
  const drift = await rest(node.paths.restSocket, '/drift');
  assert.ok((drift.body.items as { readonly key: string }[]).some(({ key }) => key.endsWith(route)));
  await rest(node.paths.restSocket, '/resync?kind=downstream', 'POST');
  await until('mended', 5000, async () => {
    const probe = await cluster.workload('client').probe('tcp', cluster.ip('server'), 80, 200);
    return probe.outcome === 'connected' ? true : null;
  });
  await assertAsBefore();
});

test.run();
