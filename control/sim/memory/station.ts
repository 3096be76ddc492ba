/**
 * A host's network stack inside the process: one link, ARP and neighbor discovery, IPv4 and IPv6, ICMP, listeners and clients. Pods, the nodes' own
 * stacks and the outside host are stations; what they send and receive are frames like any other.
 */
import { cidrContains, parseCidr, parseIp } from '../../common/ip.js';
import { icmp6, ipv6, PROTOCOL_ICMP6, parseIcmp6, parseIpv6, parseQuoted6 } from './ipv6.js';
import { Neighbors } from './neighbors.js';
import {
  ETHERTYPE_ARP,
  ETHERTYPE_IPV4,
  ETHERTYPE_IPV6,
  ethernet,
  type IpPacket,
  ipv4,
  PROTOCOL_ICMP,
  PROTOCOL_TCP,
  PROTOCOL_UDP,
  parseEthernet,
  parseIpv4,
} from './packet.js';
import { Servers } from './servers.js';
import {
  CODE_PORT,
  ICMP_ECHO_REPLY,
  ICMP_ECHO_REQUEST,
  ICMP_UNREACHABLE,
  type Icmp,
  icmp,
  parseIcmp,
  parseTcp,
  parseUdp,
  tcp,
  type Udp,
  udp,
} from './transport.js';

export interface StationRoute {
  readonly destination: string;
  /** null = the destination itself is on the link. */
  readonly nextHop: string | null;
}

export interface StationSpec {
  readonly mac: string;
  /** The first one of a family is the source of what it sends. */
  readonly addresses: readonly string[];
  readonly routes: readonly StationRoute[];
  /** Permanent neighbors: address -> MAC. */
  readonly neighbors: ReadonlyMap<string, string>;
  /** Puts a frame on the link. */
  readonly send: (frame: Uint8Array) => void;
}

/** Who waits for packets to one local port (TCP, UDP) or with one identifier (ICMP echo; PROTOCOL_ICMP for both families). */
export interface Client {
  readonly protocol: number;
  readonly port: number;
  receive(packet: IpPacket): void;
  /** An ICMP error from `sender` that quotes `quoted`, a packet of ours. */
  error(sender: string, quoted: IpPacket): void;
}

const clientKey = (protocol: number, port: number) => (protocol << 16) | port;
const word = (bytes: Uint8Array, at: number) => ((bytes[at] ?? 0) << 8) | (bytes[at + 1] ?? 0);

export class Station {
  readonly servers: Servers;
  readonly #neighbors: Neighbors;
  readonly #routes: readonly {
    readonly cidr: ReturnType<typeof parseCidr>;
    readonly nextHop: string | null;
  }[];
  readonly #clients = new Map<number, Client>();
  #port = 32768;

  constructor(readonly spec: StationSpec) {
    this.#neighbors = new Neighbors({
      mac: spec.mac,
      addresses: () => spec.addresses,
      known: spec.neighbors,
      send: spec.send,
    });
    this.servers = new Servers((source, destination, segment) =>
      this.sendIp(source, destination, PROTOCOL_TCP, tcp(segment, source, destination)),
    );
    this.#routes = spec.routes
      .map((route) => ({ cidr: parseCidr(route.destination), nextHop: route.nextHop }))
      .sort((a, b) => b.cidr.length - a.cidr.length);
  }

  get address(): string {
    return this.spec.addresses[0] ?? '0.0.0.0';
  }

  /** The address it speaks to this one from. */
  sourceFor(destination: string): string {
    const six = destination.includes(':');
    return this.spec.addresses.find((address) => address.includes(':') === six) ?? (six ? '::' : '0.0.0.0');
  }

  /** A local port of the ephemeral range, in turn. */
  ephemeralPort(): number {
    this.#port = this.#port >= 60999 ? 32768 : this.#port + 1;
    return this.#port;
  }

  register(client: Client): () => void {
    const key = clientKey(client.protocol, client.port);
    this.#clients.set(key, client);
    return () => this.#clients.delete(key);
  }

  /** A frame from the link. */
  receive(frame: Uint8Array): void {
    const parsed = parseEthernet(frame);
    if (parsed === null) return;
    const forUs = parsed.destination === this.spec.mac || (frame[0]! & 1) === 1;
    if (!forUs) return;
    if (parsed.type === ETHERTYPE_ARP) {
      this.#neighbors.receive(parsed.payload, (mac, packet) => this.#transmit(mac, packet));
    } else if (parsed.type === ETHERTYPE_IPV4) {
      const packet = parseIpv4(parsed.payload);
      if (packet !== null && this.spec.addresses.includes(packet.destination)) this.#deliver(packet);
    } else if (parsed.type === ETHERTYPE_IPV6) {
      const packet = parseIpv6(parsed.payload);
      if (packet === null) return;
      const isIcmp = packet.protocol === PROTOCOL_ICMP6;
      if (isIcmp && this.#neighbors.discover(packet, (mac, waiting) => this.#transmit(mac, waiting))) return;
      if (this.spec.addresses.includes(packet.destination)) this.#deliver(packet);
    }
  }

  /** Sends one packet by the longest route; without a route it is dropped, as a host would say "network unreachable". */
  sendIp(source: string, destination: string, protocol: number, payload: Uint8Array): void {
    const six = destination.includes(':');
    const bytes = (six ? ipv6 : ipv4)({ source, destination, protocol, payload });
    if (this.spec.addresses.includes(destination)) {
      // Loopback: delivered later, as every packet is.
      const own = (six ? parseIpv6 : parseIpv4)(bytes);
      if (own !== null) queueMicrotask(() => this.#deliver(own));
      return;
    }
    const ip = parseIp(destination);
    const route = this.#routes.find(({ cidr }) => cidrContains(cidr, ip));
    if (route === undefined) return;
    this.#neighbors.deliver(route.nextHop ?? destination, bytes, (mac, packet) =>
      this.#transmit(mac, packet),
    );
  }

  /** Sends an ICMP message as the family of the addresses has it. */
  sendIcmp(source: string, destination: string, message: Icmp): void {
    const six = destination.includes(':');
    const payload = six ? icmp6(message, source, destination) : icmp(message);
    this.sendIp(source, destination, six ? PROTOCOL_ICMP6 : PROTOCOL_ICMP, payload);
  }

  close(): void {
    this.#neighbors.close();
    this.#clients.clear();
  }

  #transmit(mac: string, packet: Uint8Array): void {
    this.spec.send(
      ethernet({ destination: mac, source: this.spec.mac, type: typeOf(packet), payload: packet }),
    );
  }

  #deliver(packet: IpPacket): void {
    if (packet.protocol === PROTOCOL_ICMP || packet.protocol === PROTOCOL_ICMP6) {
      this.#deliverIcmp(packet);
      return;
    }
    const client = this.#clients.get(clientKey(packet.protocol, word(packet.payload, 2)));
    if (client !== undefined) {
      client.receive(packet);
    } else if (packet.protocol === PROTOCOL_TCP) {
      const segment = parseTcp(packet);
      if (segment !== null) this.servers.tcp(packet, segment);
    } else if (packet.protocol === PROTOCOL_UDP) {
      const segment = parseUdp(packet);
      if (segment !== null) this.#deliverUdp(packet, segment);
    }
  }

  #deliverUdp(packet: IpPacket, segment: Udp): void {
    const { source, destination } = packet;
    const payload = this.servers.udpAnswer(segment.destinationPort, segment.payload);
    if (payload === null) {
      this.#sendUnreachable(packet);
      return;
    }
    const answer = { sourcePort: segment.destinationPort, destinationPort: segment.sourcePort, payload };
    this.sendIp(destination, source, PROTOCOL_UDP, udp(answer, destination, source));
  }

  #deliverIcmp(packet: IpPacket): void {
    const message = icmpOf(packet);
    if (message === null) return;
    if (message.type === ICMP_ECHO_REQUEST) {
      this.sendIcmp(packet.destination, packet.source, { ...message, type: ICMP_ECHO_REPLY });
    } else if (message.type === ICMP_ECHO_REPLY) {
      this.#clients.get(clientKey(PROTOCOL_ICMP, message.rest >>> 16))?.receive(packet);
    } else if (message.type === ICMP_UNREACHABLE) {
      const six = packet.protocol === PROTOCOL_ICMP6;
      const quoted = (six ? parseQuoted6 : parseQuoted)(message.payload);
      if (quoted === null) return;
      const isIcmp = quoted.protocol === packet.protocol;
      const key = clientKey(isIcmp ? PROTOCOL_ICMP : quoted.protocol, word(quoted.payload, isIcmp ? 4 : 0));
      this.#clients.get(key)?.error(packet.source, quoted);
    }
  }

  #sendUnreachable(packet: IpPacket): void {
    const payload = packet.bytes.subarray(0, packet.source.includes(':') ? 48 : 28);
    const message = { type: ICMP_UNREACHABLE, code: CODE_PORT, rest: 0, payload };
    this.sendIcmp(packet.destination, packet.source, message);
  }
}

const typeOf = (packet: Uint8Array): number => (packet[0]! >>> 4 === 6 ? ETHERTYPE_IPV6 : ETHERTYPE_IPV4);

/** The ICMP message in a packet of either family, by the names of IPv4; null when damaged. */
export function icmpOf(packet: IpPacket): Icmp | null {
  return packet.protocol === PROTOCOL_ICMP6 ? parseIcmp6(packet) : parseIcmp(packet.payload);
}

/** The start of one of our packets inside an ICMP error: its header and at least 8 bytes; lengths may exceed what is there. */
function parseQuoted(bytes: Uint8Array): IpPacket | null {
  if (bytes.length < 28) return null;
  const header = (bytes[0]! & 15) * 4;
  if (header < 20 || bytes.length < header + 8) return null;
  const source = bytes.subarray(12, 16).join('.');
  const destination = bytes.subarray(16, 20).join('.');
  return { source, destination, protocol: bytes[9]!, ttl: bytes[8]!, payload: bytes.subarray(header), bytes };
}
