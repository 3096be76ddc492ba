/** A node as the compiler sees it, itself or a peer. */
import type { NodePlan } from '../ipam/arithmetic.js';
import type { Ip } from '../ruleset/types.js';

export interface NodeView {
  readonly name: string;
  readonly id: number;
  readonly plan: NodePlan;
  /** Underlay addresses, in the record's order; computed from the id where the record has none. */
  readonly addresses: readonly Ip[];
  /** What its own stack has by other links (host-addresses.ts). */
  readonly hostAddresses: readonly Ip[];
  /** Clients outside the cluster, whichever way they came. */
  readonly answersByUplink: boolean;
}
