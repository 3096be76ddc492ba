/** What becomes of flows through CNAT: those of a backend that goes move on, and none is kept for good. Needs root and VPP. */
import { setTimeout as wait } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { loadNative } from '../../native/index.js';
import * as items from '../backends/items.js';
import { type Host, TestNode, Underlay } from '../backends/node.js';
import { openVppRig, type VppRig } from '../backends/vpp-rig.js';
import { eventually } from '../support/eventually.js';
import { file, program, root } from '../support/requires.js';
import { installedVpps, vpp } from '../support/vpp.js';

/** Few flows, looked through often, of short life; and what `pteropus vswitch` says of conflicts. */
const TIMES = 'session-cleanup-timeout 0.02 session-max-age 3';
const STARTUP = `cnat { session-max 262144 ${TIMES} session-max-port-retries 0 }\n`;
const ROUNDS = 20;
const PATIENCE_MS = 30_000;
const VIP = '10.96.0.10';

/** VPP is asked by its command line: not more often than it would notice. */
async function until(what: string, holds: () => Promise<boolean>): Promise<void> {
  await eventually(
    what,
    async () => {
      await wait(100);
      return await holds();
    },
    PATIENCE_MS,
  );
}

/** Flows that CNAT has room for now, and what it finds them by. */
async function flowsOf(rig: VppRig): Promise<{ readonly flows: number; readonly keys: number }> {
  const [flows, keys] = [await rig.cli('show cnat timestamp'), await rig.cli('show cnat session')];
  return {
    flows: Number(/Total timestamps (\d+)/.exec(flows)?.[1] ?? 0),
    keys: Number(/(\d+) active elements/.exec(keys)?.[1] ?? 0),
  };
}

const addon = fileURLToPath(new URL('../../../native/pteropus.node', import.meta.url));
const missing = [root(), file(addon), program('nsenter'), program('setpriv')].find((need) => need !== null);
// Releases before have no flows.
const install =
  missing === undefined ? installedVpps().find(({ prefix }) => !prefix.endsWith('23.02')) : undefined;
const test = suite('flows of services');

if (install === undefined) {
  process.stdout.write(`skipped: flows of services: ${missing ?? vpp() ?? 'needs a VPP of 2026'}\n`);
  test.skip('flows of services');
} else {
  const native = loadNative();

  const withNodes = async (
    work: (one: TestNode, two: TestNode, outside: Host, rig: VppRig) => Promise<void>,
  ) => {
    const rigs: VppRig[] = [];
    const open = async (): Promise<VppRig> => {
      const rig = await openVppRig(native, { install, startup: STARTUP });
      rigs.push(rig);
      return rig;
    };
    try {
      const underlay = new Underlay();
      const one = await TestNode.open(open, 1, underlay);
      const two = await TestNode.open(open, 2, underlay);
      await one.put(...items.peerItems(1, 2));
      await two.put(...items.peerItems(2, 1));
      await work(one, two, underlay.outside, rigs[0] as VppRig);
    } finally {
      for (const rig of rigs) await rig.close();
    }
  };
  const udp = (name: string, options: Omit<items.ServiceOptions, 'protocol'>) =>
    items.service(name, { ...options, protocol: 'UDP' });

  test('a flow that never pauses moves to the backend that is left', () =>
    withNodes(async (one, two) => {
      const client = await one.addPod(1, 'client');
      const [near, far] = [await one.addPod(2, 'near'), await two.addPod(1, 'far')];
      const frontends = [{ address: VIP, port: 80, type: 'ClusterIP' } as const];
      await one.put(udp('web', { frontends, backends: [`${near.address}:80`] }));
      const arrivesAt = async (pod: Host): Promise<boolean> => {
        client.sendUdp(VIP, 7000, 80);
        await wait(20);
        return pod.takeUdp().length > 0;
      };
      await until('it arrives', () => arrivesAt(near));
      await one.put(udp('web', { frontends, backends: [`${far.address}:80`] }));
      const start = performance.now();
      await until('it moves', () => arrivesAt(far));
      process.stdout.write(`\nmoved after ${Math.round(performance.now() - start)} ms\n`);
    }));

  test('nothing is left of flows that ended, whichever way they took', () =>
    withNodes(async (one, two, outside, rig) => {
      const [client, near] = [await one.addPod(1, 'client'), await one.addPod(2, 'near')];
      const far = await two.addPod(1, 'far');
      outside.listen(53, 'outside');
      const backends = [`${near.address}:80`, `${far.address}:80`];
      await one.put(
        udp('web', { frontends: [{ address: VIP, port: 80, type: 'ClusterIP' }], backends }),
        udp('port', {
          ...{
            scope: 'external',
            frontends: [{ address: items.nodeAddress(1), port: 30081, type: 'NodePort' }],
          },
          backends: [`${far.address}:80`],
        }),
      );
      const ways: readonly (() => Promise<unknown>)[] = [
        () => client.reaches(VIP, 80, 'udp'),
        () => near.reaches(VIP, 80, 'udp'),
        () => one.host.reaches(VIP, 80, 'udp'),
        () => client.reaches(items.OUTSIDE, 53, 'udp'),
        () => one.host.reaches(items.OUTSIDE, 53, 'udp'),
        () => outside.reaches(items.nodeAddress(1), 30081, 'udp'),
        () => client.reaches(far.address, 80, 'udp'),
        () => far.reaches(client.address, 80, 'udp'),
        () => client.reaches(items.OUTSIDE, 0, 'icmp'),
        () => client.reaches(items.OUTSIDE6, 0, 'icmp'),
        () => near.reaches(items.OUTSIDE6, 0, 'icmp'),
      ];
      for (let i = 0; i < ROUNDS; i++) for (const way of ways) await way();
      assert.ok((await flowsOf(rig)).keys > ROUNDS, 'they are kept while they last');
      // One is VPP's own.
      await until('all are forgotten', async () => {
        const { flows, keys } = await flowsOf(rig);
        return flows <= 1 && keys === 0;
      });
    }));
}

test.run();
