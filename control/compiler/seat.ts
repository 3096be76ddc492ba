/** One endpoint of a Service, as the choice of endpoints sees it. */
import type { Endpoint } from '../objects/types.js';
import type { Ip, PodRef } from '../ruleset/types.js';

/** An endpoint as all ports of its Service see it that have the same slices. */
export interface Seat {
  readonly address: Ip;
  /** Where the slices give one port of the Service several numbers: its own. null = the port's one number. */
  readonly port: number | null;
  readonly ready: boolean;
  /** Shutting down, but still answering: used where nothing is ready. */
  readonly draining: boolean;
  readonly node: string | null;
  readonly pod: PodRef | null;
  /** Relative share of the traffic. */
  readonly weight: number;
  readonly zone: string | null;
  /** Where its traffic should come from; null = the slice does not say. */
  readonly hints: Endpoint['hints'];
}
