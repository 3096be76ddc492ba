/** Access lists, built and changed, read by the compiled classifier, against a plain walk over the rules. */
import { readFileSync } from 'node:fs';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { buildAssembly } from '../../../../bench/peers/build.js';
import { NO_RULE, VECTOR_RULES } from '../../../../dataplane-as/lists/layout.js';
import { seededRandom } from '../../../../test/backends/random.js';
import { swap16, swap32 } from '../bytes.js';
import { AccessList } from './access-list.js';
import { ANY_PORT, ANY_PROTOCOL, type ListRule, maskOf, type Range } from './rule.js';
import { ListFullError } from './words.js';

const module = await WebAssembly.compile(readFileSync(buildAssembly('lists')));
const BASE = 0x20000;
const HEADERS_AT = 0x10000000;
const ANSWERS_AT = 0x10100000;
type Random = (below: number) => number;

interface Header {
  readonly src: number;
  readonly dst: number;
  readonly srcPort: number;
  readonly dstPort: number;
  readonly protocol: number;
}

/** Few addresses and many lengths, so that prefixes lie inside each other in long rows. */
function address(random: Random): number {
  return (
    (((10 << 24) | (random(3) << 16) | (random(3) << 8) | random(16)) >>> 0) ^
    (random(20) === 0 ? 0x80000000 : 0)
  );
}

function range(random: Random, any: Range): Range {
  if (random(3) === 0) return any;
  const low = random(6) * 100;
  return [low, low + (random(2) === 0 ? 0 : random(300))];
}

function rule(random: Random): ListRule {
  const prefix = () => {
    const length = random(12) === 0 ? 0 : 6 + random(27);
    return [(address(random) & maskOf(length)) >>> 0, length] as const;
  };
  const [src, srcLength] = prefix();
  const [dst, dstLength] = prefix();
  const protocols: Range =
    random(4) === 0
      ? ANY_PROTOCOL
      : random(8) === 0
        ? [6, 17]
        : ((
            [
              [6, 6],
              [17, 17],
            ] as const
          )[random(2)] ?? [6, 6]);
  const srcPorts = random(4) === 0 ? range(random, ANY_PORT) : ANY_PORT;
  return { src, srcLength, dst, dstLength, srcPorts, dstPorts: range(random, ANY_PORT), protocols };
}

function header(random: Random): Header {
  const port = () => (random(10) === 0 ? random(65536) : random(8) * 100 + random(3));
  const protocol = [6, 6, 17, 1, 255][random(5)] ?? 6;
  return {
    src: address(random) >>> 0,
    dst: address(random) >>> 0,
    srcPort: port(),
    dstPort: port(),
    protocol,
  };
}

function matches(r: ListRule, h: Header): boolean {
  const inside = (a: number, prefix: number, length: number) => ((a ^ prefix) & maskOf(length)) === 0;
  const within = (value: number, [low, high]: Range) => low <= value && value <= high;
  return (
    inside(h.src, r.src, r.srcLength) &&
    inside(h.dst, r.dst, r.dstLength) &&
    within(h.srcPort, r.srcPorts) &&
    within(h.dstPort, r.dstPorts) &&
    within(h.protocol, r.protocols)
  );
}

class Reader {
  readonly #words: Uint32Array;
  readonly #classify: (list: number, from: number, count: number, answers: number) => void;

  constructor() {
    const memory = new WebAssembly.Memory({ initial: 4200, maximum: 65536, shared: true });
    this.#words = new Uint32Array(memory.buffer);
    const { exports } = new WebAssembly.Instance(module, { env: { memory } });
    this.#classify = (exports as unknown as { classifyList: Reader['ask'] }).classifyList as never;
  }

  load(list: AccessList): void {
    list.copy(this.#words, BASE / 4);
  }

  follow(list: AccessList): void {
    list.follow(this.#words, BASE / 4);
  }

  /** Places of the first matching rules, -1 for none. */
  ask(list: AccessList, headers: readonly Header[]): number[] {
    for (const [i, { src, dst, srcPort, dstPort, protocol }] of headers.entries()) {
      const ports = (swap16(srcPort) | (swap16(dstPort) << 16)) >>> 0;
      this.#words.set([swap32(src), swap32(dst), ports, protocol], HEADERS_AT / 4 + i * 4);
    }
    this.#classify(BASE, HEADERS_AT, headers.length, ANSWERS_AT);
    const found = this.#words.slice(ANSWERS_AT / 4, ANSWERS_AT / 4 + headers.length);
    return [...found].map((number) => (number === NO_RULE ? -1 : list.placeOf(number)));
  }
}

/** Builds a list of `size` rules and changes it rule by rule; in between every answer is compared. */
function agree(seed: number, size: number, changes = 8): void {
  const random = seededRandom(seed);
  const rules = Array.from({ length: size }, () => rule(random));
  const list = new AccessList(rules);
  const reader = new Reader();
  reader.load(list);
  const numbers = new Map(rules.map((r, i) => [r, (i + 1) * 1024]));
  const compare = (asked: AccessList, when: string): void => {
    const headers = Array.from({ length: 300 }, () => header(random));
    const found = reader.ask(asked, headers);
    for (const [i, h] of headers.entries()) {
      const first = rules.findIndex((r) => matches(r, h));
      assert.is(found[i], first, `${size} rules, seed ${seed}, ${when}, header ${i}`);
    }
  };
  for (let round = 0; round < 6; round++) {
    compare(list, `round ${round}`);
    for (let change = 0; change < changes; change++) {
      if (random(2) === 0 || rules.length === 0) {
        const place = random(rules.length + 1);
        const one = rule(random);
        numbers.set(one, list.insert(one, place));
        rules.splice(place, 0, one);
      } else {
        const [one] = rules.splice(random(rules.length), 1);
        if (one !== undefined) list.remove(one, numbers.get(one) ?? 0);
      }
    }
    reader.follow(list);
    list.settle();
  }
  const anew = new AccessList(rules, list);
  reader.load(anew);
  compare(anew, 'anew');
  if (rules.length > 0) {
    const place = random(rules.length);
    const [gone] = rules.splice(place, 1);
    if (gone !== undefined) anew.remove(gone, (place + 1) * 1024);
    reader.follow(anew);
    compare(anew, 'anew and changed');
  }
}

test('short lists of all sizes, changed rule by rule: the first match, by another way', () => {
  for (let seed = 1; seed <= 8; seed++)
    agree(seed, [0, 1, 20, 150, 600, 127, 128, VECTOR_RULES][seed % 8] ?? 20);
});

test('the same for lists that are too long for vectors', () => {
  agree(1, VECTOR_RULES + 300);
  agree(2, VECTOR_RULES + 1, 20);
});

test('a list that is filled rule by rule until it is full answers for all rules it took', () => {
  for (const size of [0, VECTOR_RULES + 1]) {
    const random = seededRandom(size + 5);
    const rules = Array.from({ length: size }, () => rule(random));
    const list = new AccessList(rules);
    const reader = new Reader();
    const numbers = new Map(rules.map((r, i) => [r, (i + 1) * 1024]));
    reader.load(list);
    for (;;) {
      const one = rule(random);
      try {
        numbers.set(one, list.insert(one, rules.length));
      } catch (error) {
        assert.instance(error, ListFullError);
        break;
      }
      rules.push(one);
      // What moved aside for others is found as well when some of these are gone.
      const [gone] = random(4) === 0 ? rules.splice(random(rules.length), 1) : [];
      if (gone !== undefined) list.remove(gone, numbers.get(gone) ?? 0);
      if (rules.length % 16 > 0) continue;
      reader.follow(list);
      list.settle();
      const headers = Array.from({ length: 60 }, () => header(random));
      const found = reader.ask(list, headers);
      for (const [i, h] of headers.entries()) {
        const first = rules.findIndex((r) => matches(r, h));
        assert.is(found[i], first, `${rules.length} rules of ${size}, header ${i}`);
      }
    }
    assert.ok(rules.length > size + size / 8 + 8, `${rules.length} rules found room`);
  }
});

test.run();
