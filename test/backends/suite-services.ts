/** Services: spread, stickiness, hairpin, reject, node ports, source ranges. */
import type { Test } from 'uvu';
import * as assert from 'uvu/assert';
import * as items from './items.js';
import { type Host, TestNode, Underlay } from './node.js';
import type { OpenRig } from './rig.js';
import { runOn } from './with-rigs.js';

const VIP = '10.96.0.10';
const clusterIp = { address: VIP, port: 80, type: 'ClusterIP' } as const;

/** Resolves when the pods got that many packets between them, or after a while. */
async function allArrived(pods: readonly Host[], count: number): Promise<void> {
  const total = (): number => pods.reduce((sum, { received }) => sum + received.length, 0);
  for (let i = 0; i < 2000 && total() < count; i++) await new Promise((resolve) => setTimeout(resolve, 1));
}

/** Addresses that the first node may speak with. */
const NODE_ONE = [items.nodeAddress(1), '172.30.1.1'];

export function servicesTests(test: Test, open: OpenRig): void {
  const run = runOn(test, open);

  run('connections spread evenly over the backends, each sticks to its own', async (rigs) => {
    const node = await TestNode.open(rigs);
    const client = await node.addPod(1, 'client');
    const pods = [await node.addPod(2, 'b'), await node.addPod(3, 'c'), await node.addPod(4, 'd')];
    const backends = pods.map(({ address }) => `${address}:8080`);
    await node.put(items.service('web', { protocol: 'UDP', frontends: [clusterIp], backends }));
    const FLOWS = 600;
    const flowsOf = async (): Promise<Map<number, number>> => {
      for (const pod of pods) pod.received.length = 0;
      for (let i = 0; i < FLOWS; i++) {
        client.sendUdp(VIP, 20000 + i, 80);
        // Not more at a time than fits into any queue on the way.
        if (i % 50 === 49) await allArrived(pods, i + 1);
      }
      const owner = new Map<number, number>();
      for (const [i, pod] of pods.entries()) {
        for (const { sourcePort, destinationPort } of pod.takeUdp()) {
          assert.is(destinationPort, 8080);
          owner.set(sourcePort, i);
        }
      }
      return owner;
    };
    const first = await flowsOf();
    assert.is(first.size, FLOWS);
    const counts = pods.map((_, i) => [...first.values()].filter((owner) => owner === i).length);
    const expected = FLOWS / 3;
    const chi = counts.reduce((sum, count) => sum + (count - expected) ** 2 / expected, 0);
    assert.ok(
      chi < 13.8,
      `chi-square ${chi.toFixed(1)} of ${counts.join(', ')} (2 degrees of freedom, 0.1 %)`,
    );
    // One backend more: connections under way stay where they are.
    await node.addPod(5, 'e');
    const more = [...backends, `${items.podAddress(1, 5)}:8080`];
    await node.put(items.service('web', { protocol: 'UDP', frontends: [clusterIp], backends: more }));
    const second = await flowsOf();
    assert.equal(second, first);
  });

  run('the client sees the address it asked for, TCP and UDP', async (rigs) => {
    const node = await TestNode.open(rigs);
    const client = await node.addPod(1, 'client');
    const b = await node.addPod(2, 'b');
    await node.put(
      items.service('web', { frontends: [clusterIp], backends: [`${b.address}:80`] }),
      items.service('web', { protocol: 'UDP', frontends: [clusterIp], backends: [`${b.address}:80`] }),
    );
    assert.is(await client.reaches(VIP, 80), 'b');
    assert.is(await client.reaches(VIP, 80, 'udp'), 'b');
    assert.is(await node.host.reaches(VIP, 80), 'b');
  });

  run('a pod reaches itself through a service', async (rigs) => {
    const node = await TestNode.open(rigs);
    const a = await node.addPod(1, 'a');
    await node.put(
      items.service('self', { frontends: [clusterIp], backends: [`${a.address}:80`] }),
      items.policy('closed', 'ingress', []),
      items.endpoint('a', 'policy/closed', null),
    );
    assert.is(await a.reaches(VIP, 80), 'a');
  });

  run('without backends the client is told at once', async (rigs) => {
    const node = await TestNode.open(rigs);
    const client = await node.addPod(1, 'client');
    await node.put(items.service('none', { frontends: [clusterIp], backends: [] }));
    for (const protocol of ['tcp', 'udp'] as const) {
      const { outcome } = await client.probe(VIP, 80, protocol);
      assert.ok(outcome === 'rejected' || outcome === 'refused', `${protocol}: ${outcome}`);
    }
    const { outcome } = await client.probe('10.96.0.99', 80);
    assert.ok(outcome === 'rejected' || outcome === 'refused', `service range: ${outcome}`);
  });

  run('a backend that goes takes its connections along, new ones go elsewhere', async (rigs) => {
    const node = await TestNode.open(rigs);
    const client = await node.addPod(1, 'client');
    const [b, c] = [await node.addPod(2, 'b'), await node.addPod(3, 'c')];
    const one = (address: string) =>
      items.service('web', { protocol: 'UDP', frontends: [clusterIp], backends: [`${address}:80`] });
    await node.put(one(b.address));
    assert.is(await client.reaches(VIP, 80, 'udp'), 'b');
    await node.put(one(c.address));
    assert.is(await client.reaches(VIP, 80, 'udp'), 'c');
  });

  const affinity = async (rigs: OpenRig): Promise<void> => {
    const node = await TestNode.open(rigs);
    const client = await node.addPod(1, 'client');
    const pods = [await node.addPod(2, 'b'), await node.addPod(3, 'c'), await node.addPod(4, 'd')];
    const backends = pods.map(({ address }) => `${address}:80`);
    await node.put(items.service('sticky', { frontends: [clusterIp], backends, affinitySeconds: 600 }));
    const answers = new Set<string | null>();
    for (let i = 0; i < 12; i++) answers.add(await client.reaches(VIP, 80));
    assert.is(answers.size, 1);
  };
  run('a client with affinity comes back to the same backend', affinity, ['affinity']);

  const nodePort = async (rigs: OpenRig): Promise<void> => {
    const underlay = new Underlay();
    const node = await TestNode.open(rigs, 1, underlay);
    const b = await node.addPod(1, 'b');
    const frontend = { address: items.nodeAddress(1), port: 30080, type: 'NodePort' } as const;
    const options = { scope: 'external', frontends: [frontend], backends: [`${b.address}:80`] } as const;
    await node.put(items.service('web', options));
    assert.is(await underlay.outside.reaches(items.nodeAddress(1), 30080), 'b');
    await node.put(items.service('web', { ...options, sourceRanges: ['203.0.113.0/24'] }));
    await underlay.outside.isSilent(items.nodeAddress(1), 30080);
    await node.put(items.service('web', { ...options, sourceRanges: ['192.168.16.0/24'] }));
    assert.is(await underlay.outside.reaches(items.nodeAddress(1), 30080), 'b');
  };
  run('a node port works from outside, and source ranges are kept', nodePort);

  const inside = async (rigs: OpenRig): Promise<void> => {
    const underlay = new Underlay();
    const node = await TestNode.open(rigs, 1, underlay);
    const [b, client] = [await node.addPod(1, 'b'), await node.addPod(2, 'client')];
    const frontend = { address: items.nodeAddress(1), port: 30082, type: 'NodePort' } as const;
    const frontends = [frontend, clusterIp];
    const options = { scope: 'external', frontends, backends: [`${b.address}:80`] } as const;
    await node.put(items.service('local', { ...options, outsideBackends: [] }));
    await underlay.outside.isSilent(items.nodeAddress(1), 30082);
    assert.is(await client.reaches(items.nodeAddress(1), 30082), 'b');
    assert.is(await node.host.reaches(VIP, 80), 'b');
    await node.put(items.service('local', options));
    assert.is(await underlay.outside.reaches(items.nodeAddress(1), 30082), 'b');
  };
  run('what serves the inside only drops who comes by the uplink', inside);

  /** A node, its pods b, c and d, a client inside, one outside, and who answers them at one node port. */
  const apart = async (rigs: OpenRig) => {
    const underlay = new Underlay();
    const node = await TestNode.open(rigs, 1, underlay);
    const client = await node.addPod(1, 'client');
    const [b, c, d] = [await node.addPod(2, 'b'), await node.addPod(3, 'c'), await node.addPod(4, 'd')];
    const port = 30083;
    const answersTo = async (station: { reaches(ip: string, port: number): Promise<string | null> }) => {
      const seen = new Set<string | null>();
      for (let i = 0; i < 24; i++) seen.add(await station.reaches(items.nodeAddress(1), port));
      return [...seen].sort();
    };
    const frontends = [{ address: items.nodeAddress(1), port, type: 'NodePort' } as const];
    const backends = [b, c].map(({ address }) => `${address}:80`);
    const options = { scope: 'external', frontends, backends } as const;
    return { node, client, outside: underlay.outside, b, c, d, options, answersTo };
  };

  for (const algorithm of ['random', 'maglev'] as const) {
    const choice = algorithm === 'maglev' ? (['maglev'] as const) : [];
    const outsiders = async (rigs: OpenRig, affinity: { readonly affinitySeconds?: number }) => {
      const { node, outside, b, c, d, answersTo, ...rest } = await apart(rigs);
      const options = { ...rest.options, algorithm };
      const lead = (to: Host) => ({ ...options, ...affinity, outsideBackends: [`${to.address}:80`] });
      await node.put(items.service('own', { ...options, outsideBackends: [`${c.address}:80`] }));
      assert.equal(await answersTo(outside), ['c']);
      await node.put(items.service('own', lead(d)));
      assert.equal(await answersTo(outside), ['d']);
      await node.put(items.service('own', lead(b)));
      assert.equal(await answersTo(outside), ['b']);
      await node.put(items.service('own', options));
      assert.equal(await answersTo(outside), ['b', 'c']);
    };
    run(
      `who comes by the uplink may have backends of his own (${algorithm})`,
      (rigs) => outsiders(rigs, {}),
      choice,
    );
    run(
      `who comes by the uplink may have backends of his own, with affinity (${algorithm})`,
      (rigs) => outsiders(rigs, { affinitySeconds: 600 }),
      ['affinity', ...choice],
    );
    const insiders = async (rigs: OpenRig): Promise<void> => {
      const { node, client, outside, c, options, answersTo } = await apart(rigs);
      const outsideBackends = [`${c.address}:80`];
      await node.put(items.service('own', { ...options, algorithm, outsideBackends }));
      assert.equal(await answersTo(client), ['b', 'c']);
      assert.equal(await answersTo(outside), ['c']);
    };
    run(`those inside have all backends meanwhile (${algorithm})`, insiders, ['outside-backends', ...choice]);
  }

  /** A node port of the first node that leads to pod b of the second; what of both nodes speaks of. */
  const far = async (rigs: OpenRig) => {
    const underlay = new Underlay();
    const one = await TestNode.open(rigs, 1, underlay);
    const two = await TestNode.open(rigs, 2, underlay);
    await one.put(...items.peerItems(1, 2));
    await two.put(...items.peerItems(2, 1));
    const b = await two.addPod(1, 'b');
    const frontends = [{ address: items.nodeAddress(1), port: 30081, type: 'NodePort' } as const];
    await one.put(items.service('far', { scope: 'external', frontends, backends: [`${b.address}:80`] }));
    b.received.length = 0;
    assert.is(await underlay.outside.reaches(items.nodeAddress(1), 30081), 'b');
    return new Set(b.received.map(({ source }) => source));
  };
  const known = async (rigs: OpenRig): Promise<void> => {
    for (const source of await far(rigs)) assert.ok([items.OUTSIDE, ...NODE_ONE].includes(source), source);
  };
  run('a node port leads to a pod of another node', known);
  const kept = async (rigs: OpenRig): Promise<void> => {
    assert.equal([...(await far(rigs))], [items.OUTSIDE]);
  };
  run('a node port leads to a pod of another node, and the client keeps its address', kept, [
    'client-address',
  ]);

  /** The second node answers clients by its own uplink. Who reaches its pod b by the node port of the first comes from `known`. */
  const hidden = async (rigs: OpenRig) => {
    const underlay = new Underlay();
    const one = await TestNode.open(rigs, 1, underlay);
    const two = await TestNode.open(rigs, 2, underlay);
    const hiding = items.peerItems(1, 2).map((item) => {
      return item.kind === 'tunnel' ? { ...item, hidesClients: true as const } : item;
    });
    await one.put(...hiding);
    await two.put(...items.peerItems(2, 1));
    const [a, b] = [await one.addPod(1, 'a'), await two.addPod(1, 'b')];
    const backends = [`${b.address}:80`];
    const frontends = [{ address: items.nodeAddress(1), port: 30084, type: 'NodePort' } as const];
    await one.put(
      items.service('hidden', { scope: 'external', frontends, backends }),
      items.service('hidden', { scope: 'external', frontends, backends, protocol: 'UDP' }),
    );
    const comesFrom = async (known: readonly string[], station: Host, protocol: 'tcp' | 'udp' = 'tcp') => {
      // Until the last packets of the connection before are through.
      await two.rig.settle();
      b.received.length = 0;
      assert.is(await station.reaches(items.nodeAddress(1), 30084, protocol), 'b');
      for (const { source } of b.received) assert.ok(known.includes(source), `${source}: ${known}`);
    };
    return { a, outside: underlay.outside, comesFrom };
  };
  const inOurName = async (rigs: OpenRig): Promise<void> => {
    const { a, outside, comesFrom } = await hidden(rigs);
    await comesFrom(NODE_ONE, outside);
    await comesFrom(NODE_ONE, outside, 'udp');
    await comesFrom([a.address, ...NODE_ONE], a);
  };
  run('to a peer that answers clients by its own uplink they come in our name', inOurName);
  const podsOwn = async (rigs: OpenRig): Promise<void> => {
    const { a, comesFrom } = await hidden(rigs);
    await comesFrom([a.address], a);
  };
  run('to a peer that answers clients by its own uplink pods keep their address', podsOwn, ['pod-address']);

  const maglev = async (rigs: OpenRig): Promise<void> => {
    const node = await TestNode.open(rigs);
    const client = await node.addPod(1, 'client');
    const pods = [await node.addPod(2, 'b'), await node.addPod(3, 'c'), await node.addPod(4, 'd')];
    const backends = pods.map(({ address }) => `${address}:80`);
    const put = (list: readonly string[]): Promise<void> =>
      node.put(items.service('maglev', { frontends: [clusterIp], backends: list, algorithm: 'maglev' }));
    await put(backends);
    const answers = new Set<string | null>();
    for (let i = 0; i < 30; i++) answers.add(await client.reaches(VIP, 80));
    assert.equal([...answers].sort(), ['b', 'c', 'd']);
    await put(backends.slice(1));
    for (let i = 0; i < 10; i++) assert.is.not(await client.reaches(VIP, 80), 'b');
  };
  run('a maglev service uses all its backends, and no more the one that goes', maglev, ['maglev']);
}
