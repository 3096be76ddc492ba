/** The kinds of events that a compiler is measured with, for any shape. */
import type { NodeLocal } from '../control/compiler/input.js';
import { parseApiObject } from '../control/objects/manifest.js';
import type { ObjectEvent } from '../control/objects/types.js';
import { Random } from '../control/oracle/random.js';
import type { Raw } from '../control/oracle/raw.js';
import { type Loaded, NODES, nodeRecord } from './compile-run.js';
import { apiNamespace, apiPod, HERE, type PodSpec, podIp } from './compile-shapes.js';

/** What happens in one step: events, and what is wired from then on. */
export interface Happening {
  readonly events: readonly ObjectEvent[];
  readonly local?: NodeLocal;
}

/** One kind of event. */
export interface Workload {
  readonly name: string;
  /** Most of these in one round: some take long. */
  readonly most: number;
  /** The `i`-th of all. */
  readonly make: (i: number) => Happening;
}

function nameOf(raw: Raw): { readonly namespace: string; readonly name: string } {
  return raw['metadata'] as { namespace: string; name: string };
}

const put = (raw: unknown): ObjectEvent => ({ type: 'put', object: parseApiObject(raw) });

export function workloadsOf({ shape, compiler }: Loaded): readonly Workload[] {
  const random = new Random(1);
  const workloads: Workload[] = [];
  const add = (name: string, make: (i: number) => Happening, most = Number.POSITIVE_INFINITY): void => {
    workloads.push({ name, most, make });
  };
  // Pods that a set of some of the pods (not of all) holds, and pods of this node.
  const held = new Set<string>();
  for (const item of compiler.ruleset.values()) {
    if (item.kind !== 'addressset' || item.addresses.length > shape.pods / 2) continue;
    for (const ip of item.addresses) held.add(ip);
  }
  const peers: number[] = [];
  const mine: number[] = [];
  for (let i = 0; i < shape.pods; i++) {
    const isHere = shape.pod(i).node === HERE;
    if (isHere) mine.push(i);
    else if (held.has(podIp(i))) peers.push(i);
  }
  const relabelled = (of: readonly number[]) => {
    const changed = new Set<number>();
    return (): Happening => {
      const i = random.pick(of);
      const spec = shape.pod(i);
      const back = changed.delete(i);
      if (!back) changed.add(i);
      const labels = back ? spec.labels : { ...spec.labels, app: 'other', tier: 't0' };
      return { events: [put(apiPod({ ...spec, labels }))] };
    };
  };
  if (shape.policies > 1) {
    if (peers.length > 0) add('pod relabelled, known to a policy here', relabelled(peers));
    add('pod relabelled, anywhere', relabelled(Array.from({ length: shape.pods }, (_, i) => i)));
    add('pod of this node relabelled', relabelled(mine));
    let last: PodSpec | null = null;
    if (peers.length > 0)
      add('pod added or removed elsewhere', (i) => {
        if (last !== null) {
          const { namespace, name } = last;
          last = null;
          return { events: [{ type: 'delete', kind: 'Pod', namespace, name }] };
        }
        last = { ...shape.pod(random.pick(peers)), name: `new${i}`, ip: podIp(600_000 + i) };
        return { events: [put(apiPod(last))] };
      });
    const namespaces = [...shape.namespaces()].map(
      (raw) => raw['metadata'] as { name: string; labels: Labels },
    );
    const moved = new Set<string>();
    if (namespaces.length > 1) {
      add(
        'namespace relabelled',
        () => {
          const { name, labels } = random.pick(namespaces);
          const back = moved.delete(name);
          if (!back) moved.add(name);
          const other = { ingress: labels['ingress'] === 'yes' ? 'no' : 'yes', env: 'e0' };
          return { events: [put(apiNamespace(name, back ? labels : { ...labels, ...other }))] };
        },
        100,
      );
    }
  }
  if (shape.policies > 0) {
    const names = new Set<string>();
    for (const item of compiler.ruleset.values()) {
      if (item.kind === 'policy')
        for (const { namespace, name } of item.isolatedBy) names.add(`${namespace}/${name}`);
    }
    const used: number[] = [];
    for (let i = 0; i < shape.policies; i++) {
      const { namespace, name } = nameOf(shape.policy(i, 0) ?? {});
      if (names.has(`${namespace}/${name}`)) used.push(i);
    }
    const few = shape.policies === 1 ? [100] : [];
    add(
      'policy changed, of a pod here',
      (i) => ({ events: [put(shape.policy(random.pick(used), i + 1))] }),
      ...few,
    );
    if (shape.policies > 1) {
      add('policy changed, anywhere', (i) => ({
        events: [put(shape.policy(random.below(shape.policies), i + 1))],
      }));
    }
  }
  if (shape.services > 0) {
    add('endpoint flips', (i) => ({ events: [put(shape.slice(random.below(shape.slices), i + 1))] }));
  }
  if (shape.services > 1) {
    add('service added or removed', (i) => {
      const raw = shape.service(Math.floor(i / 2) * 2 + 1);
      const { namespace, name } = nameOf(raw);
      return { events: [i % 2 === 1 ? put(raw) : { type: 'delete', kind: 'Service', namespace, name }] };
    });
  }
  const { local } = compiler;
  add('pod wired or unwired here', (i) => {
    if (i % 2 === 1) return { events: [], local };
    // Not always the same one: what goes and comes with a pod depends on which policies it has to itself.
    const gone = random.pick(local.attachments);
    return { events: [], local: { ...local, attachments: local.attachments.filter((a) => a !== gone) } };
  });
  add(
    'node joins or leaves',
    (i) => {
      const record = nodeRecord(NODES + 1);
      return {
        events: [
          i % 2 === 0
            ? { type: 'put', object: record }
            : { type: 'delete', kind: 'NodeRecord', namespace: null, name: record.metadata.name },
        ],
      };
    },
    shape.services > 0 ? 10 : 20,
  );
  return workloads;
}

type Labels = Readonly<Record<string, string>>;
