/** How a traced packet ended, in the words of the counters (docs/outcomes.md). */
import { dropName } from '../counters/reasons.js';
import type { Port, TraceNames } from './names.js';
import type { TracedPacket, TraceRecord } from './parse.js';

export interface PacketOutcome {
  readonly outcome: string;
  /** VPP's own words for a drop. */
  readonly detail: string | null;
  /** Where it left; null: nowhere. */
  readonly port: Port | null;
}

/** Nodes that make a packet its own answer. */
const ANSWERS: readonly (readonly [RegExp, string])[] = [
  [/^arp-(reply|proxy)$/, 'arp-reply'],
  [/^ip[46]-icmp-echo-request$/, 'echo-reply'],
  [/^icmp6-neighbor-solicitation$/, 'nd-reply'],
];
const ERROR_SENT = /^ip[46]-icmp-error$/;
const ENDED = /^(drop|punt)$/;

export function outcomeOf({ records }: TracedPacket, names: TraceNames): PacketOutcome {
  const end = records.find(({ node }) => ENDED.test(node));
  const told = records.some(({ node }) => ERROR_SENT.test(node));
  if (end !== undefined) {
    const { outcome, detail } = dropOf(end);
    return { outcome: told ? errorSent(outcome) : outcome, detail, port: null };
  }
  const port = exitOf(records, names);
  if (port === null) return { outcome: `ended at ${records.at(-1)?.node ?? 'nowhere'}`, detail: null, port };
  if (told) return { outcome: 'reject-sent', detail: null, port };
  const answer = ANSWERS.find(([node]) => records.some((record) => node.test(record.node)))?.[1];
  const tunnel = records.some(({ node }) => /^vxlan[46]?-encap$/.test(node));
  return {
    outcome: answer ?? (tunnel ? 'forward-tunnel' : `forward-${port.role ?? port.text}`),
    detail: null,
    port,
  };
}

/** `acl-plugin-out-ip4-fa: ACL deny packets` */
function dropOf({ lines }: TraceRecord): { readonly outcome: string; readonly detail: string } {
  const detail = lines[0]?.trim() ?? '';
  const colon = detail.indexOf(': ');
  const [node, error] = colon < 0 ? ['', detail] : [detail.slice(0, colon), detail.slice(colon + 2)];
  return { outcome: dropName(node, error), detail };
}

/** A packet that was dropped and whose sender was told. */
function errorSent(drop: string): string {
  if (drop === 'drop-ttl') return 'ttl-exceeded-sent';
  return drop === 'drop-mtu' ? 'fragmentation-needed-sent' : 'reject-sent';
}

/** The last interface that took it: `NAME-tx` is the node of its driver. */
function exitOf(records: readonly TraceRecord[], names: TraceNames): Port | null {
  for (const { node } of [...records].reverse()) {
    const name = /^(.+)-(?:tx|output)$/.exec(node)?.[1];
    const port = name === undefined ? null : names.byName(name);
    if (port !== null) return port;
  }
  return null;
}
