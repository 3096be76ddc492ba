/** The cells of a cluster on paper: what the compiled rulesets say, without a packet. Pure. */
import { paperCluster, workloadsOf } from '../explain/cluster.js';
import type { Protocol } from '../objects/types.js';
import type { Oracle } from '../oracle/question.js';
import type { Planned } from '../sim/expand.js';
import type { LoadedCluster } from '../sim/load.js';
import type { Cell } from '../sim/matrix/cell.js';
import { expectCells } from '../sim/matrix/expected.js';
import { familiesOf, inFamily, withSharedRows } from '../sim/matrix/family.js';
import { type Column, type MatrixPlan, planMatrix } from '../sim/matrix/plan.js';
import type { ClusterState } from '../sim/matrix/state.js';
import { nodeState, outsideAddresses, outsidePorts } from '../sim/world.js';
import { sampled } from './alike.js';
import { compiledJudge } from './verdicts.js';

export interface AskedPort {
  readonly protocol: Exclude<Protocol, 'SCTP'>;
  readonly port: number;
}

export interface MatrixQuestion {
  /** Ask every pod for these instead of the ports its containers name; empty = those. */
  readonly ports: readonly AskedPort[];
  /** Ping every pod, not only those without ports. */
  readonly icmp: boolean;
  /** Ask two of the replicas that no rule tells apart, for all of them. */
  readonly alike?: boolean;
}

/** Every cell; with `alike`, replicas that no rule tells apart are left out but for two, and those say for how many they stand. */
export function paperMatrix(
  loaded: LoadedCluster,
  { ports, icmp, alike = false }: MatrixQuestion,
): readonly Cell[] {
  const whole = stateOf(loaded);
  const cluster = paperCluster(loaded.objects, loaded.config, workloadsOf(loaded));
  const { state, stands } = alike
    ? sampled(whole, cluster)
    : { state: whole, stands: new Map<string, number>() };
  const asked =
    ports.length === 0 ? state : { ...state, pods: state.pods.map((pod) => listening(pod, ports, false)) };
  // Whether anybody listens is no matter of policy: on a port that is asked for, everybody does.
  const answering = { ...whole, pods: whole.pods.map((pod) => listening(pod, ports, true)) };
  const cells = familiesOf(whole).flatMap((family) => {
    const plan = planMatrix(inFamily(asked, family), { icmp, family });
    return cellsOf(plan, inFamily(answering, family), compiledJudge(cluster, family), stands);
  });
  return withSharedRows(cells);
}

/** The cells of one family. */
function cellsOf(
  plan: MatrixPlan,
  answering: ClusterState,
  judge: Oracle,
  stands: ReadonlyMap<string, number>,
): readonly Cell[] {
  const rows = new Map(plan.rows.map((row) => [row, { ...row, stands: stands.get(row.id) ?? 1 }]));
  const columns = new Map(
    plan.columns.map((column) => [column, { ...column, stands: stands.get(podOf(column)) ?? 1 }]),
  );
  return expectCells(plan, answering, judge).map(({ planned, expected }) => ({
    row: rows.get(planned.row) ?? planned.row,
    column: columns.get(planned.column) ?? planned.column,
    expected,
    measured: expected.reach,
    agrees: true,
    problem: null,
    probes: [],
  }));
}

function podOf({ pod }: Column): string {
  return pod === null ? '' : `${pod.namespace}/${pod.name}`;
}

/** The cluster as the matrix of the simulator sees it; without the documents of its policies. */
export function stateOf(loaded: LoadedCluster): ClusterState {
  const { config, nodes, namespaces, pods, services, slices, policies } = loaded;
  return {
    nodes: nodes.map((name) => nodeState(config, nodes, name)),
    namespaces,
    pods,
    services,
    slices,
    policies,
    rawPolicies: [],
    outside: { addresses: outsideAddresses(config), ports: outsidePorts(config, slices) },
  };
}

/** The pod with these ports open, in addition to its own or instead of them. */
function listening(planned: Planned, ports: readonly AskedPort[], also: boolean): Planned {
  const { pod } = planned;
  const asked = {
    name: 'asked',
    ports: ports.map(({ protocol, port }) => ({ name: null, containerPort: port, protocol, hostPort: null })),
  };
  const containers = also ? [...pod.spec.containers, asked] : [asked];
  return { ...planned, pod: { ...pod, spec: { ...pod.spec, containers } } };
}
