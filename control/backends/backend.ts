/**
 * What a data plane looks like to the agent. Two implementations (wasm, vpp), one behaviour suite.
 * A backend knows no Kubernetes object: only rulesets.
 */
import type { Change, Item, Key, PodRef } from '../ruleset/types.js';

/** The outcome of one change. `error` null: this change is fine, and in force unless another one failed. */
export interface ChangeResult {
  readonly key: Key;
  readonly error: { readonly name: string; readonly message: string; readonly retryable: boolean } | null;
}

export interface InterfaceCounters {
  readonly rxPackets: number;
  readonly rxBytes: number;
  readonly txPackets: number;
  readonly txBytes: number;
  readonly drops: number;
  /** How its packets come in (docs/feeds.md); absent: not through the kernel, or there is only one way. */
  readonly mode?: ReceiveMode;
  /** How they leave; absent under the same conditions. */
  readonly sends?: SendMode;
}

/** `copy`: a ring of copies; `native`: XDP in the driver; `generic`: XDP for any device; `tap`: a TAP. */
export type ReceiveMode = 'copy' | 'native' | 'generic' | 'tap';

/** `batch`: a whole batch by one system call; `xdp`: each packet by AF_XDP; `tap`: into a TAP. */
export type SendMode = 'batch' | 'xdp' | 'tap';

export interface TableUse {
  readonly used: number;
  readonly limit: number;
}

export interface Counters {
  /** Key of an interface item -> its counters. */
  readonly interfaces: Readonly<Record<Key, InterfaceCounters>>;
  /** Outcome name (`forward-pod`, `drop-policy-ingress`, ...) -> packets. Every packet is counted in exactly one. */
  readonly outcomes: Readonly<Record<string, number>>;
  /** Key of a service item -> connections and packets. */
  readonly services: Readonly<Record<Key, { readonly connections: number; readonly packets: number }>>;
  /** Rule text (`NetworkPolicy shop/allow-web spec.ingress[0]`, or a default) -> new connections it decided. */
  readonly rules: Readonly<Record<string, number>>;
  readonly sessions: {
    readonly active: number;
    readonly created: number;
    readonly evicted: number;
    readonly expired: number;
  };
  /** Name of a table of bounded size -> entries in use and room for entries; absent: there are no such tables. */
  readonly tables?: Readonly<Record<string, TableUse>>;
  /** How often a worker died and was replaced; absent: the data plane has no workers of ours. */
  readonly restarts?: number;
  /** One entry per worker; absent: there is only one. */
  readonly workers?: readonly WorkerCounters[];
}

export interface WorkerCounters {
  /** Packets this worker received. */
  readonly packets: number;
}

/** Which packets to trace; an absent field matches all. Both directions of a connection match. */
export interface TraceFilter {
  readonly source?: string;
  readonly destination?: string;
  /** IP protocol number. */
  readonly protocol?: number;
  /** Either end's port. */
  readonly port?: number;
  /** Stop after this many packets (default 64). */
  readonly limit?: number;
}

/** One stage one packet passed. */
export interface TraceStep {
  /** Packets are numbered from 1 in order of arrival. */
  readonly packet: number;
  /** Monotonic milliseconds. */
  readonly time: number;
  readonly stage: string;
  /** For a person to read: `policy ingress: allowed by NetworkPolicy shop/allow-web spec.ingress[0]`. */
  readonly text: string;
  readonly interface: Key | null;
  readonly pod: PodRef | null;
}

export interface Trace {
  /** Steps recorded since start; stops recording. */
  stop(): Promise<readonly TraceStep[]>;
}

export interface Backend {
  readonly name: string;
  /** The data plane's own version (VPP); absent: it is part of this program. */
  readonly version?: string;
  /**
   * Applies all changes as one transaction: packets see either all of them or none. A change that fails is reported in
   * its result; if any fails nothing is in force.
   */
  apply(changes: readonly Change[]): Promise<readonly ChangeResult[]>;
  /** What is really there, read back from the data plane. Damaged or missing items are absent. */
  dump(): Promise<ReadonlyMap<Key, Item>>;
  /** What an item in force does not do although it says so, one sentence each; absent: never anything. Pure. */
  shortfalls?(item: Item): readonly string[];
  counters(): Promise<Counters>;
  /** Starts recording packets that match. One trace at a time. */
  trace(filter: TraceFilter): Promise<Trace>;
  /** Resolves with the reason when the data plane is lost; a new backend must then be opened and refilled. */
  readonly lost: Promise<Error>;
  close(): Promise<void>;
}
