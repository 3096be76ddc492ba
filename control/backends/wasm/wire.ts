/**
 * What the agent and a data-plane process say to each other over a unix socket, framed as in common/frames.ts. Requests carry
 * an id, answers the same one; order is kept.
 */
import type { Item } from '../../ruleset/types.js';
import type { ChangeResult, Counters, TraceFilter, TraceStep } from '../backend.js';
import type { WireChange } from './wire-changes.js';

/** Method -> what is sent and what comes back. */
export interface Methods {
  readonly apply: {
    readonly params: { readonly changes: readonly WireChange[] };
    readonly result: readonly ChangeResult[];
  };
  readonly dump: { readonly params: null; readonly result: readonly Item[] };
  readonly counters: { readonly params: null; readonly result: Counters };
  readonly traceStart: { readonly params: TraceFilter; readonly result: null };
  readonly traceStop: { readonly params: null; readonly result: readonly TraceStep[] };
  readonly status: { readonly params: null; readonly result: Status };
}

export interface Status {
  readonly pid: number;
  /** How often the worker was replaced. */
  readonly restarts: number;
}

export type Method = keyof Methods;

export interface Request {
  readonly id: number;
  readonly method: Method;
  readonly params: unknown;
}

export interface WireError {
  readonly name: string;
  readonly message: string;
  readonly retryable: boolean;
}

export interface Response {
  readonly id: number;
  readonly result?: unknown;
  readonly error?: WireError;
}
