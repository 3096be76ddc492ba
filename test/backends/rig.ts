/** What the behaviour suite needs of a backend under test: the backend, and stations at the far ends of its links. */
import type { Backend } from '../../control/backends/backend.js';

export interface Rig {
  readonly backend: Backend;
  /** Clients outside that are led to a pod of another node come to it in the name of the node they came by; absent: in their own. */
  readonly hidesClients?: true;
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

export type OpenRig = () => Promise<Rig>;
