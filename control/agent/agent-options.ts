/** What an agent is built from. */
import type { Backend } from '../backends/backend.js';
import type { ClusterConfig } from '../compiler/input.js';
import type { Store } from '../store/store.js';
import type { HealthCheckServer } from './health-checks.js';
import type { EventRecord } from './history.js';
import type { LinkDriver } from './links.js';
import type { PodFeed } from './pod-feed.js';
import type { AgentStatus } from './status.js';

export interface AgentOptions {
  /** Kubernetes name of the node. */
  readonly node: string;
  readonly config: ClusterConfig;
  readonly store: Store;
  /** Opens the node's data plane; called again after each loss. */
  readonly openBackend: () => Promise<Backend>;
  readonly links: LinkDriver;
  /** Path of the journal; null = nothing outlives the process. */
  readonly journal: string | null;
  /** Path of the mirror of the store; absent or null = the agent cannot start while the store is away. */
  readonly mirror?: string | null;
  /** How long a store is waited for before the agent starts from the mirror, milliseconds (default 3000). */
  readonly storeWaitMs?: number;
  /** Underlay addresses, for a configuration without nodeInterconnectCIDR. */
  readonly addresses?: readonly string[];
  /** Feed of pods whose annotation does not choose theirs (default afxdp). */
  readonly podFeed?: PodFeed;
  /** What carries the node's packets, as other nodes are to know it; absent: our own data plane. */
  readonly dataplane?: 'vpp';
  /** How long ADD waits for the pod's object before it wires the pod closed, milliseconds (default 1000). */
  readonly podObjectWaitMs?: number;
  /** Serves healthCheckNodePorts on the node; without it nobody does. The caller closes it. */
  readonly healthChecks?: HealthCheckServer;
  /** Pause between two audits of the pods wired here against the machine's links, milliseconds (default a minute; 0 = none). */
  readonly auditIntervalMs?: number;
  /** Pause between two downstream resyncs that nothing called for, milliseconds (default 0 = none). */
  readonly resyncIntervalMs?: number;
  /** Shortest pause between two writes of a status that tell of a revision only, milliseconds (default 2). */
  readonly statusIntervalMs?: number;
  /** Between two questions whether the store answers, milliseconds. */
  readonly storePulseMs?: number;
  /** What is wrong on the machine beside the agent, now: certificates, files of the container runtime. */
  readonly machineProblems?: () => readonly string[];
  /** Told why the agent cannot start yet, at each try. */
  readonly waiting?: (reason: string) => void;
  /** Gives back what large work has left behind; called when it is done and nothing else is to be done. Absent: nobody does. */
  readonly releaseMemory?: () => void;
  /** Told of each event when it is done. */
  readonly recorded?: (record: EventRecord) => void;
  /** Told of the status whenever it may have changed. */
  readonly statusChanged?: (status: AgentStatus) => void;
  /** Another node has our id, and no pod runs here: whoever starts the agent should do so again. */
  readonly startAnew?: () => void;
  /** Lines for a person. */
  readonly log?: (line: string) => void;
}
