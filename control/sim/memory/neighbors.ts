/** A station's neighbor table: static entries, entries learned by ARP, and packets that wait for an answer. */
import { arp, BROADCAST, ETHERTYPE_ARP, ethernet, parseArp } from './packet.js';

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
    const waiting = this.#waiting.get(packet.senderIp);
    const forUs = this.spec.addresses().includes(packet.targetIp);
    if (forUs || waiting !== undefined) this.#known.set(packet.senderIp, packet.senderMac);
    if (waiting !== undefined) {
      if (waiting.timer !== null) clearTimeout(waiting.timer);
      this.#waiting.delete(packet.senderIp);
      for (const queued of waiting.packets) flush(packet.senderMac, queued);
    }
    if (forUs && packet.operation === 'request') {
      this.#send(packet.senderMac, 'reply', packet.targetIp, packet.senderMac, packet.senderIp);
    }
  }

  close(): void {
    for (const { timer } of this.#waiting.values()) if (timer !== null) clearTimeout(timer);
    this.#waiting.clear();
  }

  #ask(nextHop: string, waiting: Waiting): void {
    const own = this.spec.addresses()[0];
    if (waiting.left-- === 0 || own === undefined) {
      this.#waiting.delete(nextHop);
      return;
    }
    this.#send(BROADCAST, 'request', own, '00:00:00:00:00:00', nextHop);
    // An answer that came while sending has already taken the entry away.
    if (this.#waiting.get(nextHop) === waiting) {
      waiting.timer = setTimeout(() => this.#ask(nextHop, waiting), RETRY_MS);
    }
  }

  #send(to: string, operation: 'request' | 'reply', own: string, targetMac: string, targetIp: string): void {
    const payload = arp({ operation, senderMac: this.spec.mac, senderIp: own, targetMac, targetIp });
    this.spec.send(ethernet({ destination: to, source: this.spec.mac, type: ETHERTYPE_ARP, payload }));
  }
}
