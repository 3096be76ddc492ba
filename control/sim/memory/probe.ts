/** One connection attempt of a station: TCP handshake and echo, UDP echo, or ICMP echo, with retransmission. */
import type { ProbeProtocol, ProbeResult } from '../driver.js';
import { type IpPacket, PROTOCOL_ICMP, PROTOCOL_TCP, PROTOCOL_UDP } from './packet.js';
import { type Client, icmpOf, type Station } from './station.js';
import {
  ACK,
  FIN,
  ICMP_ECHO_REPLY,
  ICMP_ECHO_REQUEST,
  PSH,
  parseTcp,
  parseUdp,
  RST,
  SYN,
  tcp,
  udp,
} from './transport.js';

/** First retransmission; doubled each time. */
const RETRY_MS = 60;
const REQUEST = new TextEncoder().encode('probe');
const FIRST_SEQUENCE = 5000;

export interface ProbeSpec {
  readonly address: string;
  readonly port: number;
  readonly protocol: ProbeProtocol;
  readonly timeoutMs: number;
}

/** Runs one probe from the station. Never rejects. */
export function probe(station: Station, spec: ProbeSpec): Promise<ProbeResult> {
  return new Promise((resolve) => {
    const started = performance.now();
    let timer: NodeJS.Timeout;
    const end = (outcome: ProbeResult['outcome'], answer: string | null) => {
      clearTimeout(timer);
      clearTimeout(deadline);
      unregister();
      resolve({ outcome, answer, millis: performance.now() - started });
    };
    const deadline = setTimeout(() => end('timeout', null), spec.timeoutMs);
    const attempt = ATTEMPTS[spec.protocol](station, spec, end);
    const unregister = station.register(attempt.client);
    const send = (wait: number) => {
      attempt.send();
      timer = setTimeout(() => send(wait * 2), wait);
    };
    send(RETRY_MS);
  });
}

type End = (outcome: ProbeResult['outcome'], answer: string | null) => void;
interface Attempt {
  readonly client: Client;
  /** Sends what is due, again and again until the end. */
  send(): void;
}

const nameOf = (payload: Uint8Array) => new TextDecoder().decode(payload).split(' ')[0] ?? null;

/** What an ICMP error means: the destination's own stack refused, or something on the way did. */
const onError = (address: string, end: End) => (sender: string, quoted: IpPacket) => {
  if (quoted.destination === address) end(sender === address ? 'refused' : 'rejected', null);
};

function tcpAttempt(station: Station, { address, port }: ProbeSpec, end: End): Attempt {
  const source = station.sourceFor(address);
  const sourcePort = station.ephemeralPort();
  let received = 0;
  const send = (flags: number, sequence: number, payload = new Uint8Array(0)) => {
    const segment = { sourcePort, destinationPort: port, sequence, acknowledgment: received, flags, payload };
    station.sendIp(source, address, PROTOCOL_TCP, tcp(segment, source, address));
  };
  const request = () => send(ACK | PSH, FIRST_SEQUENCE + 1, REQUEST);
  return {
    send: () => (received === 0 ? send(SYN, FIRST_SEQUENCE) : request()),
    client: {
      protocol: PROTOCOL_TCP,
      port: sourcePort,
      error: onError(address, end),
      receive(packet) {
        const segment = packet.source === address ? parseTcp(packet) : null;
        if (segment?.sourcePort !== port) return;
        if ((segment.flags & RST) !== 0) {
          end('refused', null);
        } else if ((segment.flags & SYN) !== 0) {
          received = (segment.sequence + 1) >>> 0;
          request();
        } else if (segment.payload.length > 0) {
          received = (segment.sequence + segment.payload.length) >>> 0;
          send(FIN | ACK, FIRST_SEQUENCE + 1 + REQUEST.length);
          end('connected', nameOf(segment.payload));
        }
      },
    },
  };
}

function udpAttempt(station: Station, { address, port }: ProbeSpec, end: End): Attempt {
  const source = station.sourceFor(address);
  const sourcePort = station.ephemeralPort();
  const segment = udp({ sourcePort, destinationPort: port, payload: REQUEST }, source, address);
  return {
    send: () => station.sendIp(source, address, PROTOCOL_UDP, segment),
    client: {
      protocol: PROTOCOL_UDP,
      port: sourcePort,
      error: onError(address, end),
      receive(packet) {
        const answer = packet.source === address ? parseUdp(packet) : null;
        if (answer?.sourcePort === port) end('connected', nameOf(answer.payload));
      },
    },
  };
}

function icmpAttempt(station: Station, { address }: ProbeSpec, end: End): Attempt {
  const source = station.sourceFor(address);
  const identifier = station.ephemeralPort();
  const rest = ((identifier << 16) | 1) >>> 0;
  const message = { type: ICMP_ECHO_REQUEST, code: 0, rest, payload: REQUEST };
  return {
    send: () => station.sendIcmp(source, address, message),
    client: {
      protocol: PROTOCOL_ICMP,
      port: identifier,
      error: onError(address, end),
      receive(packet) {
        const reply = packet.source === address ? icmpOf(packet) : null;
        if (reply?.type === ICMP_ECHO_REPLY && reply.rest === rest) end('connected', null);
      },
    },
  };
}

const ATTEMPTS = { tcp: tcpAttempt, udp: udpAttempt, icmp: icmpAttempt } as const;
