/** Values of VPP's messages that all of the services use. */
import type { Protocol } from '../../../ruleset/types.js';
import type { Value } from '../api/api.js';

const PROTOCOLS = { TCP: 'IP_API_PROTO_TCP', UDP: 'IP_API_PROTO_UDP', SCTP: 'IP_API_PROTO_SCTP' } as const;
const NUMBERS = { TCP: 6, UDP: 17, SCTP: 132 } as const;

export const protocolName = (protocol: Protocol): string => PROTOCOLS[protocol];
export const protocolNumber = (protocol: Protocol): number => NUMBERS[protocol];

/** Of its symbol or number; null: none that a service has. */
export function protocolOf(value: Value | undefined): Protocol | null {
  for (const protocol of ['TCP', 'UDP', 'SCTP'] as const) {
    if (value === PROTOCOLS[protocol] || value === NUMBERS[protocol]) return protocol;
  }
  return null;
}

export const addressText = (value: Value | undefined): string => String(value);
