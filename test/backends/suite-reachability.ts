/** Pods, the node's host, tunnels, source NAT, policies. */
import type { Test } from 'uvu';
import * as assert from 'uvu/assert';
import * as items from './items.js';
import { TestNode, Underlay } from './node.js';
import type { OpenRig } from './rig.js';
import { runOn } from './with-rigs.js';

export function reachabilityTests(test: Test, open: OpenRig): void {
  const run = runOn(test, open);

  run('pods of one node reach each other and their gateway', async (rigs) => {
    const node = await TestNode.open(rigs);
    const [a, b] = [await node.addPod(1, 'a'), await node.addPod(2, 'b')];
    assert.is(await a.reaches(b.address, 80), 'b');
    assert.is(await b.reaches(a.address, 80, 'udp'), 'a');
    await a.reaches(b.address, 0, 'icmp');
    await a.reaches(items.gateway(1), 0, 'icmp');
    assert.is((await a.probe(b.address, 81)).outcome, 'refused');
    await a.isSilent(items.podAddress(1, 9), 80);
  });

  run('the node reaches its pods even when they are isolated, and they reach the node', async (rigs) => {
    const node = await TestNode.open(rigs);
    const a = await node.addPod(1, 'a');
    node.host.listen(10250, 'kubelet');
    await node.put(items.policy('closed', 'ingress', []), items.endpoint('a', 'policy/closed', null));
    assert.is(await node.host.reaches(a.address, 80), 'a');
    assert.is(await a.reaches(node.host.address, 10250), 'kubelet');
  });

  run('a pod that goes is reached no more', async (rigs) => {
    const node = await TestNode.open(rigs);
    const [a, b] = [await node.addPod(1, 'a'), await node.addPod(2, 'b')];
    await a.reaches(b.address, 80);
    await node.remove(...items.podItems(1, 2, 'b').map(({ key }) => key));
    await a.isSilent(b.address, 80);
  });

  run('pods of two nodes reach each other through VXLAN, from the first packet on', async (rigs) => {
    const underlay = new Underlay();
    const one = await TestNode.open(rigs, 1, underlay);
    const two = await TestNode.open(rigs, 2, underlay);
    await one.put(...items.peerItems(1, 2));
    await two.put(...items.peerItems(2, 1));
    const [a, b] = [await one.addPod(1, 'a'), await two.addPod(1, 'b')];
    // The tunnel's next hop is resolved before anybody sends.
    await one.rig.settle();
    await two.rig.settle();
    underlay.frames.length = 0;
    a.sendUdp(b.address, 5000, 80);
    await b.arrived(1);
    assert.equal(b.takeUdp(), [{ source: a.address, sourcePort: 5000, destinationPort: 80 }]);
    // Nodes may have something to say of themselves meanwhile.
    const outer = Buffer.from(underlay.frames.find((frame) => frame[12] === 8 && frame[13] === 0) ?? []);
    assert.is(outer.readUInt16BE(36), 4789, 'UDP port of VXLAN');
    assert.is(outer.readUInt32BE(46) >>> 8, 10, 'VNI');
    assert.is(await b.reaches(a.address, 80), 'a');
    await a.reaches(b.address, 0, 'icmp');
  });

  run('what leaves the cluster has the node as its source, and replies come back', async (rigs) => {
    const underlay = new Underlay();
    const node = await TestNode.open(rigs, 1, underlay);
    const a = await node.addPod(1, 'a');
    underlay.outside.listen(443, 'outside');
    assert.is(await a.reaches(items.OUTSIDE, 443), 'outside');
    const known = underlay.outside.received.length;
    a.sendUdp(items.OUTSIDE, 5001, 443);
    await underlay.outside.arrived(known + 1);
    const sources = new Set(underlay.outside.received.map(({ source }) => source));
    assert.equal([...sources], [items.nodeAddress(1)]);
    await a.reaches(items.OUTSIDE, 0, 'icmp');
  });

  for (const family of [4, 6] as const) {
    const routed = async (rigs: OpenRig): Promise<void> => {
      const underlay = new Underlay();
      const node = await TestNode.open(rigs, 1, underlay);
      const a = await node.addPod(1, 'a');
      const host = underlay.addRouted(1);
      const to = family === 4 ? a.address : a.address6;
      assert.is(await host.reaches(to, 80), 'a');
      assert.is(await host.reaches(to, 80, 'udp'), 'a');
      const sources = new Set(a.received.map(({ source }) => source));
      assert.equal([...sources], [family === 4 ? items.ROUTED : items.ROUTED6]);
    };
    run(
      `who has a route to the pods from outside reaches them, by the addresses of both (IPv${family})`,
      routed,
      [family === 4 ? 'outside-pods' : 'outside-pods6'],
    );
  }

  run('an ingress policy lets in whom it names, on the ports it names', async (rigs) => {
    const node = await TestNode.open(rigs);
    const [a, b, c] = [await node.addPod(1, 'a'), await node.addPod(2, 'b'), await node.addPod(3, 'c')];
    b.listen(81, 'b');
    await node.put(
      items.addressSet('a', [a.address]),
      items.policy('web', 'ingress', [items.allow('web', ['addressset/a'], [items.port('TCP', 80)])]),
      items.endpoint('b', 'policy/web', null),
    );
    assert.is(await a.reaches(b.address, 80), 'b');
    await Promise.all([
      a.isSilent(b.address, 81),
      a.isSilent(b.address, 80, 'udp'),
      a.isSilent(b.address, 0, 'icmp'),
      c.isSilent(b.address, 80),
    ]);
    assert.is(await b.reaches(c.address, 80), 'c', 'egress is open');
    // One more address in the set.
    await node.put(items.addressSet('a', [a.address, c.address]));
    assert.is(await c.reaches(b.address, 80), 'b');
  });

  run('replies pass whatever the policies of the other direction say', async (rigs) => {
    const node = await TestNode.open(rigs);
    const [a, b] = [await node.addPod(1, 'a'), await node.addPod(2, 'b')];
    await node.put(items.policy('mute', 'egress', []), items.endpoint('b', null, 'policy/mute'));
    assert.is(await a.reaches(b.address, 80), 'b');
    assert.is(await a.reaches(b.address, 80, 'udp'), 'b');
    await b.isSilent(a.address, 80);
  });

  run('a policy acts on connections already open: forbidden ones stop, allowed ones go on', async (rigs) => {
    const node = await TestNode.open(rigs);
    const [a, b, c] = [await node.addPod(1, 'a'), await node.addPod(2, 'b'), await node.addPod(3, 'c')];
    const sendBoth = async (expected: number): Promise<string[]> => {
      b.received.length = 0;
      a.sendUdp(b.address, 6000, 80);
      c.sendUdp(b.address, 6000, 80);
      await b.arrived(expected);
      await node.rig.settle();
      return b
        .takeUdp()
        .map(({ source }) => source)
        .sort();
    };
    assert.equal(await sendBoth(2), [a.address, c.address]);
    await node.put(
      items.addressSet('a', [a.address]),
      items.policy('web', 'ingress', [items.allow('web', ['addressset/a'], [items.port('UDP', 80)])]),
      items.endpoint('b', 'policy/web', null),
    );
    assert.equal(await sendBoth(1), [a.address]);
    await node.put(items.endpoint('b', null, null));
    assert.equal(await sendBoth(2), [a.address, c.address]);
  });

  run('a pod cannot use an address that is not its own', async (rigs) => {
    const node = await TestNode.open(rigs);
    const [a, b] = [await node.addPod(1, 'a'), await node.addPod(2, 'b')];
    a.station.sendIp(items.podAddress(1, 7), b.address, 17, new Uint8Array(8));
    await node.rig.settle();
    assert.is(b.received.length, 0);
  });

  run('pods reach the other node itself through the tunnel, with their own address', async (rigs) => {
    const underlay = new Underlay();
    const one = await TestNode.open(rigs, 1, underlay);
    const two = await TestNode.open(rigs, 2, underlay);
    await one.put(...items.peerItems(1, 2));
    await two.put(...items.peerItems(2, 1));
    const a = await one.addPod(1, 'a');
    two.host.listen(10250, 'kubelet');
    assert.is(await a.reaches(items.nodeAddress(2), 10250), 'kubelet');
    assert.equal([...new Set(two.host.received.map(({ source }) => source))], [a.address]);
  });

  run('a packet too long for the tunnel is answered with the size that fits', async (rigs) => {
    const underlay = new Underlay();
    const one = await TestNode.open(rigs, 1, underlay);
    await one.put(...items.peerItems(1, 2));
    const a = await one.addPod(1, 'a');
    a.sendUdp(items.podAddress(2, 1), 7700, 80, 'x'.repeat(1460));
    await a.arrived(1);
    const error = a.received.find(({ protocol }) => protocol === 1)?.payload ?? new Uint8Array(8);
    assert.equal([error[0], error[1]], [3, 4], 'ICMP fragmentation needed');
    assert.is(((error[6] ?? 0) << 8) | (error[7] ?? 0), 1450);
  });
}
