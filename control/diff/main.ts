/** `pteropus diff`: what a change of policies opens and closes, before it is applied. Files only; no root, any OS. */
import { parseOptions, UsageError } from '../common/command-line.js';
import { paperCluster, workloadsOf } from '../explain/cluster.js';
import { loadPaper, locateOrigin, type Paper, shapeGiven } from '../explain/files.js';
import { foldChanges } from './fold.js';
import { type Difference, differenceJson, formatDifference } from './format.js';
import { changesBetween } from './pairs.js';
import { partiesOf, type Side } from './parties.js';

const USAGE = `usage: pteropus diff -f OLD -f NEW [--with DIR|FILE]… [--json]

Shows what a change of policies opens and closes, between any two workloads, nodes and address blocks, over all protocols
and ports, and which rule decides before and after. Only reads files, nothing is run.

  -f, --filename  given twice: the manifests before and after; each a file or a folder (also --file)
      --with      manifests that belong to both sides, such as the workloads; may be repeated
      --json      print the result as one JSON object
      --nodes     number of nodes (default 3)
      --dual-stack
                  IPv6 beside IPv4 for pods and nodes; what changes in one family alone says so
  -h, --help      show this text

Exit codes: 0 nothing changes, 1 something opens or closes, 2 invalid input, 3 something broke.
`;

/** Throws UsageError, InvalidInputError. */
export async function run(argv: readonly string[]): Promise<number> {
  const { values } = parseOptions(argv, {
    filename: { type: 'string' as const, short: 'f', multiple: true as const },
    file: { type: 'string' as const, multiple: true as const },
    with: { type: 'string' as const, multiple: true as const },
    nodes: { type: 'string' as const },
    'dual-stack': { type: 'boolean' as const },
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
  const shape = shapeGiven(values);
  const common = values.with ?? [];
  const before = await loadPaper([...common, old], shape);
  const after = await loadPaper([...common, now], shape);
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
  const { parties, ...rest } = partiesOf(before, after);
  return { ...rest, entries: foldChanges(changesBetween(parties, before, after), parties) };
}

export function sideOf({ loaded }: Pick<Paper, 'loaded'>): Side {
  return { loaded, cluster: paperCluster(loaded.objects, loaded.config, workloadsOf(loaded)) };
}
