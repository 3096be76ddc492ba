/** What the behaviour suite needs of a backend under test: the backend, and stations at the far ends of its links. */
import type { Backend } from '../../control/backends/backend.js';
import type { LimitName } from '../../control/backends/vpp/services/limits.js';

/**
 * What not every backend under test can do: a test that asks for it says so, and is skipped, with the reason, where the backend's own table
 * of limits names it. The names are those of that table (`control/backends/vpp/services/limits.ts`).
 */
export type Capability = LimitName;

export interface Rig {
  readonly backend: Backend;
  /** Makes a link of this name and puts a station behind it. To be called before an interface item names the link. */
  attach(link: string, receive: (frame: Uint8Array) => void): Promise<void>;
  /** A frame from the station of a link into the data plane. */
  send(link: string, frame: Uint8Array): void;
  /** Resolves when what was sent so far has had time to arrive. */
  settle(): Promise<void>;
  /** Damages some of what the data plane was told, behind its back. */
  tamper(): Promise<void>;
  close(): Promise<void>;
}

/** Opens rigs of one kind of backend. */
export interface OpenRig {
  (): Promise<Rig>;
  /** Of the kind, where some of them cannot do all. */
  readonly kind?: string;
  /** What backends of this kind cannot do, and why; absent: they can do all. */
  readonly lacks?: ReadonlyMap<Capability, string>;
}
