/** IPv6 beside IPv4: pods, the node's host, tunnels, policies, source NAT, services. */
import type { Test } from 'uvu';
import * as assert from 'uvu/assert';
import * as items from './items.js';
import { type Host, TestNode, Underlay } from './node.js';
import type { OpenRig } from './rig.js';
import { runOn } from './with-rigs.js';

const VIP6 = 'fd00:96::a';
const clusterIp = { address: VIP6, port: 80, type: 'ClusterIP' } as const;

async function twoNodes(rigs: OpenRig): Promise<{ underlay: Underlay; one: TestNode; two: TestNode }> {
  const underlay = new Underlay();
  const one = await TestNode.open(rigs, 1, underlay);
  const two = await TestNode.open(rigs, 2, underlay);
  await one.put(...items.peerItems(1, 2));
  await two.put(...items.peerItems(2, 1));
  return { underlay, one, two };
}

const sourcesOf = (host: Host): string[] => [...new Set(host.received.map(({ source }) => source))];

export function ipv6Tests(test: Test, open: OpenRig): void {
  const run = runOn(test, open);

  run('pods of one node reach each other, their gateway and the node', async (rigs) => {
    const node = await TestNode.open(rigs);
    const [a, b] = [await node.addPod(1, 'a'), await node.addPod(2, 'b')];
    assert.is(await a.reaches(b.address6, 80), 'b');
    assert.is(await b.reaches(a.address6, 80, 'udp'), 'a');
    await a.reaches(b.address6, 0, 'icmp');
    await a.reaches(items.gateway6(1), 0, 'icmp');
    assert.is((await a.probe(b.address6, 81)).outcome, 'refused');
    await a.isSilent(items.podAddress6(1, 9), 80);
    node.host.listen(10250, 'kubelet');
    assert.is(await a.reaches(items.nodeAddress6(1), 10250), 'kubelet');
    assert.is(await node.host.reaches(a.address6, 80), 'a');
    assert.is(await a.reaches(b.address, 80), 'b', 'IPv4 goes on');
  });

  run('pods of two nodes reach each other through VXLAN over IPv4', async (rigs) => {
    const { underlay, one, two } = await twoNodes(rigs);
    const [a, b] = [await one.addPod(1, 'a'), await two.addPod(1, 'b')];
    await one.rig.settle();
    await two.rig.settle();
    underlay.frames.length = 0;
    a.sendUdp(b.address6, 5000, 80);
    await b.arrived(1);
    assert.equal(b.takeUdp(), [{ source: a.address6, sourcePort: 5000, destinationPort: 80 }]);
    // A router speaks of its groups meanwhile.
    const inUdp = (frame: Uint8Array): boolean => frame[12] === 0x08 && frame[13] === 0 && frame[23] === 17;
    const outer = Buffer.from(underlay.frames.find((frame) => frame.length > 100 && inUdp(frame)) ?? []);
    assert.is(outer.readUInt16BE(36), 4789, 'UDP port of VXLAN');
    assert.is(outer.readUInt16BE(62), 0x86dd, 'inner Ethernet type');
    assert.is(await b.reaches(a.address6, 80), 'a');
    await a.reaches(b.address6, 0, 'icmp');
    two.host.listen(10250, 'kubelet');
    two.host.received.length = 0;
    assert.is(await a.reaches(items.nodeAddress6(2), 10250), 'kubelet');
    assert.equal(sourcesOf(two.host), [a.address6], 'to the other node itself with its own address');
  });

  run('what leaves the cluster has the node as its source, and replies come back', async (rigs) => {
    const underlay = new Underlay();
    const node = await TestNode.open(rigs, 1, underlay);
    const a = await node.addPod(1, 'a');
    underlay.outside.listen(443, 'outside');
    assert.is(await a.reaches(items.OUTSIDE6, 443), 'outside');
    assert.is(await a.reaches(items.OUTSIDE6, 443, 'udp'), 'outside');
    assert.equal(sourcesOf(underlay.outside), [items.nodeAddress6(1)]);
    assert.is((await a.probe(items.OUTSIDE6, 444, 'udp')).outcome, 'refused', 'a translated error');
  });

  const pings = async (rigs: OpenRig): Promise<void> => {
    const underlay = new Underlay();
    const node = await TestNode.open(rigs, 1, underlay);
    const [a, b] = [await node.addPod(1, 'a'), await node.addPod(2, 'b')];
    // The host's comes first, and both pods number theirs as it does.
    for (const host of [node.host, a, b, a]) await host.reaches(items.OUTSIDE6, 0, 'icmp');
    assert.equal(sourcesOf(underlay.outside), [items.nodeAddress6(1)]);
    for (const address of [b.address6, items.gateway6(1), items.nodeAddress6(1)])
      await a.reaches(address, 0, 'icmp');
    await underlay.outside.reaches(items.nodeAddress6(1), 0, 'icmp');
  };
  run('what leaves the cluster may be a ping', pings);

  run('one policy judges both families, by the addresses of each', async (rigs) => {
    const node = await TestNode.open(rigs);
    const [a, b, c] = [await node.addPod(1, 'a'), await node.addPod(2, 'b'), await node.addPod(3, 'c')];
    const members = (...hosts: readonly Host[]) =>
      items.addressSet(
        'a',
        hosts.flatMap(({ address, address6 }) => [address, address6]),
      );
    await node.put(
      members(a),
      items.policy('web', 'ingress', [items.allow('web', ['addressset/a'], [items.port('TCP', 80)])]),
      items.endpoint('b', 'policy/web', null),
    );
    assert.is(await a.reaches(b.address6, 80), 'b');
    assert.is(await a.reaches(b.address, 80), 'b');
    await Promise.all([
      a.isSilent(b.address6, 80, 'udp'),
      a.isSilent(b.address6, 0, 'icmp'),
      c.isSilent(b.address6, 80),
      c.isSilent(b.address, 80),
    ]);
    assert.is(await b.reaches(c.address6, 80), 'c', 'egress is open');
    assert.is(await node.host.reaches(b.address6, 80), 'b', 'the node reaches its own pods');
    await node.put(members(a, c));
    assert.is(await c.reaches(b.address6, 80), 'b');
  });

  run('ipBlocks with exceptions', async (rigs) => {
    const node = await TestNode.open(rigs);
    const [a, b, c] = [await node.addPod(1, 'a'), await node.addPod(2, 'b'), await node.addPod(3, 'c')];
    const blocks = [{ cidr: 'fd00:1::/48', except: [`${c.address6}/128`] }];
    await node.put(
      { kind: 'addressset', key: 'addressset/block', addresses: [], blocks },
      items.policy('block', 'ingress', [items.allow('block', ['addressset/block'], null)]),
      items.endpoint('b', 'policy/block', null),
    );
    assert.is(await a.reaches(b.address6, 80), 'b');
    await Promise.all([c.isSilent(b.address6, 80), a.isSilent(b.address, 80)]);
  });

  run('a policy acts on connections already open', async (rigs) => {
    const node = await TestNode.open(rigs);
    const [a, b] = [await node.addPod(1, 'a'), await node.addPod(2, 'b')];
    const arrives = async (expected: number): Promise<number> => {
      b.received.length = 0;
      a.sendUdp(b.address6, 6000, 80);
      await Promise.race([b.arrived(expected), node.rig.settle()]);
      await node.rig.settle();
      return b.takeUdp().length;
    };
    assert.is(await arrives(1), 1);
    await node.put(items.policy('closed', 'ingress', []), items.endpoint('b', 'policy/closed', null));
    assert.is(await arrives(0), 0);
    await node.put(items.endpoint('b', null, null));
    assert.is(await arrives(1), 1);
  });

  run('a service: pods, the node, a pod that meets itself, nobody behind it', async (rigs) => {
    const { one, two } = await twoNodes(rigs);
    const [a, b, far] = [await one.addPod(1, 'a'), await one.addPod(2, 'b'), await two.addPod(1, 'far')];
    const to = (...hosts: readonly Host[]) => ({
      frontends: [clusterIp],
      backends: hosts.map(({ address6 }) => `[${address6}]:80`),
    });
    await one.put(items.service('web', to(b)), items.service('web', { ...to(b), protocol: 'UDP' }));
    assert.is(await a.reaches(VIP6, 80), 'b');
    assert.is(await a.reaches(VIP6, 80, 'udp'), 'b');
    assert.is(await one.host.reaches(VIP6, 80), 'b');
    assert.is(await b.reaches(VIP6, 80), 'b', 'hairpin');
    await one.put(items.service('web', to(far)));
    assert.is(await a.reaches(VIP6, 80), 'far');
    await one.put(items.service('web', to()));
    assert.is((await a.probe(VIP6, 80)).outcome, 'rejected');
    assert.is((await a.probe(VIP6, 81)).outcome, 'rejected', 'no such port');
  });

  /** A service of b and c, and a pod that asks. */
  const twoBackends = async (rigs: OpenRig) => {
    const node = await TestNode.open(rigs);
    const [a, b, c] = [await node.addPod(1, 'a'), await node.addPod(2, 'b'), await node.addPod(3, 'c')];
    const backends = [b, c].map(({ address6 }) => `[${address6}]:80`);
    const put = (options: { affinitySeconds?: number; sourceRanges?: readonly string[] }): Promise<void> =>
      node.put(items.service('web', { frontends: [clusterIp], backends, ...options }));
    const answers = async (): Promise<number> => {
      const seen = new Set<string | null>();
      for (let i = 0; i < 12; i++) seen.add(await a.reaches(VIP6, 80));
      return seen.size;
    };
    const ranges = { sourceRanges: [`${b.address6}/128`, 'fd00:ffff::/32'] };
    return { a, b, put, answers, ranges };
  };
  run('connections use all backends; source ranges let in whom they name', async (rigs) => {
    const { b, put, answers, ranges } = await twoBackends(rigs);
    await put({});
    assert.is(await answers(), 2);
    await put(ranges);
    await b.reaches(VIP6, 80);
  });
  const affinity = async (rigs: OpenRig): Promise<void> => {
    const { put, answers } = await twoBackends(rigs);
    await put({ affinitySeconds: 600 });
    assert.is(await answers(), 1);
  };
  run('affinity holds a client', affinity, ['affinity6']);
  const others = async (rigs: OpenRig): Promise<void> => {
    const { a, b, put, ranges } = await twoBackends(rigs);
    await put({});
    await a.reaches(VIP6, 80);
    await put(ranges);
    await b.reaches(VIP6, 80);
    await a.isSilent(VIP6, 80);
  };
  run('source ranges keep others out', others, ['inside-ranges']);

  /** Who comes to a pod of the second node by a node port of the first. */
  const farSources = async (rigs: OpenRig): Promise<readonly string[]> => {
    const { underlay, one, two } = await twoNodes(rigs);
    const far = await two.addPod(1, 'far');
    const frontends = [{ address: items.nodeAddress6(1), port: 30080, type: 'NodePort' }] as const;
    const backends = [`[${far.address6}]:80`];
    await one.put(items.service('np', { scope: 'external', frontends, backends }));
    assert.is(await underlay.outside.reaches(items.nodeAddress6(1), 30080), 'far');
    return sourcesOf(far);
  };
  run('a node port leads to a pod of the other node', async (rigs) => {
    const [source = '', ...others] = await farSources(rigs);
    assert.ok([items.OUTSIDE6, items.nodeAddress6(1)].includes(source), source);
    assert.equal(others, []);
  });
  const kept = async (rigs: OpenRig): Promise<void> => {
    assert.equal(await farSources(rigs), [items.OUTSIDE6]);
  };
  run('a node port leads to a pod of the other node, and the client keeps its address', kept, [
    'client-address',
  ]);

  run('a packet too long for the tunnel is answered with the size that fits', async (rigs) => {
    const one = await TestNode.open(rigs, 1);
    await one.put(...items.peerItems(1, 2));
    const a = await one.addPod(1, 'a');
    a.sendUdp(items.podAddress6(2, 1), 7700, 80, 'x'.repeat(1440));
    await a.arrived(1);
    const error = a.received.find(({ protocol }) => protocol === 58)?.payload ?? new Uint8Array(8);
    assert.equal([error[0], error[1]], [2, 0], 'packet too big');
    assert.is(((error[6] ?? 0) << 8) | (error[7] ?? 0), 1450);
  });

  run('a trace speaks IPv6', async (rigs) => {
    const node = await TestNode.open(rigs);
    const [a, b] = [await node.addPod(1, 'a'), await node.addPod(2, 'b')];
    await node.put(items.service('web', { frontends: [clusterIp], backends: [`[${b.address6}]:80`] }));
    const trace = await node.rig.backend.trace({ source: a.address6, limit: 1 });
    await a.reaches(VIP6, 80);
    const steps = (await trace.stop()).map(({ text }) => text).join('\n');
    for (const part of [
      `receive: TCP [${a.address6}]:`,
      `-> [${VIP6}]:80`,
      `service: Service shop/web -> [${b.address6}]:80`,
      `route: ${b.address6} in pod table -> pod shop/b`,
      'outcome: forward-pod on pod shop/b',
    ]) {
      assert.ok(steps.includes(part), `${part} in\n${steps}`);
    }
  });
}
