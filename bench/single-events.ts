/**
 * The whole way of large single events: compiled, told to the data plane, lowered, written into both images; beside all of it made
 * anew. `node build/js/bench/single-events.js`; method: bench/README.md, "The rule compiler".
 */

import { Image } from '../control/backends/wasm/image.js';
import { DEFAULT_IMAGE_SIZE } from '../control/backends/wasm/image-plan.js';
import { Lowering } from '../control/backends/wasm/lowering.js';
import { openMemory, planMemory, wordsOf } from '../control/backends/wasm/memory.js';
import { ChangeReader, ChangeWriter, type WireChange } from '../control/backends/wasm/wire-changes.js';
import { compile } from '../control/compiler/compile.js';
import { diffRulesets } from '../control/ruleset/diff.js';
import type { Change } from '../control/ruleset/types.js';
import { workloadsOf } from './compile-events.js';
import { load, type RunSpec } from './compile-run.js';
import { figures } from './statistics.js';

const WARM_UP = 10;
const EVENTS = 50;
const CASES: readonly (readonly [RunSpec, string])[] = [
  [{ shape: 'wide-service', size: 100, endpoints: 1000, events: EVENTS }, 'endpoint flips'],
  [{ shape: 'blocks', size: 8000, endpoints: 0, events: EVENTS }, 'policy changed, of a pod here'],
];

/** A data plane without its process: what is told crosses as text. */
class Told {
  readonly #writer = new ChangeWriter('bench');
  readonly #reader = new ChangeReader();
  readonly #lowering: Lowering;
  readonly #images: readonly Image[];

  constructor() {
    const plan = planMemory({ image: DEFAULT_IMAGE_SIZE, sessionsLog2: 10, frameSize: 4096, frameCount: 64 });
    const words = wordsOf(openMemory(plan));
    this.#images = plan.images.map((base) => new Image(words, base, plan.image));
    for (const image of this.#images) image.writeHeader();
    this.#lowering = new Lowering(plan.image);
  }

  apply(changes: readonly Change[]): void {
    const sent = this.#writer.write(changes);
    const got = JSON.parse(JSON.stringify(sent)) as readonly WireChange[];
    const read = this.#reader.read(got);
    const { operations } = this.#lowering.plan(read);
    this.#lowering.commit();
    for (const image of this.#images) image.play(operations);
    const results = read.map(({ key }) => ({ key, error: null }));
    this.#reader.applied(got, read, results);
    this.#writer.applied(changes, sent);
  }
}

for (const [spec, name] of CASES) {
  const loaded = load(spec);
  const { compiler, shape } = loaded;
  const workload = workloadsOf(loaded).find((one) => one.name === name);
  if (workload === undefined) throw new Error(`no events of the kind ${name}`);
  const told = new Told();
  told.apply(diffRulesets(new Map(), compiler.ruleset));
  const times: number[] = [];
  for (let i = 0; i < WARM_UP + EVENTS; i++) {
    const { events } = workload.make(i);
    const start = performance.now();
    told.apply(compiler.apply(events));
    if (i >= WARM_UP) times.push(performance.now() - start);
  }
  const anew = Array.from({ length: 3 }, () => {
    const other = new Told();
    const start = performance.now();
    other.apply(diffRulesets(new Map(), compile(compiler.model, compiler.local, compiler.config)));
    return performance.now() - start;
  });
  const { median, min, max } = figures(times);
  const whole = figures(anew).median;
  process.stdout.write(
    `${shape.text}, ${name}: ${median.toFixed(1)} ms (${min.toFixed(1)} to ${max.toFixed(1)}); ` +
      `anew ${whole.toFixed(0)} ms, ${(whole / median).toFixed(0)} x\n`,
  );
}
