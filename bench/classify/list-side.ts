/** Our side for access lists: the list as the control plane builds and changes it, and the compiled classifier's answers. */
import { readFileSync } from 'node:fs';
import { AccessList, NUMBER_GAP } from '../../control/backends/wasm/lists/access-list.js';
import type { ListRule } from '../../control/backends/wasm/lists/rule.js';
import { NO_RULE } from '../../dataplane-as/lists/layout.js';
import { buildAssembly } from '../peers/build.js';
import { cpuMilliseconds, preferHuge } from './cpu.js';
import { asLoaded } from './headers.js';
import {
  ANY_PROTOCOL,
  HEADER_WORDS,
  RULE_DST,
  RULE_DST_LENGTH,
  RULE_DST_PORTS,
  RULE_PROTOCOL,
  RULE_SRC,
  RULE_SRC_LENGTH,
  RULE_SRC_PORTS,
  RULE_WORDS,
} from './rules.js';

interface Exports {
  classifyList(list: number, from: number, count: number, answers: number): void;
}

/** Behind the module's static data. */
const BASE = 0x20000;
const PAGE = 65536;

/** The module, compiled once. */
let compiled: Promise<WebAssembly.Module> | undefined;

export function listRules(rules: Uint32Array): ListRule[] {
  return Array.from({ length: rules.length / RULE_WORDS }, (_, i) => {
    const word = (at: number) => rules[i * RULE_WORDS + at] ?? 0;
    const range = (packed: number) => [packed & 0xffff, packed >>> 16] as const;
    const protocol = word(RULE_PROTOCOL);
    return {
      ...{ src: word(RULE_SRC), srcLength: word(RULE_SRC_LENGTH) },
      ...{ dst: word(RULE_DST), dstLength: word(RULE_DST_LENGTH) },
      ...{ srcPorts: range(word(RULE_SRC_PORTS)), dstPorts: range(word(RULE_DST_PORTS)) },
      protocols: protocol === ANY_PROTOCOL ? [0, 255] : [protocol, protocol],
    };
  });
}

export class ListSide {
  readonly #words: Uint32Array;
  readonly #exports: Exports;
  readonly #headersAt: number;
  readonly #copies: readonly [number, number];
  readonly #count: number;
  readonly huge: boolean;
  readonly bytes: number;
  #list: AccessList;

  private constructor(
    module: WebAssembly.Module,
    readonly rules: readonly ListRule[],
    headers: Uint32Array,
  ) {
    this.#list = new AccessList(rules);
    this.bytes = this.#list.bytes;
    this.#count = headers.length / HEADER_WORDS;
    const size = Math.ceil(this.bytes / PAGE) * PAGE;
    this.#copies = [BASE, BASE + size];
    this.#headersAt = BASE + 2 * size;
    const pages = Math.ceil((this.#headersAt + headers.byteLength + this.#count * 4) / PAGE);
    const memory = new WebAssembly.Memory({ initial: Math.max(pages, 64), maximum: 65536, shared: true });
    this.huge = preferHuge(memory);
    this.#words = new Uint32Array(memory.buffer);
    this.#words.set(headers.map(asLoaded), this.#headersAt / 4);
    this.#exports = new WebAssembly.Instance(module, { env: { memory } }).exports as unknown as Exports;
    this.build();
  }

  static async start(rules: readonly ListRule[], headers: Uint32Array): Promise<ListSide> {
    compiled ??= WebAssembly.compile(readFileSync(buildAssembly('lists')));
    return new ListSide(await compiled, rules, headers);
  }

  /** Builds the list into the copy that is in use; milliseconds of CPU. */
  build(): number {
    const start = cpuMilliseconds();
    this.#list = new AccessList(this.rules, this.#list);
    this.#list.copy(this.#words, this.#copies[0] / 4);
    const took = cpuMilliseconds() - start;
    this.#list.copy(this.#words, this.#copies[1] / 4);
    return took;
  }

  /** Puts a rule in at a place and takes it out again, each time in both copies; milliseconds of each. */
  change(rule: ListRule, place: number): [number, number] {
    const start = performance.now();
    const number = this.#list.insert(rule, place);
    this.#followAll();
    const between = performance.now();
    this.#list.remove(rule, number);
    this.#followAll();
    return [between - start, performance.now() - between];
  }

  /** Nanoseconds of CPU a header of one pass over all of them. */
  pass(): number {
    const start = cpuMilliseconds();
    this.#exports.classifyList(this.#copies[0], this.#headersAt, this.#count, this.#answersAt);
    return ((cpuMilliseconds() - start) * 1e6) / this.#count;
  }

  /** Of the latest pass: 0 = no rule, else its place from 1 on, if no rule was put in since the list was built. */
  answers(): Uint32Array {
    const from = this.#answersAt / 4;
    return this.#words.slice(from, from + this.#count).map((n) => (n === NO_RULE ? 0 : n / NUMBER_GAP));
  }

  get #answersAt(): number {
    return this.#headersAt + this.#count * HEADER_WORDS * 4;
  }

  #followAll(): void {
    for (const copy of this.#copies) this.#list.follow(this.#words, copy / 4);
    this.#list.settle();
  }
}
