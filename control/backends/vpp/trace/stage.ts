/** What a node's record becomes for people. */
import type { Port, TraceNames } from './names.js';
import type { Flow, TraceRecord } from './parse.js';

/** `port`: the interface it is about, where that is not the one the packet came on. */
export interface Stage {
  readonly stage: string;
  readonly text: string;
  readonly port?: Port | null;
}

/**
 * @param before the packet as the last node printed it that did so before this one
 * @param table the routing table it is looked up in
 */
export type Teller = (
  record: TraceRecord,
  names: TraceNames,
  before: Flow | null,
  table: 'main' | 'pod',
) => Stage | null;

export function withPort(address: string, port: number | string | null): string {
  if (port === null) return address;
  return address.includes(':') ? `[${address}]:${port}` : `${address}:${port}`;
}
