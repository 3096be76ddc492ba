/**
 * Where packets come from and go to. A feed fills the packet vector (dataplane-as/layout) from its links and carries out what the
 * pipeline answered there. All calls come from the one thread that runs the pipeline.
 */

import type { TapEnd } from '../../ruleset/types.js';
import type { ReceiveMode, SendMode } from '../backend.js';

/** What a feed needs to know of an interface. Plain data: it is sent to a worker. */
export interface Link {
  /** Name of the link (Linux device, or in-memory station). */
  readonly name: string;
  /** Largest IP packet, bytes. */
  readonly mtu: number;
  /** A pod's: the other end is made by us, without segmentation and checksum offload. */
  readonly pod?: boolean;
  /** It is this TAP, which only a feed over the kernel can open; `name` is no more than a name. */
  readonly tap?: TapEnd;
}

export interface FeedCounters {
  /** Packets that came but could not be taken: no free frame, queue full. */
  readonly rxDropped: number;
  /** Packets that could not be sent. */
  readonly txDropped: number;
  /** Absent: it does not come from the kernel, or is not open. */
  readonly mode?: ReceiveMode;
  readonly sends?: SendMode;
}

export interface Feed {
  /** Opens a link as `port`. Throws PortError. */
  openPort(port: number, link: Link): void;
  closePort(port: number): void;
  /**
   * Sends or frees the first `transmit` entries of the vector as V_TX_PORT says, then receives into it; waits up to
   * `timeoutMicros` if nothing is there. Returns the number received.
   */
  step(transmit: number, timeoutMicros: number): number;
  /** The first part of a step alone: the next one has nothing to transmit. */
  send(transmit: number): void;
  /** Puts a frame of our own into entry `at` of the vector, to be sent on `port` by the next step; false if none is free. */
  inject(at: number, bytes: Uint8Array, port: number): boolean;
  counters(port: number): FeedCounters;
  close(): void;
}
