/** Our side for rulesets: the control plane's lowering into an image, and the compiled pipeline's verdicts on many headers. */
import { readFileSync } from 'node:fs';
import { Image } from '../../control/backends/wasm/image.js';
import { DEFAULT_IMAGE_SIZE } from '../../control/backends/wasm/image-plan.js';
import { Lowering } from '../../control/backends/wasm/lowering.js';
import { openMemory, planMemory, wordsOf } from '../../control/backends/wasm/memory.js';
import type { Change, Item } from '../../control/ruleset/types.js';
import * as L from '../../dataplane-as/layout/index.js';
import { buildAssembly } from '../peers/build.js';
import { cpuMilliseconds, preferHuge } from './cpu.js';
import { asLoaded } from './headers.js';
import { HEADER_WORDS } from './rules.js';

interface Exports {
  init(): void;
  classify(from: number, count: number, answers: number, now: number): void;
}

/** The module, compiled once. */
let compiled: Promise<WebAssembly.Module> | undefined;

export function changesOf(items: readonly Item[]): Change[] {
  return items.map((item) => ({ type: 'add', key: item.key, item }));
}

/** What takes these items away again. */
export function removalsOf(items: readonly Item[]): Change[] {
  return items.map((old): Change => ({ type: 'remove', key: old.key, old })).reverse();
}

export class PipelineSide {
  readonly lowering: Lowering;
  readonly #images: readonly Image[];
  readonly #words: Uint32Array;
  readonly #exports: Exports;
  readonly #headersAt: number;
  readonly #answersAt: number;
  readonly #count: number;
  /** Its memory is on huge pages. */
  readonly huge: boolean;

  private constructor(module: WebAssembly.Module, headers: Uint32Array) {
    this.#count = headers.length / HEADER_WORDS;
    const bytes = headers.byteLength + 4 * this.#count + 64;
    const frames = 2 ** Math.ceil(Math.log2(bytes / 4096));
    const plan = planMemory({
      image: DEFAULT_IMAGE_SIZE,
      sessionsLog2: 10,
      frameSize: 4096,
      frameCount: frames,
    });
    const memory = openMemory(plan);
    this.huge = preferHuge(memory);
    this.#words = wordsOf(memory);
    this.#images = plan.images.map((base) => new Image(this.#words, base, plan.image));
    this.lowering = new Lowering(plan.image);
    this.#headersAt = plan.framesBase;
    this.#answersAt = plan.framesBase + headers.byteLength + 64;
    this.#exports = new WebAssembly.Instance(module, { env: { memory } }).exports as unknown as Exports;
    this.#words.set(headers.map(asLoaded), this.#headersAt / 4);
    this.#exports.init();
  }

  static async start(headers: Uint32Array): Promise<PipelineSide> {
    compiled ??= WebAssembly.compile(readFileSync(buildAssembly('classify')));
    return new PipelineSide(await compiled, headers);
  }

  /** Lowers changes and writes them into the spare image, which is published; milliseconds of CPU to there. Then into the other. */
  apply(changes: readonly Change[]): number {
    const start = cpuMilliseconds();
    const { operations } = this.lowering.plan(changes);
    this.lowering.commit();
    const [spare, old] = this.#images as [Image, Image];
    spare.play(operations);
    Atomics.store(this.#words, (L.CONTROL_BASE + L.CTL_ACTIVE_IMAGE) / 4, spare.base);
    const took = cpuMilliseconds() - start;
    old.play(operations);
    return took;
  }

  /** Milliseconds of time until both images have the changes. */
  applyWall(changes: readonly Change[]): number {
    const start = performance.now();
    this.apply(changes);
    return performance.now() - start;
  }

  /** Nanoseconds of CPU a header of one pass over all of them. */
  pass(): number {
    const start = cpuMilliseconds();
    this.#exports.classify(this.#headersAt, this.#count, this.#answersAt, 1);
    return ((cpuMilliseconds() - start) * 1e6) / this.#count;
  }

  /** VERDICT_ALLOW or 0 | rule, of the latest pass. */
  answers(): Uint32Array {
    return this.#words.slice(this.#answersAt / 4, this.#answersAt / 4 + this.#count);
  }
}
