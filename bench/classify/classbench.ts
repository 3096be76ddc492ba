/**
 * Access lists of ClassBench's shape (Taylor and Turner, "ClassBench: A Packet Classification Benchmark", 2007): prefixes nested
 * as site, subnet and host and reused as unevenly as names are, few port ranges, mostly TCP, specific rules first, no rule for
 * what is left. The headers have no locality, which is the worst case for every cache.
 */
import { type Random, seeded } from './random.js';
import {
  type AccessList,
  ANY_PORT,
  ANY_PROTOCOL,
  HEADER_WORDS,
  maskOf,
  packRules,
  RULE_DST,
  RULE_DST_LENGTH,
  RULE_DST_PORTS,
  RULE_PROTOCOL,
  RULE_SRC,
  RULE_SRC_LENGTH,
  RULE_SRC_PORTS,
  RULE_WORDS,
  type RuleSpec,
} from './rules.js';

interface Prefix {
  readonly address: number;
  readonly length: number;
}

const SERVICES = [80, 443, 22, 53, 25, 8080, 3306, 5432, 110, 143, 389, 636, 6379, 9092, 1433, 21, 23, 5060];
const RANGES = [
  [1024, 65535],
  [0, 1023],
  [8000, 8999],
  [30000, 32767],
  [6000, 6063],
  [137, 139],
  [20, 21],
];
const PROTOCOLS = [1, 47, 50, 89, 132];
const ANY: Prefix = { address: 0, length: 0 };

/** Networks that rules are written for: sites, subnets inside them, hosts inside those; the more rules, the more of each. */
class Addresses {
  readonly sites: readonly Prefix[];
  readonly #subnets: readonly Prefix[];
  readonly #hosts: readonly Prefix[];

  constructor(
    readonly random: Random,
    rules: number,
  ) {
    const inside = (outer: Prefix, length: number): Prefix => {
      const address = (outer.address | (random.word() & ~maskOf(outer.length))) & maskOf(length);
      return { address: address >>> 0, length };
    };
    const many = (count: number, make: () => Prefix) =>
      Array.from({ length: Math.max(2, Math.ceil(count)) }, make);
    this.sites = many(rules ** 0.5 / 2, () => inside(ANY, 8 + random.below(9)));
    const site = () => this.sites[random.popular(this.sites.length)] ?? ANY;
    this.#subnets = many(rules / 8, () => {
      const outer = site();
      return inside(outer, Math.max(outer.length + 1, 17 + random.below(12)));
    });
    const subnet = () => this.#subnets[random.below(this.#subnets.length)] ?? ANY;
    this.#hosts = many(rules / 2, () => inside(subnet(), random.below(5) > 0 ? 32 : 29 + random.below(3)));
  }

  /** `wide`, `site` and `subnet` are chances in 100; what is left are hosts. */
  pick(wide: number, site: number, subnet: number): Prefix {
    const at = this.random.below(100);
    const from = (list: readonly Prefix[]) => list[this.random.popular(list.length)] ?? ANY;
    if (at < wide) return ANY;
    if (at < wide + site) return from(this.sites);
    return at < wide + site + subnet ? from(this.#subnets) : from(this.#hosts);
  }
}

function destinationPorts(random: Random): number {
  const at = random.below(100);
  if (at >= 87) return ANY_PORT;
  if (at < 65) {
    const port =
      random.below(10) < 8 ? (SERVICES[random.popular(SERVICES.length)] ?? 80) : random.below(65536);
    return (port | (port << 16)) >>> 0;
  }
  if (at < 80) {
    const [from = 0, to = 0] = RANGES[random.popular(RANGES.length)] ?? [];
    return (from | (to << 16)) >>> 0;
  }
  const from = random.below(60000);
  return (from | ((from + random.below(5000)) << 16)) >>> 0;
}

function ruleOf(random: Random, addresses: Addresses): RuleSpec {
  const source = addresses.pick(12, 18, 40);
  const destination = addresses.pick(4, 10, 36);
  const kind = random.below(100);
  const protocol =
    kind < 72
      ? 6
      : kind < 89
        ? 17
        : kind < 94
          ? (PROTOCOLS[random.popular(PROTOCOLS.length)] ?? 1)
          : ANY_PROTOCOL;
  const ported = protocol === 6 || protocol === 17;
  const srcPorts = ported && random.below(20) === 0 ? destinationPorts(random) : ANY_PORT;
  return {
    ...{ src: source.address, srcLength: source.length },
    ...{ dst: destination.address, dstLength: destination.length },
    ...{ srcPorts, dstPorts: ported ? destinationPorts(random) : ANY_PORT, protocol },
  };
}

/** How much a rule leaves open: what wider lists put last. */
function breadth(rule: RuleSpec): number {
  return 64 - rule.srcLength - rule.dstLength + (rule.dstPorts === ANY_PORT ? 8 : 0);
}

function headersOf(random: Random, rules: Uint32Array, sites: readonly Prefix[], count: number): Uint32Array {
  const words = new Uint32Array(count * HEADER_WORDS);
  const point = (address: number, length: number) => (address | (random.word() & ~maskOf(length))) >>> 0;
  const port = (range: number) => (range & 0xffff) + random.below((range >>> 16) - (range & 0xffff) + 1);
  for (let i = 0; i < count; i++) {
    const kind = random.below(10);
    const at = random.below(rules.length / RULE_WORDS) * RULE_WORDS;
    const rule = (word: number) => rules[at + word] ?? 0;
    const site = () => {
      const { address, length } = sites[random.below(sites.length)] ?? ANY;
      return point(address, length);
    };
    const any = [6, 6, 6, 17, 1][random.below(5)] ?? 6;
    const protocol = kind < 8 && rule(RULE_PROTOCOL) !== ANY_PROTOCOL ? rule(RULE_PROTOCOL) : any;
    const source =
      kind < 8 ? point(rule(RULE_SRC), rule(RULE_SRC_LENGTH)) : kind < 9 ? site() : random.word();
    const target =
      kind < 8 ? point(rule(RULE_DST), rule(RULE_DST_LENGTH)) : kind < 9 ? site() : random.word();
    const from = kind < 8 ? port(rule(RULE_SRC_PORTS)) : random.below(65536);
    const to = kind < 8 ? port(rule(RULE_DST_PORTS)) : (SERVICES[random.below(SERVICES.length)] ?? 80);
    words.set([source, target, (from | (to << 16)) >>> 0, protocol], i * HEADER_WORDS);
  }
  return words;
}

/** A list of `size` different rules, and `headers` packets: 8 of 10 meet a rule, one is of its sites, one is anything. */
export function classBench(size: number, headers: number, seed = 42): AccessList {
  const random = seeded(seed * 1_000_003 + size);
  const addresses = new Addresses(random, size);
  const chosen = new Map<string, RuleSpec>();
  while (chosen.size < size) {
    const rule = ruleOf(random, addresses);
    chosen.set(Object.values(rule).join(), rule);
  }
  const ordered = [...chosen.values()]
    .map((rule) => ({ rule, place: breadth(rule) + random.below(8) }))
    .sort((a, b) => a.place - b.place)
    .map(({ rule }) => rule);
  const rules = packRules(ordered);
  return { name: 'ClassBench', rules, headers: headersOf(random, rules, addresses.sites, headers) };
}
