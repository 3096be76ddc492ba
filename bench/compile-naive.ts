/**
 * The peer: the naive evaluator (control/oracle), which asks every policy for every packet, on the objects as the API shows them;
 * and the same packets by the compiled ruleset. Both must agree. Started by bench/compile.ts; prints one line of JSON.
 */
import { compile } from '../control/compiler/compile.js';
import { Model } from '../control/model/model.js';
import { parseApiObject } from '../control/objects/manifest.js';
import { oracle } from '../control/oracle/oracle.js';
import { Random } from '../control/oracle/random.js';
import { judge } from '../control/ruleset/evaluate.js';
import type { PodRef } from '../control/ruleset/types.js';
import { CONFIG, localOf, nodeRecord, type RunSpec } from './compile-run.js';
import { HERE, objectsOf, podIp, shapeOf } from './compile-shapes.js';

export interface NaiveFigures {
  readonly spec: RunSpec;
  readonly text: string;
  readonly verdicts: number;
  readonly allowed: number;
  /** Milliseconds for one verdict, median. */
  readonly naive: number;
  readonly compiled: number;
}

function main(spec: RunSpec): NaiveFigures {
  const shape = shapeOf(spec.shape, spec.size, spec.endpoints);
  const raw = [...objectsOf(shape)];
  const objects = [...raw.map((object) => parseApiObject(object)), nodeRecord(1)];
  const ruleset = compile(Model.of(objects), localOf(objects), CONFIG);
  const plain = oracle(raw);
  const here = Array.from({ length: shape.pods }, (_, i) => i).filter((i) => shape.pod(i).node === HERE);
  const random = new Random(1);
  const naive: number[] = [];
  const compiled: number[] = [];
  let allowed = 0;
  for (let n = 0; n < spec.events; n++) {
    const [from, to] = [random.pick(here), random.pick(here)];
    if (from === to) continue;
    const packet = { protocol: 'TCP', port: random.pick([8000, 8001, 8080, 9090]) } as const;
    const name = (i: number): PodRef => ({ namespace: shape.pod(i).namespace, name: shape.pod(i).name });
    const start = performance.now();
    const wanted = plain.verdict({ from: { pod: name(from) }, to: { pod: name(to) }, ...packet }).allowed;
    const between = performance.now();
    const out = judge(ruleset, { pod: name(from), direction: 'egress', peer: podIp(to), ...packet }).allowed;
    const got =
      out && judge(ruleset, { pod: name(to), direction: 'ingress', peer: podIp(from), ...packet }).allowed;
    compiled.push(performance.now() - between);
    naive.push(between - start);
    if (got !== wanted) throw new Error(`${podIp(from)} -> ${podIp(to)}: ${got} instead of ${wanted}`);
    if (got) allowed++;
  }
  const { text } = shape;
  return { spec, text, verdicts: naive.length, allowed, naive: median(naive), compiled: median(compiled) };
}

function median(times: number[]): number {
  return times.sort((a, b) => a - b)[times.length >> 1] ?? 0;
}

process.stdout.write(`${JSON.stringify(main(JSON.parse(process.argv[2] ?? '') as RunSpec))}\n`);
