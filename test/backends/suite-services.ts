/** Services: spread, stickiness, hairpin, reject, node ports, source ranges. */
import type { Test } from 'uvu';
import * as assert from 'uvu/assert';
import type { ServiceItem } from '../../control/ruleset/types.js';
import * as items from './items.js';
import { type Host, TestNode, Underlay } from './node.js';
import { lacks, type OpenRig } from './rig.js';
import { withRigs } from './with-rigs.js';

const VIP = '10.96.0.10';
const clusterIp = { address: VIP, port: 80, type: 'ClusterIP' } as const;

/** Resolves when the pods got that many packets between them, or after a while. */
async function allArrived(pods: readonly Host[], count: number): Promise<void> {
  const total = (): number => pods.reduce((sum, { received }) => sum + received.length, 0);
  for (let i = 0; i < 2000 && total() < count; i++) await new Promise((resolve) => setTimeout(resolve, 1));
}

/** Addresses that the first node may speak with. */
const NODE_ONE = [items.nodeAddress(1), '172.30.1.1'];

/** Asserts that the backend says so, and why. */
async function refused(node: TestNode, why: string, service: ServiceItem): Promise<void> {
  const [result] = await node.rig.backend.apply([node.change(service)]);
  assert.match(result?.error?.message ?? '', why);
}

export function servicesTests(test: Test, open: OpenRig): void {
  const run = (name: string, body: (open: OpenRig) => Promise<void>): void =>
    test(name, () => withRigs(open, body));

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

  run('a client with affinity comes back to the same backend', async (rigs) => {
    const node = await TestNode.open(rigs);
    const client = await node.addPod(1, 'client');
    const pods = [await node.addPod(2, 'b'), await node.addPod(3, 'c'), await node.addPod(4, 'd')];
    const backends = pods.map(({ address }) => `${address}:80`);
    const sticky = items.service('sticky', { frontends: [clusterIp], backends, affinitySeconds: 600 });
    if (lacks(node.rig, 'affinity')) return refused(node, 'affinity', sticky);
    await node.put(sticky);
    const answers = new Set<string | null>();
    for (let i = 0; i < 12; i++) answers.add(await client.reaches(VIP, 80));
    assert.is(answers.size, 1);
  });

  run('a node port works from outside, and source ranges are kept', async (rigs) => {
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
  });

  run('what serves the inside only drops who comes by the uplink', async (rigs) => {
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
  });

  for (const algorithm of ['random', 'maglev'] as const) {
    run(`who comes by the uplink may have backends of his own (${algorithm})`, async (rigs) => {
      const underlay = new Underlay();
      const node = await TestNode.open(rigs, 1, underlay);
      const client = await node.addPod(1, 'client');
      const [b, c, d] = [await node.addPod(2, 'b'), await node.addPod(3, 'c'), await node.addPod(4, 'd')];
      const frontends = [{ address: items.nodeAddress(1), port: 30083, type: 'NodePort' } as const];
      const backends = [b, c].map(({ address }) => `${address}:80`);
      const options = { scope: 'external', frontends, backends, algorithm } as const;
      if (algorithm === 'maglev' && lacks(node.rig, 'maglev')) {
        return refused(node, 'consistent hashing', items.service('own', options));
      }
      const answers = async (station: { reaches(ip: string, port: number): Promise<string | null> }) => {
        const seen = new Set<string | null>();
        for (let i = 0; i < 24; i++) seen.add(await station.reaches(items.nodeAddress(1), 30083));
        return [...seen].sort();
      };
      await node.put(items.service('own', { ...options, outsideBackends: [`${c.address}:80`] }));
      assert.equal(await answers(underlay.outside), ['c']);
      const inside = lacks(node.rig, 'outside-backends') ? ['c'] : ['b', 'c'];
      assert.equal(await answers(client), inside);
      const sticky = lacks(node.rig, 'affinity') ? {} : { affinitySeconds: 600 };
      const apart = { ...options, outsideBackends: [`${d.address}:80`], ...sticky };
      await node.put(items.service('own', apart));
      assert.equal(await answers(underlay.outside), ['d']);
      await node.put(items.service('own', { ...apart, outsideBackends: [`${b.address}:80`] }));
      assert.equal(await answers(underlay.outside), ['b']);
      await node.put(items.service('own', options));
      assert.equal(await answers(underlay.outside), ['b', 'c']);
    });
  }

  run('a node port leads to a pod of another node, and the client is known by its address', async (rigs) => {
    const underlay = new Underlay();
    const one = await TestNode.open(rigs, 1, underlay);
    const two = await TestNode.open(rigs, 2, underlay);
    await one.put(...items.peerItems(1, 2));
    await two.put(...items.peerItems(2, 1));
    const b = await two.addPod(1, 'b');
    const frontend = { address: items.nodeAddress(1), port: 30081, type: 'NodePort' } as const;
    await one.put(
      items.service('far', { scope: 'external', frontends: [frontend], backends: [`${b.address}:80`] }),
    );
    b.received.length = 0;
    assert.is(await underlay.outside.reaches(items.nodeAddress(1), 30081), 'b');
    const known = lacks(one.rig, 'client-address') ? NODE_ONE : [items.OUTSIDE];
    for (const { source } of b.received) assert.ok(known.includes(source), source);
  });

  run('to a peer that answers clients by its own uplink they come in our name', async (rigs) => {
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
    const comesFrom = async (
      known: readonly string[],
      probe: () => Promise<string | null>,
    ): Promise<void> => {
      // Until the last packets of the connection before are through.
      await two.rig.settle();
      b.received.length = 0;
      assert.is(await probe(), 'b');
      for (const { source } of b.received) assert.ok(known.includes(source), `${source}: ${known}`);
    };
    const [node, port] = [items.nodeAddress(1), 30084];
    await comesFrom(NODE_ONE, () => underlay.outside.reaches(node, port));
    await comesFrom(NODE_ONE, () => underlay.outside.reaches(node, port, 'udp'));
    // Pods keep theirs.
    const own = lacks(one.rig, 'pod-address') ? NODE_ONE : [a.address];
    await comesFrom(own, () => a.reaches(node, port));
  });

  run('a maglev service uses all its backends, and no more the one that goes', async (rigs) => {
    const node = await TestNode.open(rigs);
    const client = await node.addPod(1, 'client');
    const pods = [await node.addPod(2, 'b'), await node.addPod(3, 'c'), await node.addPod(4, 'd')];
    const backends = pods.map(({ address }) => `${address}:80`);
    if (lacks(node.rig, 'maglev'))
      return refused(
        node,
        'consistent hashing',
        items.service('maglev', { frontends: [clusterIp], backends, algorithm: 'maglev' }),
      );
    const put = (list: readonly string[]): Promise<void> =>
      node.put(items.service('maglev', { frontends: [clusterIp], backends: list, algorithm: 'maglev' }));
    await put(backends);
    const answers = new Set<string | null>();
    for (let i = 0; i < 30; i++) answers.add(await client.reaches(VIP, 80));
    assert.equal([...answers].sort(), ['b', 'c', 'd']);
    await put(backends.slice(1));
    for (let i = 0; i < 10; i++) assert.is.not(await client.reaches(VIP, 80), 'b');
  });
}
