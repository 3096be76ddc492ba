/** One shape at one size: loads it as a node agent does, and compiles it. */
import { compile } from '../control/compiler/compile.js';
import { IncrementalCompiler } from '../control/compiler/incremental/compiler.js';
import { type ClusterConfig, DEFAULT_CONFIG, type NodeLocal } from '../control/compiler/input.js';
import { Model } from '../control/model/model.js';
import { fromJson, toJson } from '../control/objects/json.js';
import { parseApiObject } from '../control/objects/manifest.js';
import type { KubeObject, NodeRecord, Pod } from '../control/objects/types.js';
import { diffRulesets } from '../control/ruleset/diff.js';
import { HERE, objectsOf, type Shape, type ShapeName, shapeOf } from './compile-shapes.js';

export interface RunSpec {
  readonly shape: ShapeName;
  readonly size: number;
  readonly endpoints: number;
  /** Events of each kind in one round. */
  readonly events: number;
}

export interface LoadFigures {
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
}

export const CONFIG: ClusterConfig = {
  ...DEFAULT_CONFIG,
  podSubnetCIDR: '10.0.0.0/12',
  hostSubnetCIDR: '172.16.0.0/12',
  vxlanCIDR: '192.168.0.0/18',
  nodeInterconnectCIDR: '192.168.64.0/18',
  defaultGateway: null,
};
export const NODES = 1000;

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

export interface Loaded {
  readonly shape: Shape;
  readonly compiler: IncrementalCompiler;
  readonly figures: LoadFigures;
}

export function load(spec: RunSpec): Loaded {
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
      text: shape.text,
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

/** Does all there is to do ahead. */
export function anticipated(compiler: IncrementalCompiler): Pick<LoadFigures, 'ahead' | 'longestAhead'> {
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
export function fromScratch(compiler: IncrementalCompiler, rounds: number): number {
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

export function collect(): void {
  exposed.gc?.();
}

/** What was made lately: twice, since what is met the first time may still be young afterwards. */
export function collectYoung(): void {
  for (let i = 0; i < 2; i++) exposed.gc?.({ type: 'minor' });
}

const exposed = globalThis as { gc?: (options?: { readonly type: 'minor' }) => void };
