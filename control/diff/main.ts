/** `pteropus diff`: what a change of policies opens and closes, before it is applied. Files only; no root, any OS. */
import { parseOptions, UsageError } from '../common/command-line.js';
import { paperCluster, workloadsOf } from '../explain/cluster.js';
import { loadPaper, locateOrigin, nodesGiven, type Paper } from '../explain/files.js';
import { foldChanges } from './fold.js';
import { type Difference, differenceJson, formatDifference } from './format.js';
import { changesBetween } from './pairs.js';
import { partiesOf, type Side } from './parties.js';

const USAGE = `usage: pteropus diff -f OLD -f NEW [--with DIR|FILE]… [--json]

Says what a change of policies opens and closes: for every two workloads, nodes and blocks of addresses, over all protocols
and ports, and which rule decided before and after. Reads files only, nothing is run.

  -f, --filename  two of them: the manifests before and after; each a file or a folder (also --file)
      --with      manifests that belong to both, such as the workloads; may be given again
      --json      the same as one JSON object
      --nodes     nodes of the cluster (3)

Exit code: 0 nothing changes, 1 something opens or closes, 2 wrong input.
`;

/** Throws UsageError, InvalidInputError. */
export async function run(argv: readonly string[]): Promise<number> {
  const { values } = parseOptions(argv, {
    filename: { type: 'string' as const, short: 'f', multiple: true as const },
    file: { type: 'string' as const, multiple: true as const },
    with: { type: 'string' as const, multiple: true as const },
    nodes: { type: 'string' as const },
    json: { type: 'boolean' as const },
  });
  if (values.help === true) {
    process.stdout.write(USAGE);
    return 0;
  }
  const [old, now, ...more] = [...(values.filename ?? []), ...(values.file ?? [])];
  if (old === undefined || now === undefined || more.length > 0) {
    throw new UsageError('must be given twice: the manifests before and after', { field: '-f' });
  }
  const nodes = nodesGiven(values.nodes);
  const common = values.with ?? [];
  const before = await loadPaper([...common, old], nodes);
  const after = await loadPaper([...common, now], nodes);
  const difference = compare(sideOf(before), sideOf(after));
  process.stdout.write(
    values.json === true
      ? `${JSON.stringify(differenceJson(difference), null, 2)}\n`
      : formatDifference(
          difference,
          (origin) => locateOrigin(before, origin),
          (origin) => locateOrigin(after, origin),
        ),
  );
  return difference.entries.length === 0 ? 0 : 1;
}

/** Everything that opens or closes between two clusters on paper. Pure. */
export function compare(before: Side, after: Side): Difference {
  const { parties, added, removed } = partiesOf(before, after);
  return { entries: foldChanges(changesBetween(parties, before, after), parties), added, removed };
}

export function sideOf({ loaded }: Pick<Paper, 'loaded'>): Side {
  return { loaded, cluster: paperCluster(loaded.objects, loaded.config, workloadsOf(loaded)) };
}
