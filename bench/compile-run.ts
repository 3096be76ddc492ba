/** One shape at one size: loads it as a node agent does, compiles it, and feeds it events. */
import { compile } from '../control/compiler/compile.js';
import { IncrementalCompiler } from '../control/compiler/incremental/compiler.js';
import { type ClusterConfig, DEFAULT_CONFIG, type NodeLocal } from '../control/compiler/input.js';
import { Model } from '../control/model/model.js';
import { fromJson, toJson } from '../control/objects/json.js';
import { parseApiObject } from '../control/objects/manifest.js';
import type { KubeObject, NodeRecord, ObjectEvent, Pod } from '../control/objects/types.js';
import { Random } from '../control/oracle/random.js';
import type { Raw } from '../control/oracle/raw.js';
import { diffRulesets } from '../control/ruleset/diff.js';
import type { Change } from '../control/ruleset/types.js';
import {
  apiNamespace,
  apiPod,
  HERE,
  objectsOf,
  type PodSpec,
  podIp,
  type Shape,
  type ShapeName,
  shapeOf,
} from './compile-shapes.js';

export interface RunSpec {
  readonly shape: ShapeName;
  readonly size: number;
  readonly endpoints: number;
  /** Events of each kind. */
  readonly events: number;
}

export interface EventFigures {
  readonly name: string;
  /**
   * Events measured, and those left out because another process took the core meanwhile. None is left out where that happened to
   * more than one in ten: it is the long ones it happens to.
   */
  readonly count: number;
  readonly preempted: number;
  /** Milliseconds. */
  readonly p50: number;
  readonly p99: number;
  readonly max: number;
  /** Milliseconds of `anticipate` for each event, before the next one: time in which an agent has nothing else to do. */
  readonly ahead: number;
  /** Share of the events that changed the ruleset, and changes for each of those. */
  readonly effective: number;
  readonly changes: number;
}

export interface RunFigures {
  readonly spec: RunSpec;
  readonly text: string;
  readonly objects: number;
  readonly items: number;
  readonly members: number;
  /** Milliseconds: API JSON objects validated; stored JSON read; model and indexes; first ruleset; all from scratch again. */
  readonly parse: number;
  readonly read: number;
  readonly load: number;
  readonly compile: number;
  readonly scratch: number;
  /** Milliseconds of `anticipate` until nothing is left to do ahead, and its longest piece. */
  readonly ahead: number;
  readonly longestAhead: number;
  /** MiB: most resident memory of the process up to the first ruleset; heap in use after it. */
  readonly peak: number;
  readonly heap: number;
  readonly events: readonly EventFigures[];
}

export const CONFIG: ClusterConfig = {
  ...DEFAULT_CONFIG,
  podSubnetCIDR: '10.0.0.0/12',
  hostSubnetCIDR: '172.16.0.0/12',
  vxlanCIDR: '192.168.0.0/18',
  nodeInterconnectCIDR: '192.168.64.0/18',
  defaultGateway: null,
};
const NODES = 1000;
const WARM_UP = 100;

export function nodeRecord(id: number): NodeRecord {
  const metadata = { name: `node-${id}`, namespace: null, uid: null, labels: {}, annotations: {} };
  return { kind: 'NodeRecord', metadata, id, addresses: [`192.168.${64 + (id >> 8)}.${id & 255}`] };
}

export function localOf(objects: readonly KubeObject[]): NodeLocal {
  const here = objects.filter((o): o is Pod => o.kind === 'Pod' && o.spec.nodeName === HERE);
  const mac = '02:00:00:00:00:01';
  return {
    node: HERE,
    uplink: { link: 'eth0', mac },
    host: { link: 'ptero0', mac, peerMac: mac },
    attachments: here.map(({ metadata, status }, i) => ({
      pod: { namespace: metadata.namespace ?? '', name: metadata.name },
      link: `pod${i}`,
      mac,
      peerMac: mac,
      addresses: status.podIPs,
    })),
  };
}

interface Loaded {
  readonly shape: Shape;
  readonly compiler: IncrementalCompiler;
  readonly figures: Omit<RunFigures, 'events' | 'spec' | 'text'>;
}

function load(spec: RunSpec): Loaded {
  const shape = shapeOf(spec.shape, spec.size, spec.endpoints);
  const objects: KubeObject[] = [];
  let parse = 0;
  let read = 0;
  const take = (batch: readonly unknown[]): void => {
    const parsing = performance.now();
    const parsed = batch.map((raw) => parseApiObject(raw));
    parse += performance.now() - parsing;
    const texts = parsed.map(toJson);
    const reading = performance.now();
    for (const text of texts) objects.push(fromJson(text));
    read += performance.now() - reading;
  };
  let batch: unknown[] = [];
  for (const raw of objectsOf(shape)) {
    if (batch.push(raw) < 1000) continue;
    take(batch);
    batch = [];
  }
  take(batch);
  for (let id = 1; id <= NODES; id++) objects.push(nodeRecord(id));
  const local = localOf(objects);
  const start = performance.now();
  const model = Model.of(objects);
  const loaded = performance.now();
  const compiler = new IncrementalCompiler(model, local, CONFIG);
  const compiled = performance.now();
  const peak = process.resourceUsage().maxRSS / 1024;
  collect();
  const heap = process.memoryUsage().heapUsed / 2 ** 20;
  const sets = [...compiler.ruleset.values()].filter((item) => item.kind === 'addressset');
  return {
    shape,
    compiler,
    figures: {
      objects: objects.length,
      items: compiler.ruleset.size,
      members: sets.reduce((sum, set) => sum + set.addresses.length + set.blocks.length, 0),
      parse,
      read,
      load: loaded - start,
      compile: compiled - loaded,
      scratch: fromScratch(compiler, 3),
      ...anticipated(compiler),
      peak,
      heap,
    },
  };
}

function anticipated(compiler: IncrementalCompiler): Pick<RunFigures, 'ahead' | 'longestAhead'> {
  let ahead = 0;
  let longestAhead = 0;
  for (let more = true; more; ) {
    const start = performance.now();
    more = compiler.anticipate();
    const time = performance.now() - start;
    ahead += time;
    longestAhead = Math.max(longestAhead, time);
  }
  return { ahead, longestAhead };
}

/** Milliseconds for a compile from scratch, the median of some; and it says the same. */
function fromScratch(compiler: IncrementalCompiler, rounds: number): number {
  const times = Array.from({ length: rounds }, () => {
    const start = performance.now();
    const ruleset = compile(compiler.model, compiler.local, CONFIG);
    const time = performance.now() - start;
    if (diffRulesets(compiler.ruleset, ruleset).length > 0)
      throw new Error('incremental is not from scratch');
    return time;
  });
  return times.sort((a, b) => a - b)[rounds >> 1] ?? 0;
}

function collect(): void {
  (globalThis as { gc?: () => void }).gc?.();
}

/** What happens in one step: events, and what is wired from then on. */
interface Happening {
  readonly events: readonly ObjectEvent[];
  readonly local?: NodeLocal;
}

function measure(
  { compiler }: Loaded,
  name: string,
  count: number,
  make: (i: number) => Happening | null,
): EventFigures | null {
  const undisturbed: number[] = [];
  const all: number[] = [];
  let ahead = 0;
  let effective = 0;
  let changes = 0;
  const warmUp = Math.min(WARM_UP, count);
  collect();
  for (let i = 0; i < count + warmUp; i++) {
    const happening = make(i);
    if (happening === null) return null;
    const idle = anticipated(compiler).ahead;
    const switches = process.resourceUsage().involuntaryContextSwitches;
    const start = process.hrtime.bigint();
    const result: readonly Change[] = compiler.apply(happening.events, happening.local);
    const time = Number(process.hrtime.bigint() - start) / 1e6;
    const disturbed = process.resourceUsage().involuntaryContextSwitches !== switches;
    if (i < warmUp) continue;
    all.push(time);
    ahead += idle;
    if (!disturbed) undisturbed.push(time);
    if (result.length > 0) effective++;
    changes += result.length;
  }
  const times = undisturbed.length < all.length * 0.9 ? all : undisturbed;
  return {
    name,
    count: times.length,
    preempted: all.length - times.length,
    ...quantiles(times),
    ahead: ahead / count,
    effective: effective / count,
    changes: changes / Math.max(1, effective),
  };
}

/** Sorts what it is given. */
function quantiles(times: number[]): Pick<EventFigures, 'p50' | 'p99' | 'max'> {
  times.sort((a, b) => a - b);
  const at = (share: number): number =>
    times[Math.min(times.length - 1, Math.floor(times.length * share))] ?? 0;
  return { p50: at(0.5), p99: at(0.99), max: at(1) };
}

function nameOf(raw: Raw): { readonly namespace: string; readonly name: string } {
  return raw['metadata'] as { namespace: string; name: string };
}

const put = (raw: unknown): ObjectEvent => ({ type: 'put', object: parseApiObject(raw) });

function measureAll(loaded: Loaded, count: number): readonly EventFigures[] {
  const { shape, compiler } = loaded;
  const random = new Random(1);
  const figures: (EventFigures | null)[] = [];
  const run = (name: string, make: (i: number) => Happening | null, n = count): void => {
    figures.push(measure(loaded, name, n, make));
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
    return (): Happening | null => {
      if (of.length === 0) return null;
      const i = random.pick(of);
      const spec = shape.pod(i);
      const back = changed.delete(i);
      if (!back) changed.add(i);
      const labels = back ? spec.labels : { ...spec.labels, app: 'other', tier: 't0' };
      return { events: [put(apiPod({ ...spec, labels }))] };
    };
  };
  if (shape.policies > 1) {
    run('pod relabelled, known to a policy here', relabelled(peers));
    run('pod relabelled, anywhere', relabelled(Array.from({ length: shape.pods }, (_, i) => i)));
    run('pod of this node relabelled', relabelled(mine));
    let last: PodSpec | null = null;
    run('pod added or removed elsewhere', (i) => {
      if (last !== null) {
        const { namespace, name } = last;
        last = null;
        return { events: [{ type: 'delete', kind: 'Pod', namespace, name }] };
      }
      if (peers.length === 0) return null;
      last = { ...shape.pod(random.pick(peers)), name: `new${i}`, ip: podIp(600_000 + i) };
      return { events: [put(apiPod(last))] };
    });
    const namespaces = [...shape.namespaces()].map(
      (raw) => raw['metadata'] as { name: string; labels: Labels },
    );
    const moved = new Set<string>();
    if (namespaces.length > 1) {
      run(
        'namespace relabelled',
        () => {
          const { name, labels } = random.pick(namespaces);
          const back = moved.delete(name);
          if (!back) moved.add(name);
          const other = { ingress: labels['ingress'] === 'yes' ? 'no' : 'yes', env: 'e0' };
          return { events: [put(apiNamespace(name, back ? labels : { ...labels, ...other }))] };
        },
        Math.min(count, 300),
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
    const policies = shape.policies === 1 ? Math.min(count, 100) : count;
    run(
      'policy changed, of a pod here',
      (i) => ({ events: [put(shape.policy(random.pick(used), i + 1))] }),
      policies,
    );
    if (shape.policies > 1) {
      run('policy changed, anywhere', (i) => ({
        events: [put(shape.policy(random.below(shape.policies), i + 1))],
      }));
    }
  }
  if (shape.services > 0) {
    run('endpoint flips', (i) => ({ events: [put(shape.slice(random.below(shape.services), i + 1))] }));
    run('service added or removed', (i) => {
      const raw = shape.service(Math.floor(i / 2) * 2 + 1);
      const { namespace, name } = nameOf(raw);
      return { events: [i % 2 === 1 ? put(raw) : { type: 'delete', kind: 'Service', namespace, name }] };
    });
  }
  const { local } = compiler;
  run('pod wired or unwired here', (i) => {
    if (i % 2 === 1) return { events: [], local };
    // Not always the same one: what goes and comes with a pod depends on which policies it has to itself.
    const gone = random.pick(local.attachments);
    return { events: [], local: { ...local, attachments: local.attachments.filter((a) => a !== gone) } };
  });
  run(
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
    Math.min(count, shape.services > 0 ? 10 : 50),
  );
  return figures.filter((figure) => figure !== null);
}

type Labels = Readonly<Record<string, string>>;

export function main(spec: RunSpec): RunFigures {
  const loaded = load(spec);
  const events = measureAll(loaded, spec.events);
  // After all of it, it still is what a compile from scratch makes.
  fromScratch(loaded.compiler, 1);
  return { spec, text: loaded.shape.text, ...loaded.figures, events };
}
