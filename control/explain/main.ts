/** `pteropus explain`: what a policy set does to one connection, and why. Files only; no root, any OS. */
import { parseArguments, USAGE } from './arguments.js';
import { paperCluster, workloadsOf } from './cluster.js';
import { explain } from './explain.js';
import { loadPaper, locateOrigin } from './files.js';
import { formatExplanation } from './format.js';

/** Exit codes: 0 allowed, 1 denied (or some backends only); wrong input throws InvalidInputError. */
export async function run(argv: readonly string[]): Promise<number> {
  const options = parseArguments(argv);
  if (options === null) {
    process.stdout.write(USAGE);
    return 0;
  }
  const paper = await loadPaper(options.files, options.shape);
  const { objects, config } = paper.loaded;
  const answer = explain(paperCluster(objects, config, workloadsOf(paper.loaded)), options);
  process.stdout.write(
    options.json
      ? `${JSON.stringify(answer, null, 2)}\n`
      : formatExplanation(answer, (origin) => locateOrigin(paper, origin)),
  );
  return answer.verdict === 'allowed' ? 0 : 1;
}
