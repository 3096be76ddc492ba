/** Which node runs which pod: replicas of one workload spread, then the emptiest node. Pure and deterministic. */
import type { Pod } from '../objects/types.js';
import type { Planned } from './expand.js';
import { matches, type ScheduleNode } from './labels.js';

export interface Scheduled {
  readonly pods: readonly Planned[];
  /** Wishes that could not be met here and what was done instead. */
  readonly warnings: readonly string[];
}

/**
 * Gives every pod a node of ours. A `nodeName` that is one of ours is kept; foreign ones (manifests taken from a real
 * cluster) are mapped in order of their names. Pods in `placed` (`NS/NAME` -> node) stay where they run. A nodeSelector that no node meets is a warning, not an error: manifests
 * name hardware that a simulation does not have.
 */
export function schedule(
  pods: readonly Planned[],
  nodes: readonly ScheduleNode[],
  placed: ReadonlyMap<string, string> = new Map(),
): Scheduled {
  const warnings: string[] = [];
  const names = new Set(nodes.map((node) => node.name));
  const foreign = [...new Set(pods.flatMap(({ pod }) => pod.spec.nodeName ?? []))]
    .filter((name) => !names.has(name))
    .sort();
  const mapped = new Map(foreign.map((name, i) => [name, nodes[i % nodes.length]!.name]));
  for (const [from, to] of mapped) warnings.push(`node ${from} is not simulated: its pods run on ${to}`);

  const total = new Map(nodes.map((node) => [node.name, 0]));
  const perWorkload = new Map<string, number>();
  const count = (node: string, workload: string) => perWorkload.get(`${node} ${workload}`) ?? 0;

  const place = ({ pod, workload }: Planned): string => {
    const wish = pod.spec.nodeName;
    if (wish !== null) return mapped.get(wish) ?? wish;
    const open = nodes.filter(({ cordoned }) => cordoned !== true);
    let fit = open.filter((node) => matches(node.labels, pod.spec.nodeSelector));
    if (fit.length === 0) {
      warnings.push(`${workload}: no node meets its nodeSelector; it runs on any`);
      fit = open;
    }
    return fit.reduce((best, node) => {
      const difference =
        count(node.name, workload) - count(best.name, workload) ||
        total.get(node.name)! - total.get(best.name)!;
      return difference < 0 ? node : best;
    }).name;
  };

  const onNode = new Map<Planned, string>();
  const settle = (planned: Planned, node: string) => {
    onNode.set(planned, node);
    total.set(node, (total.get(node) ?? 0) + 1);
    perWorkload.set(`${node} ${planned.workload}`, count(node, planned.workload) + 1);
  };
  // Those that have a node count first, so that newcomers go where there is room.
  for (const planned of pods) {
    const { metadata, spec } = planned.pod;
    if (spec.nodeName !== null) settle(planned, place(planned));
    else {
      const node = placed.get(`${metadata.namespace}/${metadata.name}`);
      if (node !== undefined && names.has(node)) settle(planned, node);
    }
  }
  for (const planned of pods) if (!onNode.has(planned)) settle(planned, place(planned));
  const out = pods.map((planned) => ({ ...planned, pod: withNode(planned.pod, onNode.get(planned)!) }));
  return { pods: out, warnings: [...new Set(warnings)] };
}

function withNode(pod: Pod, nodeName: string): Pod {
  return { ...pod, spec: { ...pod.spec, nodeName } };
}
