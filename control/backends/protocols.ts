/** Names of IP protocols in traces, by their IANA numbers. */
const NAMES: Readonly<Record<number, string>> = {
  1: 'ICMP',
  6: 'TCP',
  17: 'UDP',
  58: 'ICMPv6',
  132: 'SCTP',
};

export function protocolName(number: number): string {
  return NAMES[number] ?? `protocol ${number}`;
}
