/** One node of a test cluster: a rig with its items, its pods' stacks, and an underlay that joins it to others. */
import * as assert from 'uvu/assert';
import type { Change, Item, Key } from '../../control/ruleset/types.js';
import type { ProbeResult } from '../../control/sim/driver.js';
import { PROTOCOL_ICMP6, parseIpv6 } from '../../control/sim/memory/ipv6.js';
import {
  ETHERTYPE_IPV4,
  ETHERTYPE_IPV6,
  type Ethernet,
  type IpPacket,
  parseEthernet,
  parseIpv4,
} from '../../control/sim/memory/packet.js';
import { type ProbeSpec, probe } from '../../control/sim/memory/probe.js';
import { Station } from '../../control/sim/memory/station.js';
import { parseUdp, udp } from '../../control/sim/memory/transport.js';
import * as items from './items.js';
import type { OpenRig, Rig } from './rig.js';

/** A loaded machine answers in this time; most of it goes to room for flows that CNAT makes when the first comes. */
const PROBE_MS = 5000;
/** Long enough for anything that would be answered at all. */
const SILENCE_MS = 250;

/** A packet of either family. */
function parseIp({ type, payload }: Ethernet): IpPacket | null {
  if (type === ETHERTYPE_IPV4) return parseIpv4(payload);
  return type === ETHERTYPE_IPV6 ? parseIpv6(payload) : null;
}

/** A stack of both families at the far end of a link that also keeps every packet it gets. */
export class Host {
  readonly station: Station;
  readonly received: IpPacket[] = [];

  constructor(
    readonly address: string,
    readonly address6: string,
    spec: {
      mac: string;
      /** Of both families; null = everything is on the link. */
      gateways: readonly [string, string] | null;
      gatewayMac: string | null;
      send: (frame: Uint8Array) => void;
    },
  ) {
    const { mac, gateways, gatewayMac, send } = spec;
    this.station = new Station({
      mac,
      addresses: [address, address6],
      routes: [
        { destination: '0.0.0.0/0', nextHop: gateways?.[0] ?? null },
        { destination: '::/0', nextHop: gateways?.[1] ?? null },
      ],
      // The IPv6 gateway is found by neighbor discovery.
      neighbors: new Map(gateways === null || gatewayMac === null ? [] : [[gateways[0], gatewayMac]]),
      send,
    });
  }

  receive(frame: Uint8Array): void {
    const parsed = parseEthernet(frame);
    const packet = parsed === null ? null : parseIp(parsed);
    if (packet !== null && (packet.destination === this.address || this.#isMine6(packet)))
      this.received.push(packet);
    this.station.receive(frame);
  }

  /** Neighbor discovery is the stack's own business. */
  #isMine6({ destination, protocol, payload }: IpPacket): boolean {
    return destination === this.address6 && !(protocol === PROTOCOL_ICMP6 && (payload[0] ?? 0) >= 133);
  }

  /** TCP and UDP servers on `port` that answer with `name`. */
  listen(port: number, name: string): void {
    this.station.servers.listen('TCP', port, name);
    this.station.servers.listen('UDP', port, name);
  }

  probe(address: string, port = 0, protocol: ProbeSpec['protocol'] = 'tcp'): Promise<ProbeResult> {
    return probe(this.station, { address, port, protocol, timeoutMs: PROBE_MS });
  }

  /** Asserts that nobody answers. */
  async isSilent(address: string, port = 0, protocol: ProbeSpec['protocol'] = 'tcp'): Promise<void> {
    const { outcome } = await probe(this.station, { address, port, protocol, timeoutMs: SILENCE_MS });
    assert.is(outcome, 'timeout');
  }

  /** Asserts that the connection comes about; returns who answered. */
  async reaches(address: string, port = 0, protocol: ProbeSpec['protocol'] = 'tcp'): Promise<string | null> {
    const { outcome, answer } = await this.probe(address, port, protocol);
    assert.is(outcome, 'connected', `${this.station.sourceFor(address)} to ${address} ${port}/${protocol}`);
    return answer;
  }

  sendUdp(destination: string, sourcePort: number, destinationPort: number, text = 'x'): void {
    const payload = new TextEncoder().encode(text);
    const source = this.station.sourceFor(destination);
    const segment = udp({ sourcePort, destinationPort, payload }, source, destination);
    this.station.sendIp(source, destination, 17, segment);
  }

  /** Resolves when that many packets came (since they were last taken), or after a while. */
  async arrived(count: number): Promise<void> {
    const deadline = performance.now() + PROBE_MS;
    while (this.received.length < count && performance.now() < deadline) {
      await new Promise((resolve) => setTimeout(resolve, 1));
    }
  }

  /** Destination ports of the UDP datagrams received so far, which are then forgotten. */
  takeUdp(): { readonly source: string; readonly sourcePort: number; readonly destinationPort: number }[] {
    const taken = this.received.splice(0).flatMap((packet) => {
      const segment = packet.protocol === 17 ? parseUdp(packet) : null;
      if (segment === null) return [];
      return [
        { source: packet.source, sourcePort: segment.sourcePort, destinationPort: segment.destinationPort },
      ];
    });
    return taken;
  }
}

/** What joins the nodes' uplinks, with the outside host on it. */
export class Underlay {
  readonly outside: Host;
  readonly frames: Uint8Array[] = [];
  readonly #nodes: TestNode[] = [];
  readonly #hosts: Host[] = [];

  constructor() {
    this.outside = this.#addHost(items.OUTSIDE, items.OUTSIDE6, '02:00:00:00:ff:fe', null);
  }

  /** One more host outside, with a route to everything by a node. */
  addRouted(node: number): Host {
    return this.#addHost(items.ROUTED, items.ROUTED6, '02:00:00:00:ff:fd', node);
  }

  #addHost(address: string, address6: string, mac: string, node: number | null): Host {
    const host = new Host(address, address6, {
      mac,
      gateways: node === null ? null : [items.nodeAddress(node), items.nodeAddress6(node)],
      gatewayMac: node === null ? null : items.uplinkMac(node),
      send: (frame) => this.forward(null, frame),
    });
    this.#hosts.push(host);
    return host;
  }

  join(node: TestNode): void {
    this.#nodes.push(node);
  }

  forward(from: TestNode | null, frame: Uint8Array): void {
    this.frames.push(frame);
    if (from !== null) for (const host of this.#hosts) host.receive(frame);
    for (const node of this.#nodes) if (node !== from) node.rig.send(items.uplinkLink(node.id), frame);
  }
}

export class TestNode {
  readonly items = new Map<Key, Item>();

  private constructor(
    readonly id: number,
    readonly rig: Rig,
    readonly host: Host,
  ) {}

  /** Opens a node without pods, joined to the underlay; a default underlay has only the outside host on it. */
  static async open(open: OpenRig, id = 1, underlay = new Underlay()): Promise<TestNode> {
    const rig = await open();
    const host = new Host(items.nodeAddress(id), items.nodeAddress6(id), {
      mac: items.hostMac(id),
      gateways: [`172.30.${id}.1`, items.hostAddress6(id, 1)],
      gatewayMac: items.gatewayMac(id),
      send: (frame) => rig.send(items.hostLink(id), frame),
    });
    const node = new TestNode(id, rig, host);
    await rig.attach(items.uplinkLink(id), (frame) => underlay.forward(node, frame));
    await rig.attach(items.hostLink(id), (frame) => host.receive(frame));
    underlay.join(node);
    await node.put(...items.nodeItems(id));
    return node;
  }

  async addPod(pod: number, name: string): Promise<Host> {
    const host = new Host(items.podAddress(this.id, pod), items.podAddress6(this.id, pod), {
      mac: items.podMac(this.id, pod),
      gateways: [items.gateway(this.id), items.gateway6(this.id)],
      gatewayMac: items.gatewayMac(this.id),
      send: (frame) => this.rig.send(items.podLink(this.id, name), frame),
    });
    host.listen(80, name);
    await this.rig.attach(items.podLink(this.id, name), (frame) => host.receive(frame));
    await this.put(...items.podItems(this.id, pod, name));
    return host;
  }

  /** Adds or updates items in one transaction, and asserts that they are in force. */
  async put(...wanted: readonly Item[]): Promise<void> {
    await this.apply(wanted.map((item) => this.change(item)));
  }

  async remove(...keys: readonly Key[]): Promise<void> {
    await this.apply(keys.map((key): Change => ({ type: 'remove', key, old: this.items.get(key) as Item })));
  }

  change(item: Item): Change {
    const old = this.items.get(item.key);
    if (old === undefined) return { type: 'add', key: item.key, item };
    return { type: 'update', key: item.key, item, old };
  }

  async apply(changes: readonly Change[]): Promise<void> {
    const results = await this.rig.backend.apply(changes);
    assert.equal(
      results.filter(({ error }) => error !== null),
      [],
    );
    for (const change of changes) {
      if (change.type === 'remove') this.items.delete(change.key);
      else this.items.set(change.key, change.item);
    }
  }
}
