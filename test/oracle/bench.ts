/** One node's data plane in memory, and what must come out of it. */
import type { MemoryLinks } from '../../control/backends/wasm/memory-feed.js';
import type { NodeLocal } from '../../control/compiler/input.js';
import type { Oracle } from '../../control/oracle/question.js';
import { findRoute, itemOf } from '../../control/ruleset/evaluate.js';
import type { Ruleset } from '../../control/ruleset/types.js';
import { discovery, parseDiscovery, parseIpv6 } from '../../control/sim/memory/ipv6.js';
import {
  arp,
  ETHERTYPE_ARP,
  ETHERTYPE_IPV6,
  ethernet,
  parseArp,
  parseEthernet,
} from '../../control/sim/memory/packet.js';
import { frame, markerOf, probePacket, throughTunnel, type WireProbe } from './wire.js';

export const NODE_ADDRESS = '192.168.16.1';
export const NODE_ADDRESS6 = 'fd00:192:168:16::1';
const UNDERLAY_MAC = '02:00:00:00:aa:01';

/** The wires of the data plane under test. */
export interface BenchLinks {
  attach(link: string, receive: (frame: Uint8Array) => void): void;
  /** False if there is no room for it. */
  send(link: string, frame: Uint8Array): boolean;
}

/** The data plane of one node with everything its links bring out. */
export class Bench<Links extends BenchLinks = MemoryLinks> {
  /** Marker -> the links it came out on. */
  readonly seen = new Map<number, string[]>();
  ruleset: Ruleset = new Map();
  local: NodeLocal | null = null;

  constructor(readonly links: Links) {}

  listen(link: string): void {
    this.links.attach(link, (bytes) => {
      const marker = markerOf(bytes);
      if (marker !== null) this.seen.set(marker, [...(this.seen.get(marker) ?? []), link]);
      else if (link === 'eth0') {
        this.answerArp(bytes);
        this.answerNd(bytes);
      }
    });
  }

  /** The whole underlay is one station that has every address. */
  private answerArp(bytes: Uint8Array): void {
    const parsed = parseEthernet(bytes);
    const request = parsed?.type === ETHERTYPE_ARP ? parseArp(parsed.payload) : null;
    if (request?.operation !== 'request') return;
    const { senderMac: targetMac, senderIp: targetIp, targetIp: senderIp } = request;
    const reply = arp({ operation: 'reply', senderMac: UNDERLAY_MAC, senderIp, targetMac, targetIp });
    this.links.send(
      'eth0',
      ethernet({ destination: targetMac, source: UNDERLAY_MAC, type: ETHERTYPE_ARP, payload: reply }),
    );
  }

  private answerNd(bytes: Uint8Array): void {
    const parsed = parseEthernet(bytes);
    const packet = parsed?.type === ETHERTYPE_IPV6 ? parseIpv6(parsed.payload) : null;
    const asked = packet === null ? null : parseDiscovery(packet);
    if (asked?.type !== 'solicitation' || asked.mac === null) return;
    const { source: destination, target } = asked;
    const message = { type: 'advertisement', source: target, destination, target } as const;
    const reply = discovery({ ...message, mac: UNDERLAY_MAC });
    this.links.send('eth0', frame(UNDERLAY_MAC, asked.mac, reply));
  }

  /** Sends a probe where its source would; false if that is not on this node's wires. */
  send(probe: WireProbe, sourceNode: string | null): boolean {
    const { local } = this;
    if (local === null) return false;
    const packet = probePacket(probe);
    const attachment = local.attachments.find(({ addresses }) => addresses.includes(probe.source));
    if (attachment !== undefined) {
      return this.links.send(attachment.link, frame(attachment.peerMac, attachment.mac, packet));
    }
    if ((probe.source === NODE_ADDRESS || probe.source === NODE_ADDRESS6) && local.host !== null) {
      return this.links.send(local.host.link, frame(local.host.peerMac, local.host.mac, packet));
    }
    const tunnel = [...this.ruleset.values()].find(
      (item) => item.kind === 'tunnel' && item.peer === sourceNode,
    );
    const arriving = tunnel?.kind === 'tunnel' ? throughTunnel(tunnel, packet) : packet;
    return this.links.send('eth0', frame(UNDERLAY_MAC, local.uplink.mac, arriving));
  }
}

export async function settle(): Promise<void> {
  for (let i = 0; i < 20; i++) await new Promise((resolve) => setImmediate(resolve));
}

/** The link a probe must come out on, or null for nowhere. */
export function expectedLink(
  bench: Pick<Bench, 'local' | 'ruleset'>,
  truth: Oracle,
  probe: WireProbe,
): string | null {
  const { source, destination, protocol, port } = probe;
  const verdict = truth.verdict({ from: { ip: source }, to: { ip: destination }, protocol, port });
  const isHere = (ip: string) =>
    bench.local?.attachments.some(({ addresses }) => addresses.includes(ip)) ?? false;
  // What a pod elsewhere lets out or in is its own node's business.
  const passes =
    !(isHere(source) && !verdict.egressAllowed) && !(isHere(destination) && !verdict.ingressAllowed);
  if (!passes) return null;
  // An address of the pods' ranges that no pod has: nobody may come with it.
  if (findRoute(bench.ruleset, 'pod', source)?.target.type === 'drop') return null;
  const target = findRoute(bench.ruleset, 'pod', destination)?.target;
  if (target?.type === 'tunnel') return 'eth0';
  return target?.type === 'interface' ? itemOf(bench.ruleset, 'interface', target.interface).link : null;
}
