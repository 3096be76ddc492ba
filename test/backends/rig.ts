/** What the behaviour suite needs of a backend under test: the backend, and stations at the far ends of its links. */
import type { Backend } from '../../control/backends/backend.js';

export type Lack =
  /** Clients outside that are led to a pod of another node come there in the name of the node they entered at. */
  | 'client-address'
  /** Pods that ask for a node port come to its backend in the name of their node. */
  | 'pod-address'
  /** Where those outside have backends of their own, a subset of all, everyone is led to those. */
  | 'outside-backends'
  /** A Service with session affinity is refused. */
  | 'affinity'
  /** A Service with consistent hashing is refused. */
  | 'maglev'
  /** Source ranges are asked of those who come by the uplink only. */
  | 'inside-ranges'
  /** Pings over IPv6 out of the cluster get no answer. */
  | 'outside-ping6'
  /** Its check of sources comes first, and counts what others would count as something else; it speaks of multicast groups by itself. */
  | 'own-counts';

export interface Rig {
  readonly backend: Backend;
  /** What this backend cannot do, by name and on record in its documentation; the suite then asks for what it does instead. */
  readonly lacks?: readonly Lack[];
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

export function lacks({ lacks: list = [] }: Rig, what: Lack): boolean {
  return list.includes(what);
}
