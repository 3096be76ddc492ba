/** A station's neighbor table: static entries, entries learned by ARP and neighbor discovery, packets that wait for an answer. */
import { discovery, parseDiscovery, solicitedNode } from './ipv6.js';
import {
  arp,
  BROADCAST,
  ETHERTYPE_ARP,
  ETHERTYPE_IPV6,
  ethernet,
  type IpPacket,
  parseArp,
} from './packet.js';

/** Packets kept for one unresolved neighbor, as Linux bounds them. */
const QUEUE_LIMIT = 64;
const RETRY_MS = 50;
const RETRIES = 5;

interface Waiting {
  readonly packets: Uint8Array[];
  timer: NodeJS.Timeout | null;
  left: number;
}

export interface NeighborsSpec {
  readonly mac: string;
  readonly addresses: () => readonly string[];
  /** Address -> MAC that need not be asked for. */
  readonly known: ReadonlyMap<string, string>;
  readonly send: (frame: Uint8Array) => void;
}

export class Neighbors {
  readonly #known: Map<string, string>;
  readonly #waiting = new Map<string, Waiting>();

  constructor(readonly spec: NeighborsSpec) {
    this.#known = new Map(spec.known);
  }

  /** Looks the next hop up and calls `deliver` with its MAC for each packet, now or when the answer comes. */
  deliver(nextHop: string, packet: Uint8Array, deliver: (mac: string, packet: Uint8Array) => void): void {
    const mac = this.#known.get(nextHop);
    if (mac !== undefined) {
      deliver(mac, packet);
      return;
    }
    let waiting = this.#waiting.get(nextHop);
    if (waiting === undefined) {
      waiting = { packets: [], timer: null, left: RETRIES };
      this.#waiting.set(nextHop, waiting);
      this.#ask(nextHop, waiting);
    }
    if (waiting.packets.length < QUEUE_LIMIT) waiting.packets.push(packet);
  }

  /** Takes an ARP packet: answers requests for our addresses; `flush` gets the packets that waited for the sender. */
  receive(payload: Uint8Array, flush: (mac: string, packet: Uint8Array) => void): void {
    const packet = parseArp(payload);
    if (packet === null) return;
    const forUs = this.spec.addresses().includes(packet.targetIp);
    this.#learn(packet.senderIp, packet.senderMac, forUs, flush);
    if (forUs && packet.operation === 'request') {
      this.#send(packet.senderMac, 'reply', packet.targetIp, packet.senderMac, packet.senderIp);
    }
  }

  /** As `receive`, for a packet of neighbor discovery; false if it is none. */
  discover(packet: IpPacket, flush: (mac: string, packet: Uint8Array) => void): boolean {
    const message = parseDiscovery(packet);
    if (message === null) return false;
    const { type, source, target, mac } = message;
    const forUs = this.spec.addresses().includes(target);
    if (mac !== null) this.#learn(type === 'solicitation' ? source : target, mac, forUs, flush);
    if (forUs && type === 'solicitation' && mac !== null) {
      const answer = { type: 'advertisement', source: target, destination: source, target } as const;
      this.#send6(mac, discovery({ ...answer, mac: this.spec.mac }));
    }
    return true;
  }

  #learn(
    address: string,
    mac: string,
    wanted: boolean,
    flush: (mac: string, packet: Uint8Array) => void,
  ): void {
    const waiting = this.#waiting.get(address);
    if (wanted || waiting !== undefined) this.#known.set(address, mac);
    if (waiting === undefined) return;
    if (waiting.timer !== null) clearTimeout(waiting.timer);
    this.#waiting.delete(address);
    for (const queued of waiting.packets) flush(mac, queued);
  }

  close(): void {
    for (const { timer } of this.#waiting.values()) if (timer !== null) clearTimeout(timer);
    this.#waiting.clear();
  }

  #ask(nextHop: string, waiting: Waiting): void {
    const six = nextHop.includes(':');
    const own = this.spec.addresses().find((address) => address.includes(':') === six);
    if (waiting.left-- === 0 || own === undefined) {
      this.#waiting.delete(nextHop);
      return;
    }
    if (six) this.#solicit(own, nextHop);
    else this.#send(BROADCAST, 'request', own, '00:00:00:00:00:00', nextHop);
    // An answer that came while sending has already taken the entry away.
    if (this.#waiting.get(nextHop) === waiting) {
      waiting.timer = setTimeout(() => this.#ask(nextHop, waiting), RETRY_MS);
    }
  }

  #solicit(source: string, target: string): void {
    const { group, mac } = solicitedNode(target);
    const message = { type: 'solicitation', source, destination: group, target } as const;
    this.#send6(mac, discovery({ ...message, mac: this.spec.mac }));
  }

  #send6(to: string, payload: Uint8Array): void {
    this.spec.send(ethernet({ destination: to, source: this.spec.mac, type: ETHERTYPE_IPV6, payload }));
  }

  #send(to: string, operation: 'request' | 'reply', own: string, targetMac: string, targetIp: string): void {
    const payload = arp({ operation, senderMac: this.spec.mac, senderIp: own, targetMac, targetIp });
    this.spec.send(ethernet({ destination: to, source: this.spec.mac, type: ETHERTYPE_ARP, payload }));
  }
}
