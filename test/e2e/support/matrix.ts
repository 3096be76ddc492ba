/** The whole matrix of a running cluster, measured and compared with the oracle. */
import type { Cluster } from '../../../control/sim/cluster.js';
import type { ManifestSet } from '../../../control/sim/manifest-set.js';
import type { Cell } from '../../../control/sim/matrix/cell.js';
import { expectCells } from '../../../control/sim/matrix/expected.js';
import { familiesOf, inFamily } from '../../../control/sim/matrix/family.js';
import { measure } from '../../../control/sim/matrix/measure.js';
import { planMatrix } from '../../../control/sim/matrix/plan.js';
import { differences, summaryLine } from '../../../control/sim/matrix/render.js';

export interface MatrixOutcome {
  readonly cells: number;
  /** One line for each cell that is not as the policies say. */
  readonly wrong: readonly string[];
  /** Cells that must be silent; 0 where no policy is. */
  readonly forbidden: number;
  readonly summary: string;
}

export async function measureMatrix(
  cluster: Cluster,
  options: { readonly icmp: boolean },
): Promise<MatrixOutcome> {
  const { state, spec } = cluster;
  const start = performance.now();
  const cells: Cell[] = [];
  for (const family of familiesOf(state)) {
    const one = inFamily(state, family);
    cells.push(...(await measure(spec.driver, expectCells(planMatrix(one, { ...options, family }), one))));
  }
  return {
    cells: cells.length,
    wrong: differences(cells.filter((cell) => !cell.agrees)),
    forbidden: cells.filter((cell) => cell.expected.reach !== 'yes').length,
    summary: summaryLine(cells, performance.now() - start),
  };
}

/** The same manifests without their NetworkPolicies. */
export function withoutPolicies(set: ManifestSet): ManifestSet {
  const items = [...set.items].filter(
    ([, { object }]) => object?.kind !== 'NetworkPolicy' && object?.kind !== 'ClusterNetworkPolicy',
  );
  return { ...set, items: new Map(items) };
}
