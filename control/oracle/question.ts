/** What the oracle is asked, and what it answers. */
import type { PacketProtocol } from './match.js';

export interface PodName {
  readonly namespace: string;
  readonly name: string;
}

/** A pod; an address (a pod's address means that pod); or a node's own stack, `ip` being the address it speaks with. */
export type End =
  | { readonly pod: PodName }
  | { readonly ip: string }
  | { readonly node: string; readonly ip?: string };

export interface Packet {
  readonly from: End;
  readonly to: End;
  readonly protocol: PacketProtocol;
  /** Destination port, after any Service. */
  readonly port: number;
}

export interface OracleVerdict {
  readonly allowed: boolean;
  readonly egressAllowed: boolean;
  readonly ingressAllowed: boolean;
  /**
   * What let it out, or did not: `NetworkPolicy NS/NAME spec.egress[0]`, `ClusterNetworkPolicy NAME spec.egress[0]`, `closed by …`,
   * `open`, `self`, `node` or `not a pod`.
   */
  readonly egressBy: string;
  readonly ingressBy: string;
}

export interface ServiceQuestion {
  readonly from: End;
  readonly service: PodName;
  /** The Service's port, whatever the frontend. */
  readonly port: number;
  readonly protocol: 'TCP' | 'UDP' | 'SCTP';
  readonly frontend: 'ClusterIP' | 'NodePort' | 'LoadBalancer' | 'ExternalIP';
  /**
   * NodePort: the node whose address is asked. LoadBalancer, ExternalIP: the node the packet comes in at. By default the node of
   * `from`.
   */
  readonly node?: string;
  /** The node that chooses the backend, for hints; by default the node of `from`, else `node`. */
  readonly entry?: string;
}

export interface ServiceVerdict {
  /**
   * `refused`: no endpoint, so an error comes back. `filtered`: the source may not use this frontend. `elsewhere`: it asks from outside,
   * the policy is Local, and all endpoints are on other nodes: dropped.
   */
  readonly outcome: 'backends' | 'refused' | 'filtered' | 'elsewhere';
  readonly backends: readonly {
    readonly address: string;
    readonly port: number;
    readonly pod: PodName | null;
    readonly verdict: OracleVerdict;
  }[];
}

export interface Oracle {
  /** One packet to one destination. Throws if a pod or node it names does not exist. */
  verdict(packet: Packet): OracleVerdict;
  /** Every backend a Service may choose, each with its verdict. */
  viaService(question: ServiceQuestion): ServiceVerdict;
}
