/**
 * Listeners of a station: TCP and UDP servers that answer with the name of the pod they belong to, as the pteropus-pod
 * program does over real sockets. TCP keeps just enough state for one request and an orderly close (RFC 9293).
 */
import type { IpPacket } from './packet.js';
import { ACK, FIN, PSH, RST, SYN, type Tcp } from './transport.js';

type Transport = 'TCP' | 'UDP';

interface Connection {
  /** Our next sequence number. */
  next: number;
  /** What we have received, in order. */
  received: number;
}

/** Initial sequence number; fixed, so that a run can be repeated byte for byte. */
const FIRST_SEQUENCE = 1000;

export class Servers {
  /** `TCP/80` -> name of who answers. */
  readonly #listeners = new Map<string, string>();
  readonly #connections = new Map<string, Connection>();

  constructor(readonly send: (source: string, destination: string, segment: Tcp) => void) {}

  /** `name` answers on this port; port null = on every port. */
  listen(protocol: Transport, port: number | null, name: string): void {
    this.#listeners.set(`${protocol}/${port ?? '*'}`, name);
  }

  /** Ends all listeners of `name` and forgets their connections. */
  unlisten(name: string): void {
    for (const [key, owner] of this.#listeners) if (owner === name) this.#listeners.delete(key);
  }

  listener(protocol: Transport, port: number): string | undefined {
    return this.#listeners.get(`${protocol}/${port}`) ?? this.#listeners.get(`${protocol}/*`);
  }

  /** The answer to a datagram, or null when nobody listens. */
  udpAnswer(port: number, payload: Uint8Array): Uint8Array | null {
    const name = this.listener('UDP', port);
    return name === undefined ? null : answerOf(name, payload);
  }

  /** A segment that no client of this station waits for. */
  tcp(packet: IpPacket, segment: Tcp): void {
    const { source, destination } = packet;
    const { sourcePort, destinationPort, flags, sequence, payload } = segment;
    const key = `${source}:${sourcePort} ${destination}:${destinationPort}`;
    const reply = (answer: Partial<Tcp>) =>
      this.send(destination, source, {
        sourcePort: destinationPort,
        destinationPort: sourcePort,
        sequence: 0,
        acknowledgment: 0,
        flags: ACK,
        payload: new Uint8Array(0),
        ...answer,
      });
    if ((flags & RST) !== 0) {
      this.#connections.delete(key);
      return;
    }
    const name = this.listener('TCP', destinationPort);
    if ((flags & SYN) !== 0 && name !== undefined) {
      const connection = { next: FIRST_SEQUENCE + 1, received: (sequence + 1) >>> 0 };
      this.#connections.set(key, connection);
      reply({ flags: SYN | ACK, sequence: FIRST_SEQUENCE, acknowledgment: connection.received });
      return;
    }
    const connection = this.#connections.get(key);
    if (connection === undefined || name === undefined) {
      const length = payload.length + ((flags & (SYN | FIN)) !== 0 ? 1 : 0);
      if ((flags & ACK) !== 0) reply({ flags: RST, sequence: segment.acknowledgment });
      else reply({ flags: RST | ACK, acknowledgment: (sequence + length) >>> 0 });
      return;
    }
    this.#established(key, connection, name, segment, reply);
  }

  #established(
    key: string,
    connection: Connection,
    name: string,
    { flags, sequence, payload }: Tcp,
    reply: (answer: Partial<Tcp>) => void,
  ): void {
    if (payload.length > 0) {
      const data = answerOf(name, payload);
      // A repeated request means that our answer was lost: the same answer at the same place.
      const repeated = sequence !== connection.received;
      const at = repeated ? FIRST_SEQUENCE + 1 : connection.next;
      if (!repeated) {
        connection.received = (sequence + payload.length) >>> 0;
        connection.next += data.length;
      }
      reply({ flags: ACK | PSH, sequence: at, acknowledgment: connection.received, payload: data });
    }
    if ((flags & FIN) !== 0) {
      reply({
        flags: FIN | ACK,
        sequence: connection.next,
        acknowledgment: (sequence + payload.length + 1) >>> 0,
      });
      this.#connections.delete(key);
    }
  }
}

/** `NS/NAME ` and what was asked. */
function answerOf(name: string, payload: Uint8Array): Uint8Array {
  const head = new TextEncoder().encode(`${name} `);
  const out = new Uint8Array(head.length + payload.length);
  out.set(head);
  out.set(payload, head.length);
  return out;
}
