/** Policies that change without a pause: what every version of them allows is sent on, packet by packet, by VPP's own count. */
import { setTimeout as wait } from 'node:timers/promises';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import type { Item } from '../../control/ruleset/types.js';
import type { VppInstall } from '../../control/sim/vpp/install.js';
import { loadNative } from '../../native/index.js';
import * as items from '../backends/items.js';
import { TestNode } from '../backends/node.js';
import { openVppRig } from '../backends/vpp-rig.js';
import { onEveryVpp } from './needs.js';

const FLIPS = 600;
const PORT = 9;

const test = suite('policies that change on VPP');

async function flips(install: VppInstall): Promise<void> {
  const node = await TestNode.open(() => openVppRig(loadNative(), { install }));
  try {
    const [a, b] = [await node.addPod(1, 'a'), await node.addPod(2, 'b')];
    const udp = items.port('UDP', PORT);
    const rules = [[udp], [udp, items.port('TCP', 80)]].map((ports) => [
      items.allow('web', ['addressset/friends'], ports),
    ]);
    const policyOf = (name: string, i: number): Item => items.policy(name, 'ingress', rules[i % 2] ?? []);
    const kinds: readonly ((i: number) => Item)[] = [
      (i) => policyOf('one', i),
      (i) => items.addressSet('friends', [a.address, `10.1.9.${i % 200}`]),
      (i) => items.endpoint('b', `policy/${i % 2 === 0 ? 'one' : 'two'}`, null),
      (i) => items.endpoint('b', i % 2 === 0 ? null : 'policy/two', null),
    ];
    await node.put(items.addressSet('friends', [a.address]), policyOf('one', 0), policyOf('two', 1));
    await node.put(items.endpoint('b', 'policy/one', null));
    a.sendUdp(b.address, 5000, PORT);
    await b.arrived(1);
    const before = await node.rig.backend.counters();
    let stop = false;
    let sent = 0;
    const sending = (async (): Promise<void> => {
      while (!stop) {
        // One flow that goes on, and a connection that is new each time.
        for (const port of [5000, 10_000 + (sent % 50_000)]) a.sendUdp(b.address, port, PORT);
        sent += 2;
        await wait(1);
      }
    })();
    try {
      for (let i = 0; i < FLIPS; i++) {
        const item = kinds[Math.floor(i / 3) % kinds.length]?.(i);
        if (item !== undefined) await node.put(item);
      }
    } finally {
      stop = true;
      await sending;
    }
    await node.rig.settle();
    const after = await node.rig.backend.counters();
    const grown = (pod: string, of: 'rxPackets' | 'txPackets'): number =>
      (after.interfaces[items.podKey(pod)]?.[of] ?? 0) - (before.interfaces[items.podKey(pod)]?.[of] ?? 0);
    assert.ok(sent > 100, `${sent} sent`);
    // What a machine under load loses before VPP has it is not VPP's.
    const [received, sentOn] = [grown('a', 'rxPackets'), grown('b', 'txPackets')];
    assert.ok(received > sent / 2, `${received} of ${sent} came`);
    assert.ok(sentOn >= received, `${sentOn} of ${received} sent on`);
    assert.is(after.outcomes['drop-policy-ingress'] ?? 0, before.outcomes['drop-policy-ingress'] ?? 0);
  } finally {
    await node.rig.close();
  }
}

onEveryVpp(test, 'allowed packets are not lost while policies change', flips);

test.run();
