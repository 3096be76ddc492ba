/** `pteropus explain`: what a policy set does to one connection, and why. Files only; no root, any OS. */
import { relative } from 'node:path';
import { DEFAULT_CONFIG } from '../compiler/input.js';
import type { RawDocument } from '../objects/document.js';
import { objectKey, type Pod } from '../objects/types.js';
import type { Origin } from '../ruleset/types.js';
import { clusterOnPaper, type LoadedCluster, ManifestReader, readInputs } from '../sim/load.js';
import { nodeNames } from '../sim/world.js';
import { parseArguments, USAGE } from './arguments.js';
import { paperCluster } from './cluster.js';
import { explain } from './explain.js';
import { formatExplanation } from './format.js';

/** Exit codes: 0 allowed, 1 denied (or some backends only); wrong input throws InvalidInputError. */
export async function run(argv: readonly string[]): Promise<number> {
  const options = parseArguments(argv);
  if (options === null) {
    process.stdout.write(USAGE);
    return 0;
  }
  const set = new ManifestReader().parse(await readInputs(options.files));
  const loaded = clusterOnPaper(set, nodeNames(options.nodes), DEFAULT_CONFIG);
  for (const warning of loaded.warnings) process.stderr.write(`warning: ${warning}\n`);
  const cluster = paperCluster(loaded.objects, loaded.config, workloadsOf(loaded));
  const answer = explain(cluster, options);
  const locate = (origin: Origin) => locateOrigin(set.items.get(originKey(origin))?.document, origin);
  process.stdout.write(
    options.json ? `${JSON.stringify(answer, null, 2)}\n` : formatExplanation(answer, locate),
  );
  return answer.verdict === 'allowed' ? 0 : 1;
}

function workloadsOf({ pods }: LoadedCluster): ReadonlyMap<string, readonly Pod[]> {
  const workloads = new Map<string, Pod[]>();
  for (const { pod, workload } of pods) workloads.set(workload, [...(workloads.get(workload) ?? []), pod]);
  return workloads;
}

function originKey({ namespace, name }: Origin): string {
  return objectKey('NetworkPolicy', namespace, name);
}

/** `FILE:LINE` of the rule; the file as seen from here. */
function locateOrigin(document: RawDocument | undefined, { field }: Origin): string | null {
  if (document?.source == null) return null;
  const path = (field?.match(/[^.[\]]+/g) ?? []).map((text) => (/^\d+$/.test(text) ? Number(text) : text));
  const line = path.length === 0 ? document.source.line : (document.locate(path) ?? document.source.line);
  const file = relative('', document.source.file);
  return `${file.startsWith('..') ? document.source.file : file}:${line}`;
}
