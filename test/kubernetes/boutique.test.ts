/** Google's Online Boutique by way of the API server: the same table as from its files alone. */
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { paperMatrix } from '../../control/matrix/cells.js';
import { loadCluster } from '../../control/sim/load.js';
import { ManifestReader, readInputs } from '../../control/sim/manifest-set.js';
import type { Cell } from '../../control/sim/matrix/cell.js';
import { expectCells } from '../../control/sim/matrix/expected.js';
import { measure } from '../../control/sim/matrix/measure.js';
import { planMatrix } from '../../control/sim/matrix/plan.js';
import { differences } from '../../control/sim/matrix/render.js';
import { file, testIf } from '../support/requires.js';
import { clusterRequirements, startCluster } from './support/cluster.js';

const ROOT = fileURLToPath(new URL('../../../../', import.meta.url));
const BOUTIQUE = process.env['PTEROPUS_BOUTIQUE'] ?? join(ROOT, '../shared/data/online-boutique');

/**
 * Cells by what they are about, whatever the API server named or numbered otherwise: replicas' names and node ports. Nodes
 * are left out: what they reach depends on which pods they run.
 */
function table(cells: readonly Cell[]): ReadonlyMap<string, string> {
  const out = new Map<string, string>();
  for (const { row, column, measured } of cells) {
    if (row.type === 'node') continue;
    const to = (column.pod === null ? column.id : column.group).replace(/nodePort \d+/, 'nodePort');
    const key = `${row.group} -> ${to}`;
    const old = out.get(key);
    out.set(key, old === undefined || old === measured ? measured : 'some');
  }
  return out;
}

testIf(
  test,
  ...clusterRequirements(),
  file(BOUTIQUE),
)(
  'Online Boutique applied through the API server: every cell as the policies say and as the files say',
  async () => {
    const running = await startCluster(`x-boutique-${process.pid}`, { nodes: 3 });
    const { cluster, driver } = running;
    try {
      const { objects, podsAdded } = await cluster.bring(
        new ManifestReader().parse(await readInputs([BOUTIQUE])),
      );
      assert.ok(objects > 30, `${objects} objects`);
      assert.is(podsAdded, 12);
      const { state } = cluster;
      const cells = await measure(driver, expectCells(planMatrix(state, { icmp: false }), state));
      assert.equal(differences(cells.filter(({ agrees }) => !agrees)), []);
      const paper = paperMatrix(await loadCluster([BOUTIQUE]), { ports: [], icmp: false });
      const [measured, written] = [table(cells), table(paper)];
      assert.ok(written.size > 300, `${written.size} cells`);
      assert.equal([...measured].sort(), [...written].sort());
    } finally {
      await running.close();
    }
  },
);

test.run();
