/**
 * Reads what `show trace` prints: packets, each a list of the nodes it passed with a text of that node's own. Pure; anything is
 * understood as far as it looks like a trace, and the rest left out.
 */
import { canonicalIp } from '../../../common/ip.js';

/** One node a packet passed. */
export interface TraceRecord {
  /** Milliseconds since VPP started. */
  readonly time: number;
  readonly node: string;
  /** The node's words, without the indent of all lines. */
  readonly lines: readonly string[];
}

export interface TracedPacket {
  readonly thread: number;
  readonly records: readonly TraceRecord[];
}

const THREAD = /^-+ Start of thread (\d+) /;
const PACKET = /^Packet \d+\s*$/;
const RECORD = /^(\d+):(\d\d):(\d\d):(\d{6}): (\S+)\s*$/;

/** In the order in which they came, over all threads. */
export function parseTrace(text: string): TracedPacket[] {
  const packets: { thread: number; records: { time: number; node: string; lines: string[] }[] }[] = [];
  let thread = 0;
  for (const line of text.split(/\r?\n/)) {
    const start = THREAD.exec(line);
    const record = RECORD.exec(line);
    if (start !== null) thread = Number(start[1]);
    else if (PACKET.test(line)) packets.push({ thread, records: [] });
    else if (record !== null) {
      const [hours, minutes, seconds, micros] = record.slice(1, 5).map(Number) as [
        number,
        number,
        number,
        number,
      ];
      const time = ((hours * 60 + minutes) * 60 + seconds) * 1000 + micros / 1000;
      packets.at(-1)?.records.push({ time, node: record[5] ?? '', lines: [] });
    } else if (line.trim() !== '') {
      packets.at(-1)?.records.at(-1)?.lines.push(line.replace(/^ {2}/, '').trimEnd());
    }
  }
  const whole = packets.filter(({ records }) => records.length > 0);
  return whole.sort((a, b) => (a.records[0]?.time ?? 0) - (b.records[0]?.time ?? 0));
}

/** How many packets a text holds, without reading it. */
export function countPackets(text: string): number {
  return text.match(/^Packet \d+\s*$/gm)?.length ?? 0;
}

/** Ends of a packet, as a node printed them. */
export interface Flow {
  /** IP protocol number; of an ICMP error the ICMP. */
  readonly protocol: number;
  readonly source: string;
  readonly destination: string;
  /** Null: there are none, or the node does not say. */
  readonly ports: readonly [source: number, destination: number] | null;
  /** Bytes of the IP packet. */
  readonly length: number | null;
}

const PROTOCOLS: Readonly<Record<string, number>> = {
  ICMP: 1,
  IP_IN_IP: 4,
  TCP: 6,
  UDP: 17,
  IPV6: 41,
  GRE: 47,
  IPSEC_ESP: 50,
  ICMP6: 58,
  SCTP: 132,
};
/** `UDP: 10.1.1.2 -> 10.1.1.3`, `ICMP6: fe80::1 -> ff02::2`, `unknown 99: …` (which prints the number). */
const ENDS = /^\s*([A-Z][A-Z0-9_]*|(?:unknown|protocol) (\d+)): (\S+) -> (\S+)$/;
/** What the ACL plugin looks packets up by; of ICMP type and code are where others have ports. */
const LOOKED_UP = /\bl3 ip[46] (\S+) -> (\S+) l4 .*\bproto (\d+) .*\bport (\d+) -> (\d+)/;
const WITH_PORTS = [6, 17, 132];
const PORTS = /^\s*(?:TCP|UDP|SCTP): (\d+) -> (\d+)$/;
const LENGTH = /\b(?:length|payload length) (\d+)/;

/** The first flow of each record that prints one, in their order. */
export function flowsOf({ records }: TracedPacket): Flow[] {
  return records.flatMap(({ lines }) => flowOf(lines) ?? []);
}

/** The outermost IP packet a node printed; null: it printed none. */
export function flowOf(lines: readonly string[]): Flow | null {
  for (const [at, line] of lines.entries()) {
    const looked = LOOKED_UP.exec(line);
    if (looked !== null) return lookedUp(looked);
    const ends = ENDS.exec(line);
    const [, name = '', number, source = '', destination = ''] = ends ?? [];
    const addresses = ends === null ? null : addressesOf(source, destination);
    if (addresses === null) continue;
    // The headers' lines follow one another.
    const after = lines.slice(at + 1, at + 5);
    const ports = after.map((each) => PORTS.exec(each)).find((found) => found !== null);
    const length = after.map((each) => LENGTH.exec(each)).find((found) => found !== null);
    return {
      protocol: number === undefined ? (PROTOCOLS[name] ?? 0) : Number(number),
      ...addresses,
      ports: ports === undefined ? null : [Number(ports?.[1]), Number(ports?.[2])],
      length: length === undefined ? null : Number(length?.[1]) + (source.includes(':') ? 40 : 0),
    };
  }
  return null;
}

function lookedUp([, source = '', destination = '', protocol, from, to]: readonly string[]): Flow | null {
  const addresses = addressesOf(source, destination);
  if (addresses === null) return null;
  const ports = WITH_PORTS.includes(Number(protocol)) ? ([Number(from), Number(to)] as const) : null;
  return { protocol: Number(protocol), ...addresses, ports, length: null };
}

/** Null where they are none: MAC addresses, ports. */
function addressesOf(source: string, destination: string): Pick<Flow, 'source' | 'destination'> | null {
  try {
    return { source: canonicalIp(source), destination: canonicalIp(destination) };
  } catch {
    return null;
  }
}
