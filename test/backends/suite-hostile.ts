/** What nobody may do: forge addresses, speak for the gateway, put packets into tunnels, go around policies. */
import type { Test } from 'uvu';
import * as assert from 'uvu/assert';
import { arp, ethernet, ipv4, parseArp, parseEthernet } from '../../control/sim/memory/packet.js';
import { udp } from '../../control/sim/memory/transport.js';
import * as items from './items.js';
import { TestNode, Underlay } from './node.js';
import type { OpenRig } from './rig.js';
import { runOn } from './with-rigs.js';

const IPV4 = 0x0800;
const ARP = 0x0806;
const IPV6 = 0x86dd;
const OUTSIDE_MAC = '02:00:00:00:ff:fe';

function datagram(source: string, destination: string, port: number, payload: Uint8Array): Uint8Array {
  const segment = udp({ sourcePort: 5000, destinationPort: port, payload }, source, destination);
  return ipv4({ source, destination, protocol: 17, payload: segment });
}

/** A datagram to port 80 in a tunnel packet's clothes: VXLAN header, inner frame for node 2. */
function smuggled(source: string, destination: string): Uint8Array {
  const payload = datagram(source, destination, 80, Uint8Array.of(1));
  const inner = ethernet({ source: items.bviMac(1), destination: items.bviMac(2), type: IPV4, payload });
  return Uint8Array.from([8, 0, 0, 0, 0, 0, 10, 0, ...inner]);
}

export function hostileTests(test: Test, open: OpenRig): void {
  const run = runOn(test, open);

  run('a pod cannot take another’s address, by IP or by ARP, nor stand for the gateway', async (rigs) => {
    const node = await TestNode.open(rigs);
    const [a, b, evil] = [await node.addPod(1, 'a'), await node.addPod(2, 'b'), await node.addPod(3, 'evil')];
    await a.reaches(b.address, 80);
    const link = items.podLink(1, 'evil');
    const mac = items.podMac(1, 3);
    const seen: Uint8Array[] = [];
    const receive = evil.receive.bind(evil);
    evil.receive = (frame) => {
      seen.push(frame);
      receive(frame);
    };
    for (const [senderIp, targetIp] of [
      [b.address, items.gateway(1)],
      [b.address, a.address],
      [items.gateway(1), a.address],
    ] as const) {
      for (const operation of ['request', 'reply'] as const) {
        const claim = arp({ operation, senderMac: mac, senderIp, targetMac: items.podMac(1, 1), targetIp });
        node.rig.send(
          link,
          ethernet({ source: mac, destination: 'ff:ff:ff:ff:ff:ff', type: ARP, payload: claim }),
        );
      }
    }
    await node.rig.settle();
    b.received.length = 0;
    const forged = datagram(a.address, b.address, 80, Uint8Array.of(1));
    for (const source of [mac, items.podMac(1, 1)]) {
      node.rig.send(
        link,
        ethernet({ source, destination: items.gatewayMac(1), type: IPV4, payload: forged }),
      );
    }
    // Straight at the other pod's MAC, and as a router of IPv6.
    const direct = datagram(evil.address, b.address, 80, Uint8Array.of(1));
    node.rig.send(
      link,
      ethernet({ source: mac, destination: items.podMac(1, 2), type: IPV4, payload: direct }),
    );
    node.rig.send(
      link,
      ethernet({ source: mac, destination: '33:33:00:00:00:01', type: IPV6, payload: new Uint8Array(60) }),
    );
    await node.rig.settle();
    assert.equal(b.takeUdp(), []);
    assert.equal(
      seen
        .map((frame) => parseEthernet(frame))
        .filter((frame) => frame?.type === ARP && parseArp(frame.payload)?.operation === 'reply'),
      [],
      'no claim of a foreign address is answered',
    );
    assert.is(await a.reaches(b.address, 80), 'b', 'its neighbors are where they were');
    assert.is(await b.reaches(a.address, 80), 'a');
  });

  run('nobody but a node puts packets into a tunnel: not a pod, not a host outside', async (rigs) => {
    const underlay = new Underlay();
    const one = await TestNode.open(rigs, 1, underlay);
    const two = await TestNode.open(rigs, 2, underlay);
    await one.put(...items.peerItems(1, 2));
    await two.put(...items.peerItems(2, 1));
    const [a, evil, b] = [await one.addPod(1, 'a'), await one.addPod(2, 'evil'), await two.addPod(1, 'b')];
    await two.put(
      items.addressSet('a', [a.address]),
      items.policy('web', 'ingress', [items.allow('web', ['addressset/a'], null)]),
      items.endpoint('b', 'policy/web', null),
    );
    assert.is(await a.reaches(b.address, 80), 'b');
    await evil.isSilent(b.address, 80);
    b.received.length = 0;
    const trick = smuggled(a.address, b.address);
    // A pod, to the other node and to its own; through a node port that somebody pointed at the other node's tunnel.
    for (const target of [items.nodeAddress(2), items.nodeAddress(1)]) {
      evil.station.sendIp(
        evil.address,
        target,
        17,
        udp({ sourcePort: 5000, destinationPort: 4789, payload: trick }, evil.address, target),
      );
    }
    await one.put(
      items.service('evil', {
        protocol: 'UDP',
        frontends: [{ address: items.nodeAddress(1), port: 30789, type: 'NodePort' }],
        backends: [`${items.nodeAddress(2)}:4789`],
      }),
    );
    const fromOutside = (destination: string, mac: string, port: number): void => {
      const payload = datagram(items.OUTSIDE, destination, port, trick);
      underlay.forward(null, ethernet({ source: OUTSIDE_MAC, destination: mac, type: IPV4, payload }));
    };
    fromOutside(items.nodeAddress(2), items.uplinkMac(2), 4789);
    fromOutside(items.nodeAddress(1), items.uplinkMac(1), 30789);
    await one.rig.settle();
    await two.rig.settle();
    await one.rig.settle();
    await two.rig.settle();
    assert.equal(b.takeUdp(), []);
    assert.is(await a.reaches(b.address, 80), 'b', 'the tunnel is as it was');
  });

  run('what a node’s stack passes on for others is no node’s: policies judge it', async (rigs) => {
    const node = await TestNode.open(rigs);
    const [a, b] = [await node.addPod(1, 'a'), await node.addPod(2, 'b')];
    await node.put(
      items.addressSet('a', [a.address]),
      items.policy('web', 'ingress', [items.allow('web', ['addressset/a'], null)]),
      items.endpoint('b', 'policy/web', null),
    );
    assert.is(await node.host.reaches(b.address, 80), 'b', 'the node itself');
    assert.is(await a.reaches(b.address, 80, 'udp'), 'b');
    b.received.length = 0;
    // A machine behind another link of the node, and what runs on the node behind a bridge of its own.
    for (const source of ['203.0.113.9', '172.17.0.2']) {
      const payload = datagram(source, b.address, 80, Uint8Array.of(1));
      const frame = { source: items.hostMac(1), destination: items.gatewayMac(1), type: IPV4, payload };
      node.rig.send(items.hostLink(1), ethernet(frame));
    }
    await node.rig.settle();
    assert.equal(b.takeUdp(), []);
  });

  run(
    'a pod that gets the address of one that is gone has its own policies, in open connections too',
    async (rigs) => {
      const node = await TestNode.open(rigs);
      const [a, b] = [await node.addPod(1, 'a'), await node.addPod(2, 'b')];
      a.sendUdp(b.address, 4000, 80);
      // Its server answers.
      await a.arrived(1);
      assert.equal([a.takeUdp().length, b.takeUdp().length], [1, 1]);
      const routes = ['main', 'pod'].flatMap((vrf) => [
        `route/${vrf}/${b.address}/32`,
        `route/${vrf}/${b.address6}/128`,
      ]);
      await node.remove('endpoint/shop/b', items.podKey('b'), ...routes);
      const next = await node.addPod(2, 'next');
      await node.put(
        items.policy('shut', 'ingress', []),
        items.policy('mute', 'egress', []),
        items.endpoint('next', 'policy/shut', 'policy/mute'),
      );
      assert.is(next.address, b.address);
      a.sendUdp(next.address, 4000, 80);
      next.sendUdp(a.address, 80, 4000);
      await node.rig.settle();
      assert.equal([a.takeUdp(), next.takeUdp()], [[], []]);
    },
  );

  run('a host outside that calls itself a pod is refused, at the pod and at a node port', async (rigs) => {
    const underlay = new Underlay();
    const node = await TestNode.open(rigs, 1, underlay);
    const [a, b] = [await node.addPod(1, 'a'), await node.addPod(2, 'b')];
    await node.put(
      items.addressSet('a', [a.address]),
      items.policy('web', 'ingress', [items.allow('web', ['addressset/a'], null)]),
      items.endpoint('b', 'policy/web', null),
      items.service('web', {
        protocol: 'UDP',
        frontends: [{ address: items.nodeAddress(1), port: 30080, type: 'NodePort' }],
        backends: [`${b.address}:80`],
      }),
    );
    await a.reaches(b.address, 80, 'udp');
    b.received.length = 0;
    for (const [source, destination, port] of [
      [a.address, b.address, 80],
      [a.address, items.nodeAddress(1), 30080],
      [items.OUTSIDE, items.nodeAddress(1), 30080],
    ] as const) {
      const payload = datagram(source, destination, port, Uint8Array.of(1));
      underlay.forward(
        null,
        ethernet({ source: OUTSIDE_MAC, destination: items.uplinkMac(1), type: IPV4, payload }),
      );
    }
    await node.rig.settle();
    assert.equal(b.takeUdp(), [], 'a node port is no way around the policy either');
  });
}
