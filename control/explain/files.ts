/** What the programs that only read manifests have in common: -f, --nodes, --dual-stack, and the cluster on paper. */
import { relative } from 'node:path';
import { UsageError, wholeNumber } from '../common/command-line.js';
import type { ClusterConfig } from '../compiler/input.js';
import type { Path } from '../objects/document.js';
import type { ClusterNetworkPolicy } from '../objects/types.js';
import type { Origin } from '../ruleset/types.js';
import { clusterOnPaper, type LoadedCluster } from '../sim/load.js';
import { ManifestReader, type ManifestSet, readInputs } from '../sim/manifest-set.js';
import { configOf, nodeNames } from '../sim/world.js';

/** `--file` is another spelling of `--filename`. */
export const fileOptions = {
  filename: { type: 'string', short: 'f', multiple: true },
  file: { type: 'string', multiple: true },
  nodes: { type: 'string' },
  'dual-stack': { type: 'boolean' },
} as const;

interface FileValues {
  readonly filename?: string[] | undefined;
  readonly file?: string[] | undefined;
}

const MOST_NODES = 250;

/** In the order of the two spellings. Throws UsageError if there is none. */
export function filesGiven(values: FileValues): readonly string[] {
  const files = [...(values.filename ?? []), ...(values.file ?? [])];
  if (files.length > 0) return files;
  throw new UsageError('is needed: a file, a folder, or - for standard input', { field: '-f' });
}

/** What the manifests do not say about the cluster. */
export interface ClusterShape {
  readonly nodes: number;
  readonly config: ClusterConfig;
}

interface ShapeValues {
  readonly nodes?: string | undefined;
  readonly 'dual-stack'?: boolean | undefined;
}

/** 3 nodes with IPv4 unless said otherwise. Throws UsageError. */
export function shapeGiven(values: ShapeValues): ClusterShape {
  const nodes = wholeNumber('--nodes', values.nodes ?? '3', 1, MOST_NODES);
  return { nodes, config: configOf({ dualStack: values['dual-stack'] === true }) };
}

export interface Paper {
  readonly set: ManifestSet;
  readonly loaded: LoadedCluster;
}

/** Reads manifests and plays the controllers; what was tolerated goes to standard error. Throws InvalidInputError. */
export async function loadPaper(files: readonly string[], { nodes, config }: ClusterShape): Promise<Paper> {
  const set = new ManifestReader().parse(await readInputs(files));
  const loaded = clusterOnPaper(set, nodeNames(nodes), config);
  for (const warning of loaded.warnings) process.stderr.write(`warning: ${warning}\n`);
  return { set, loaded };
}

/** `FILE:LINE` of what an origin names, the file as seen from here, and the rule's name; null if it was not read from a file. */
export function locateOrigin({ set }: Paper, { kind, namespace, name, field }: Origin): string | null {
  const item = set.items.get(`${kind}/${namespace ?? ''}/${name}`);
  const source = item?.document.source;
  if (item === undefined || source == null) return null;
  const path = (field?.match(/[^.[\]]+/g) ?? []).map((text) => (/^\d+$/.test(text) ? Number(text) : text));
  const line = path.length === 0 ? source.line : (item.document.locate(path) ?? source.line);
  const file = relative('', source.file);
  const rule = item.object?.kind === 'ClusterNetworkPolicy' ? ruleName(item.object, path) : null;
  return `${file.startsWith('..') ? source.file : file}:${line}${rule === null ? '' : `, "${rule}"`}`;
}

function ruleName({ spec }: ClusterNetworkPolicy, path: Path): string | null {
  const [, section, i] = path;
  if ((section !== 'ingress' && section !== 'egress') || typeof i !== 'number') return null;
  return spec[section][i]?.name ?? null;
}
