/** Pods that come and go while they send all they can: nothing passes before their policies are there, nor after they are gone. */
import { setImmediate as turn } from 'node:timers/promises';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import type { VppInstall } from '../../control/sim/vpp/install.js';
import { loadNative } from '../../native/index.js';
import * as items from '../backends/items.js';
import { type Host, TestNode } from '../backends/node.js';
import { openVppRig, type VppRig } from '../backends/vpp-rig.js';
import { onEveryVpp } from './needs.js';

const ROUNDS = 60;
const PORT = 53;

const test = suite('pods that come and go on VPP');

const datagramsAt = (host: Host): number =>
  host.takeUdp().filter(({ destinationPort }) => destinationPort === PORT).length;

async function comingAndGoing(install: VppInstall): Promise<void> {
  let rig: VppRig | null = null;
  const node = await TestNode.open(async () => {
    rig = await openVppRig(loadNative(), { install });
    return rig;
  });
  const opened = rig as unknown as VppRig;
  try {
    const other = await node.addPod(1, 'other');
    const pod = await node.addPod(2, 'pod');
    pod.sendUdp(other.address, 9999, PORT);
    await other.arrived(1);
    assert.is(datagramsAt(other), 1, 'without a policy it passes');
    await node.remove(...items.podItems(1, 2, 'pod').map(({ key }) => key));
    const neither = [items.policy('in', 'ingress', []), items.policy('out', 'egress', [])];
    const closed = [
      ...neither,
      ...items.podItems(1, 2, 'pod').filter(({ kind }) => kind !== 'endpoint'),
      items.endpoint('pod', 'policy/in', 'policy/out'),
    ];
    let stop = false;
    let sent = 0;
    const sending = (async (): Promise<void> => {
      while (!stop) {
        // Each is a connection of its own.
        const port = 10_000 + (sent++ % 50_000);
        for (const [from, to] of [
          [pod, other],
          [other, pod],
        ] as const) {
          from.sendUdp(to.address, port, PORT);
          from.sendUdp(to.address6, port, PORT);
        }
        await turn();
      }
    })();
    try {
      for (let round = 0; round < ROUNDS; round++) {
        await node.put(...closed);
        await node.remove(...closed.map(({ key }) => key));
      }
    } finally {
      stop = true;
      await sending;
    }
    await node.rig.settle();
    assert.ok(sent > ROUNDS, `${sent} sent`);
    assert.equal([datagramsAt(other), datagramsAt(pod)], [0, 0], `of ${sent} each way`);
  } finally {
    await opened.close();
  }
}

onEveryVpp(test, 'nothing passes that no policy has judged', comingAndGoing);

test.run();
