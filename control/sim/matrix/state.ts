/** A running cluster as the matrix sees it: plain data. */
import type {
  ClusterNetworkPolicy,
  EndpointSlice,
  Namespace,
  NetworkPolicy,
  Service,
} from '../../objects/types.js';
import type { OutsidePort } from '../driver.js';
import type { Planned } from '../expand.js';

export interface ClusterState {
  readonly nodes: readonly {
    readonly name: string;
    readonly address: string;
    /** In a dual-stack cluster. */
    readonly address6?: string;
    /** Its data plane is a VPP. */
    readonly vpp?: true;
  }[];
  readonly namespaces: readonly Namespace[];
  /** With addresses. */
  readonly pods: readonly Planned[];
  readonly services: readonly Service[];
  readonly slices: readonly EndpointSlice[];
  readonly policies: readonly (NetworkPolicy | ClusterNetworkPolicy)[];
  /** Documents of policies as they were read, for an evaluator that does its own reading. */
  readonly rawPolicies: readonly unknown[];
  readonly outside: { readonly addresses: readonly string[]; readonly ports: readonly OutsidePort[] };
}
