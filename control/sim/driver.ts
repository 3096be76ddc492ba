/**
 * What a simulated cluster runs on: network namespaces and AF_XDP (`afxdp`), or one process (`memory`). The cluster logic above
 * (scheduling, endpoints, matrix) does not know which.
 */
import type { PodFeed } from '../agent/pod-feed.js';
import type { TraceFilter, TraceStep } from '../backends/backend.js';
import type { ClusterConfig } from '../compiler/input.js';
import type { Pod } from '../objects/types.js';
import type { PodRef } from '../ruleset/types.js';
import type { Store } from '../store/store.js';

/** What the outside world's host answers on. */
export interface OutsidePort {
  readonly protocol: 'TCP' | 'UDP';
  readonly port: number;
}

export type Feed = 'afxdp' | 'memory';

export interface DriverSpec {
  /** Names everything it makes (`pteropus-NAME-…`), so that leftovers can be found. */
  readonly cluster: string;
  /** Node names, in order of their ids (1, 2, ...). */
  readonly nodes: readonly string[];
  readonly config: ClusterConfig;
  /** Addresses of the outside world's host; the first one is the underlay's default gateway. */
  readonly outside: readonly string[];
  /** What the outside host answers on, at each of its addresses. */
  readonly outsidePorts: readonly OutsidePort[];
  /**
   * The outside host is the underlay's router: besides the underlay itself it reaches these prefixes by way of a node's
   * underlay address (each node's pod subnet, the load balancers' addresses).
   */
  readonly outsideRoutes: readonly { readonly destination: string; readonly via: string }[];
  /** Feed of pods without an annotation (default afxdp); ignored on feed `memory`. */
  readonly podFeed?: PodFeed;
  /** Workers of each WebAssembly data plane (default 1); ignored on feed `memory`. */
  readonly workers?: number;
  /** Nodes that run VPP (default: none); ignored on feed `memory`. */
  readonly vpp?: readonly string[];
  /** The longest pause before a node's dead program is restarted, milliseconds (default 2000). */
  readonly mostBackoffMs?: number;
  /** Where sockets, journals and logs live. */
  readonly runDir: string;
  /** Progress lines for a person. */
  readonly progress: (line: string) => void;
}

/** A store run and written by others: the agents follow it, and the driver writes only the nodes' ids to it. */
export interface ExternalStore {
  /** etcd's client URL. */
  readonly endpoint: string;
  /** Called once the cluster's name is claimed and its folder exists; resolves when the store answers. */
  start(): Promise<void>;
}

export type Party =
  | { readonly type: 'pod'; readonly pod: PodRef }
  | { readonly type: 'node'; readonly node: string }
  | { readonly type: 'outside' };

export type ProbeProtocol = 'tcp' | 'udp' | 'icmp';

export interface Probe {
  readonly from: Party;
  readonly address: string;
  /** 0 for icmp. */
  readonly port: number;
  readonly protocol: ProbeProtocol;
  readonly timeoutMs: number;
}

/**
 * connected: an answer came (TCP: handshake and echo; UDP: echo; ICMP: echo reply). refused: the destination's own stack said
 * no (TCP RST, ICMP port unreachable from the destination itself). rejected: an ICMP error from the data plane. timeout: silence.
 */
export interface ProbeResult {
  readonly outcome: 'connected' | 'refused' | 'rejected' | 'timeout' | 'error';
  /** Name of the pod that answered (`NS/NAME`), or the error's text. */
  readonly answer: string | null;
  readonly millis: number;
}

export interface Driver {
  readonly feed: Feed;
  /** Nodes whose data plane is a VPP. */
  readonly vpp?: readonly string[];
  readonly store: Store;
  /** Underlay, outside host, and every node's data plane and agent; resolves when all agents are ready. */
  start(): Promise<void>;
  /** Creates the sandbox with its process and wires it through its node's CNI service. Resolves with the pod's addresses. */
  addPod(pod: Pod): Promise<readonly string[]>;
  removePod(pod: PodRef): Promise<void>;
  /** Runs all probes concurrently; results are in the same order. */
  probe(probes: readonly Probe[]): Promise<readonly ProbeResult[]>;
  /** Traces on all nodes while `run` runs; steps are ordered by time, each with its node's name. */
  trace(
    filter: TraceFilter,
    run: () => Promise<void>,
  ): Promise<readonly (TraceStep & { readonly node: string })[]>;
  /** Resolves when every agent has applied everything up to this store revision. */
  settled(revision: number): Promise<void>;
  /** Command line that runs argv inside the pod (afxdp), or null where there are no processes (memory). */
  execCommand(
    pod: PodRef,
    argv: readonly string[],
  ): { readonly command: string; readonly args: readonly string[] } | null;
  close(): Promise<void>;
}
