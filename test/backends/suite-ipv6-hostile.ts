/** What nobody may do with IPv6: forge addresses, become the router, slip past policies by odd headers. */
import type { Test } from 'uvu';
import * as assert from 'uvu/assert';
import { discovery, ipv6, PROTOCOL_ICMP6, solicitedNode } from '../../control/sim/memory/ipv6.js';
import { checksum, ethernet, pseudo6, view } from '../../control/sim/memory/packet.js';
import { udp } from '../../control/sim/memory/transport.js';
import * as items from './items.js';
import { TestNode, Underlay } from './node.js';
import type { OpenRig } from './rig.js';
import { runOn } from './with-rigs.js';

const IPV6 = 0x86dd;

function frame(
  node: number,
  pod: number,
  payload: Uint8Array,
  destination = items.gatewayMac(node),
): Uint8Array {
  return ethernet({ source: items.podMac(node, pod), destination, type: IPV6, payload });
}

function datagram(source: string, destination: string): Uint8Array {
  const segment = udp(
    { sourcePort: 5000, destinationPort: 80, payload: Uint8Array.of(1) },
    source,
    destination,
  );
  return ipv6({ source, destination, protocol: 17, payload: segment });
}

/** An ICMPv6 message of neighbor discovery that stations never send. */
function control(type: number, source: string, destination: string, rest: Uint8Array): Uint8Array {
  const payload = Uint8Array.of(type, 0, 0, 0, ...rest);
  view(payload).setUint16(2, checksum(payload, pseudo6(source, destination, PROTOCOL_ICMP6, payload.length)));
  return ipv6({ source, destination, protocol: PROTOCOL_ICMP6, payload }, 255);
}

/** The same packet with an extension header of this type in front of what it carries. */
function extended(packet: Uint8Array, type: number, header: Uint8Array): Uint8Array {
  const out = Uint8Array.from([...packet.subarray(0, 40), packet[6] ?? 0, ...header, ...packet.subarray(40)]);
  out[6] = type;
  view(out).setUint16(4, out.length - 40);
  return out;
}

export function ipv6HostileTests(test: Test, open: OpenRig): void {
  const run = runOn(test, open);

  /** Forged sources, of which nothing arrives. Returns what they were counted as. */
  const forge = async (rigs: OpenRig) => {
    const node = await TestNode.open(rigs);
    const [a, b] = [await node.addPod(1, 'a'), await node.addPod(2, 'b')];
    await a.reaches(b.address6, 80);
    // Until its last packets are through.
    await node.rig.settle();
    b.received.length = 0;
    for (const source of [
      items.podAddress6(1, 7),
      b.address6,
      'fe80::1',
      '::',
      '::1',
      '::ffff:10.1.1.2',
      'ff02::1',
    ]) {
      node.rig.send(items.podLink(1, 'a'), frame(1, 1, datagram(source, b.address6)));
    }
    await node.rig.settle();
    assert.is(b.received.length, 0);
    const { outcomes } = await node.rig.backend.counters();
    return { spoofed: outcomes['drop-spoofed'] ?? 0, martian: outcomes['drop-martian'] ?? 0 };
  };
  run('a pod cannot use an address that is not its own', async (rigs) => {
    const { spoofed, martian } = await forge(rigs);
    // One check may find both: what has no way back to the pod.
    assert.ok(spoofed >= 2 && spoofed + martian >= 6);
  });
  const martians = async (rigs: OpenRig): Promise<void> => {
    const { spoofed, martian } = await forge(rigs);
    assert.ok(spoofed >= 2 && martian >= 4);
  };
  run('addresses that nobody may use are counted apart', martians, ['apart-counts']);

  /** Discovery that only routers may send, or in another's name; nobody believes it. Returns what it was counted as. */
  const discover = async (rigs: OpenRig) => {
    const node = await TestNode.open(rigs);
    const [a, b] = [await node.addPod(1, 'a'), await node.addPod(2, 'b')];
    await a.reaches(b.address6, 80);
    // Until its last packets are through.
    await node.rig.settle();
    const seen: Uint8Array[] = [];
    const receive = b.receive.bind(b);
    b.receive = (got) => {
      seen.push(got);
      receive(got);
    };
    const mac = items.podMac(1, 1);
    const send = (payload: Uint8Array, destination = '33:33:00:00:00:01'): void =>
      node.rig.send(items.podLink(1, 'a'), frame(1, 1, payload, destination));
    const router = new Uint8Array(12);
    router[0] = 64;
    send(control(134, 'fe80::1', 'ff02::1', router));
    send(control(137, 'fe80::1', a.address6, new Uint8Array(36)));
    send(control(133, 'fe80::1', 'ff02::2', new Uint8Array(4)));
    for (const target of [b.address6, items.gateway6(1)]) {
      const claim = { type: 'advertisement', source: target, destination: b.address6, target } as const;
      send(discovery({ ...claim, mac }), items.gatewayMac(1));
    }
    await node.rig.settle();
    assert.equal(seen, [], 'nothing of it is passed on');
    assert.is(await b.reaches(a.address6, 80), 'a');
    assert.is(await a.reaches(b.address6, 80), 'b');
    const { outcomes } = await node.rig.backend.counters();
    return { nd: outcomes['drop-nd'] ?? 0, spoofed: outcomes['drop-spoofed'] ?? 0 };
  };
  run('a pod is no router, and takes nobody’s address by neighbor discovery', async (rigs) => {
    const { nd, spoofed } = await discover(rigs);
    // The redirect is of a kind that nobody may send, and of an address that is not the pod's.
    assert.ok(nd >= 2 && spoofed >= 2 && nd + spoofed >= 5);
  });
  const redirects = async (rigs: OpenRig): Promise<void> => {
    const { nd, spoofed } = await discover(rigs);
    assert.ok(nd >= 3 && spoofed >= 2);
  };
  run('a redirect in another’s name is counted as a redirect', redirects, ['apart-counts']);

  run(
    'a pod that looks whether its address is free is left alone, one that wants the gateway’s is told',
    async (rigs) => {
      const node = await TestNode.open(rigs);
      const a = await node.addPod(1, 'a');
      const seen: Uint8Array[] = [];
      a.receive = (got) => void seen.push(got);
      const look = (target: string): void => {
        const { group, mac } = solicitedNode(target);
        const rest = discovery({ type: 'solicitation', source: '::', destination: group, target, mac: null });
        // Without the option, as RFC 4861 section 4.3 demands of a solicitation from no address.
        const message = rest.subarray(44, 64);
        node.rig.send(items.podLink(1, 'a'), frame(1, 1, control(135, '::', group, message), mac));
      };
      look(a.address6);
      look('fe80::2');
      await node.rig.settle();
      assert.equal(seen, []);
      look(items.gateway6(1));
      await node.rig.settle();
      assert.is(seen.length, 1);
      assert.is(seen[0]?.[54], 136, 'an advertisement');
      const at = [...(seen[0]?.subarray(0, 6) ?? [])].map((byte) => byte.toString(16).padStart(2, '0'));
      // There is one node on the link.
      assert.ok(['33:33:00:00:00:01', items.podMac(1, 1)].includes(at.join(':')), at.join(':'));
      assert.equal(
        [...(seen[0]?.subarray(38, 54) ?? [])],
        [0xff, 2, ...new Array(13).fill(0), 1],
        'to all nodes',
      );
    },
  );

  run('extension headers do not hide what a packet is', async (rigs) => {
    const node = await TestNode.open(rigs);
    const [a, b] = [await node.addPod(1, 'a'), await node.addPod(2, 'b')];
    await a.reaches(b.address6, 80);
    // Until its last packets are through.
    await node.rig.settle();
    b.received.length = 0;
    const good = datagram(a.address6, b.address6);
    const send = (payload: Uint8Array): void => node.rig.send(items.podLink(1, 'a'), frame(1, 1, payload));
    const pad = Uint8Array.of(0, 1, 4, 0, 0, 0, 0);
    const route = Uint8Array.of(0, 0, 1, 0, 0, 0, 0);
    send(extended(good, 0, pad));
    send(extended(good, 43, route));
    let chain = good;
    for (let i = 0; i < 6; i++) chain = extended(chain, 60, pad);
    send(chain);
    send(Uint8Array.from([...extended(good, 60, pad).subarray(0, 44)]));
    await node.rig.settle();
    assert.is(b.received.length, 0);
    const { outcomes } = await node.rig.backend.counters();
    assert.is(outcomes['drop-options'], 3);
    await node.put(items.policy('closed', 'ingress', []), items.endpoint('b', 'policy/closed', null));
    const before = (await node.rig.backend.counters()).outcomes['drop-policy-ingress'] ?? 0;
    send(extended(good, 60, pad));
    await node.rig.settle();
    const after = (await node.rig.backend.counters()).outcomes['drop-policy-ingress'] ?? 0;
    assert.is(after, before + 1, 'destination options are read past');
  });

  run('a stranger on the underlay cannot use a pod’s address', async (rigs) => {
    const underlay = new Underlay();
    const one = await TestNode.open(rigs, 1, underlay);
    await one.put(...items.peerItems(1, 2));
    const a = await one.addPod(1, 'a');
    await underlay.outside.reaches(items.nodeAddress6(1), 0, 'icmp');
    for (const source of [items.podAddress6(1, 5), items.podAddress6(2, 1), items.nodeAddress6(1)]) {
      const payload = datagram(source, a.address6);
      one.rig.send(
        items.uplinkLink(1),
        ethernet({ source: '02:00:00:00:ff:fe', destination: items.uplinkMac(1), type: IPV6, payload }),
      );
    }
    await one.rig.settle();
    assert.is(a.received.length, 0);
  });
}
