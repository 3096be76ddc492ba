/** Transactions, reading back, counters and traces. */
import type { Test } from 'uvu';
import * as assert from 'uvu/assert';
import type { Change, Item } from '../../control/ruleset/types.js';
import * as items from './items.js';
import { TestNode } from './node.js';
import type { OpenRig } from './rig.js';
import { runOn } from './with-rigs.js';

export function transactionTests(test: Test, open: OpenRig): void {
  const run = runOn(test, open);

  run('what is read back is what was put in', async (rigs) => {
    const node = await TestNode.open(rigs);
    await node.addPod(1, 'a');
    await node.put(...items.peerItems(1, 2), items.addressSet('x', ['10.1.2.2', '10.1.2.3']));
    const dump = await node.rig.backend.dump();
    assert.equal([...dump.keys()].sort(), [...node.items.keys()].sort());
    for (const [key, item] of node.items) assert.equal(dump.get(key), item);
    await node.remove(...node.items.keys());
    assert.is((await node.rig.backend.dump()).size, 0);
  });

  run('the last pod goes and comes back, and nothing else is missing', async (rigs) => {
    const node = await TestNode.open(rigs);
    await node.addPod(1, 'a');
    const pod = items.podItems(1, 1, 'a');
    await node.remove(...pod.map(({ key }) => key));
    await node.put(...pod);
    assert.equal([...(await node.rig.backend.dump()).keys()].sort(), [...node.items.keys()].sort());
  });

  run('a transaction with one change that fails leaves everything as it was', async (rigs) => {
    const node = await TestNode.open(rigs);
    const [a, b] = [await node.addPod(1, 'a'), await node.addPod(2, 'b')];
    const before = await node.rig.backend.dump();
    const good = items.policy('closed', 'ingress', []);
    const bad = items.endpoint('b', 'policy/closed', 'policy/that-is-not-there');
    const results = await node.rig.backend.apply([node.change(good), node.change(bad)]);
    assert.is(results.length, 2);
    const blamed = results.find(({ key }) => key === bad.key)?.error;
    assert.is(results.find(({ key }) => key === good.key)?.error, null, 'nothing is wrong with that one');
    assert.is(blamed?.retryable, false);
    assert.match(blamed?.message ?? '', 'policy/that-is-not-there');
    assert.equal(await node.rig.backend.dump(), before);
    // Taking away what others need is refused as well.
    const needed = items.podKey('b');
    const removal: Change = { type: 'remove', key: needed, old: node.items.get(needed) as Item };
    const [refused] = await node.rig.backend.apply([removal]);
    assert.ok(refused?.error);
    assert.equal(await node.rig.backend.dump(), before);
    assert.is(await a.reaches(b.address, 80), 'b');
    // And the backend is not stuck: the good part alone goes in.
    await node.put(good, items.endpoint('b', 'policy/closed', null));
    await a.isSilent(b.address, 80);
  });

  run('changes cost the connections they allow no packet', async (rigs) => {
    const node = await TestNode.open(rigs);
    const [a, b] = [await node.addPod(1, 'a'), await node.addPod(2, 'b')];
    const rules = [items.allow('web', ['addressset/friends'], [items.port('UDP', 9)])];
    await node.put(items.addressSet('friends', [a.address]), items.policy('web', 'ingress', rules));
    await node.put(items.endpoint('b', 'policy/web', null));
    const ROUNDS = 60;
    for (let round = 0; round < ROUNDS; round++) {
      for (let i = 0; i < 5; i++) a.sendUdp(b.address, 7500 + i, 9);
      const friends = [a.address, ...Array.from({ length: round }, (_, i) => `10.1.9.${i}`)];
      // The change and the packets are under way at the same time, and no queue gets long.
      await node.put(items.addressSet('friends', friends), items.policy(`other-${round}`, 'egress', []));
      await b.arrived((round + 1) * 5);
    }
    await node.rig.settle();
    assert.is(b.takeUdp().length, ROUNDS * 5);
  });

  run('damage is seen when read back, and mended by putting in again what is missing', async (rigs) => {
    const node = await TestNode.open(rigs);
    const [a, b] = [await node.addPod(1, 'a'), await node.addPod(2, 'b')];
    await node.rig.tamper();
    const found = await node.rig.backend.dump();
    const missing = [...node.items.values()].filter(({ key }) => !found.has(key));
    assert.ok(missing.length > 0);
    const changes = missing.flatMap((item: Item): Change[] => [
      { type: 'remove', key: item.key, old: item },
      { type: 'add', key: item.key, item },
    ]);
    await node.apply(changes);
    assert.equal([...(await node.rig.backend.dump()).keys()].sort(), [...node.items.keys()].sort());
    assert.is(await a.reaches(b.address, 80), 'b');
  });

  /** Five connections to a service that a policy lets in; the counters before and after them. */
  const count = async (rigs: OpenRig) => {
    const node = await TestNode.open(rigs);
    const [a, b] = [await node.addPod(1, 'a'), await node.addPod(2, 'b')];
    const web = items.service('web', {
      protocol: 'UDP',
      frontends: [{ address: '10.96.0.10', port: 80, type: 'ClusterIP' }],
      // Nobody listens there: the answers are ICMP errors, which a takes without a word.
      backends: [`${b.address}:81`],
    });
    await node.put(
      items.addressSet('a', [a.address]),
      items.policy('web', 'ingress', [items.allow('web', ['addressset/a'], null)]),
      items.endpoint('b', 'policy/web', null),
      web,
    );
    const before = await node.rig.backend.counters();
    for (let i = 0; i < 5; i++) a.sendUdp('10.96.0.10', 7000 + i, 80);
    await b.arrived(5);
    await node.rig.settle();
    return { before, after: await node.rig.backend.counters(), web: web.key };
  };
  run('counters count packets, connections and rules under their names', async (rigs) => {
    const { before, after } = await count(rigs);
    const key = items.podKey('a');
    assert.is((after.interfaces[key]?.rxPackets ?? 0) - (before.interfaces[key]?.rxPackets ?? 0), 5);
    const rule = 'NetworkPolicy shop/web spec.ingress[0]';
    assert.is((after.rules[rule] ?? 0) - (before.rules[rule] ?? 0), 5);
    assert.ok(after.sessions.created - before.sessions.created >= 5);
    const total = (counts: Readonly<Record<string, number>>): number =>
      Object.values(counts).reduce((sum, each) => sum + each, 0);
    const received = (counters: typeof after): number =>
      Object.values(counters.interfaces).reduce((sum, { rxPackets }) => sum + rxPackets, 0);
    // Every packet has exactly one outcome.
    assert.is(total(after.outcomes) - total(before.outcomes), received(after) - received(before));
  });
  const services = async (rigs: OpenRig): Promise<void> => {
    const { before, after, web } = await count(rigs);
    assert.is((after.services[web]?.connections ?? 0) - (before.services[web]?.connections ?? 0), 5);
  };
  run('counters count connections to services', services, ['service-counts']);

  run('a trace names the policy that denied, and the pods', async (rigs) => {
    const node = await TestNode.open(rigs);
    const [a, b] = [await node.addPod(1, 'a'), await node.addPod(2, 'b')];
    await node.put(items.policy('closed', 'ingress', []), items.endpoint('b', 'policy/closed', null));
    const trace = await node.rig.backend.trace({ source: a.address, destination: b.address });
    a.sendUdp(b.address, 7100, 80);
    await node.rig.settle();
    const steps = await trace.stop();
    assert.is(steps[0]?.packet, 1);
    assert.equal(steps[0]?.pod, { namespace: 'shop', name: 'a' });
    const denial = steps.find(({ text }) => text.includes('denied'));
    assert.match(denial?.text ?? '', 'NetworkPolicy shop/closed');
    assert.match(steps.at(-1)?.text ?? '', 'drop-policy-ingress');
    // Tracing has ended, and may begin again.
    a.sendUdp(b.address, 7100, 80);
    await node.rig.settle();
    const again = await node.rig.backend.trace({ port: 9 });
    assert.equal(await again.stop(), []);
  });
}
