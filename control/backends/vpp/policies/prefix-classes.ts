/**
 * Which address sets an address is in, said by prefixes: every address, block and exception that the sets name is a prefix, and an
 * address is in exactly the sets of the longest of them that covers it. So exceptions are subtracted and never denied.
 */
import {
  bitsOf,
  cidrContains,
  type Family,
  formatCidr,
  maskOf,
  type ParsedCidr,
  parseIp,
  toCidr,
} from '../../../common/ip.js';
import type { AddressSetItem, Cidr, Ip } from '../../../ruleset/types.js';
import { aggregateIp4 } from './aggregate.js';

export interface PrefixClass {
  readonly cidr: Cidr;
  readonly length: number;
  /** Indexes of the sets that contain the addresses which no longer prefix covers. */
  readonly sets: ReadonlySet<number>;
  /** Equal for equal `sets`. */
  readonly id: string;
  /** The next shorter prefix around it; null: it is the whole family. */
  readonly parent: PrefixClass | null;
}

export interface PrefixClasses {
  /** The whole family first, then every prefix after those around it. */
  readonly blocks: readonly PrefixClass[];
  /** Single addresses, of IPv4 neighbours in the same sets as one prefix. None is inside another. */
  readonly hosts: readonly PrefixClass[];
}

export function prefixClasses(family: Family, sets: readonly AddressSetItem[]): PrefixClasses {
  const nodes = classesOfMarks(family, marksOf(family, sets));
  const blocks = nodes.filter(({ length }) => length < bitsOf(family));
  // Single addresses that a block or an exception names.
  const named = new Map(nodes.filter(({ length }) => length === bitsOf(family)).map((n) => [n.cidr, n]));
  const around = innermost(family, blocks);
  const memberships = new Memberships();
  const alike = new Alike();
  for (const [address, own] of hostsOf(family, sets)) {
    const exact = named.size === 0 ? undefined : named.get(`${address}/${bitsOf(family)}`);
    const parent = exact === undefined ? around(address) : exact.parent;
    alike.add(parent, memberships.of((exact ?? parent) as PrefixClass, own), address);
    if (exact !== undefined) named.delete(exact.cidr);
  }
  for (const { cidr, parent, ...membership } of named.values()) {
    alike.add(parent, membership, cidr.slice(0, cidr.indexOf('/')));
  }
  // Of IPv6 VPP is told prefixes of whole bytes only (whole-bytes.ts).
  return { blocks, hosts: family === 4 ? alike.joined() : alike.single() };
}

/** What hosts have in common that are in the same sets and in the same block. */
interface Group extends Membership {
  readonly parent: PrefixClass | null;
  readonly addresses: Ip[];
}

class Alike {
  readonly #groups = new Map<PrefixClass | null, Map<string, Group>>();

  add(parent: PrefixClass | null, { sets, id }: Membership, address: Ip): void {
    let inside = this.#groups.get(parent);
    if (inside === undefined) {
      inside = new Map();
      this.#groups.set(parent, inside);
    }
    const group = inside.get(id);
    if (group === undefined) inside.set(id, { parent, sets, id, addresses: [address] });
    else group.addresses.push(address);
  }

  #all(): readonly Group[] {
    return [...this.#groups.values()].flatMap((inside) => [...inside.values()]);
  }

  /** Of IPv4, sorted by address. */
  joined(): PrefixClass[] {
    const groups = this.#all().map(({ parent, sets, id, addresses }) =>
      aggregateIp4(addresses).map(({ cidr, length, value }) => ({ cidr, length, sets, id, parent, value })),
    );
    const [first, ...others] = groups;
    if (first === undefined || others.length === 0) return first ?? [];
    return groups.flat().sort((a, b) => a.value - b.value);
  }

  /** Of IPv6, each on its own. */
  single(): PrefixClass[] {
    return this.#all().flatMap(({ parent, sets, id, addresses }) =>
      addresses.map((address) => ({ cidr: `${address}/128`, length: 128, sets, id, parent })),
    );
  }
}

/** The same object for the same sets: those around, and those that name the address itself. */
class Memberships {
  readonly #known = new Map<string, Map<string | number, Membership>>();

  of({ sets, id }: Membership, own: number | readonly number[]): Membership {
    let inside = this.#known.get(id);
    if (inside === undefined) {
      inside = new Map();
      this.#known.set(id, inside);
    }
    const name = typeof own === 'number' ? own : own.join();
    let found = inside.get(name);
    if (found === undefined) {
      found = membershipOf([...sets, ...[own].flat()]);
      inside.set(name, found);
    }
    return found;
  }
}

/** Addresses that the sets name, with the index of the set that does, or of those. */
function hostsOf(family: Family, sets: readonly AddressSetItem[]): ReadonlyMap<Ip, number | number[]> {
  const hosts = new Map<Ip, number | number[]>();
  for (const [set, { addresses }] of sets.entries()) {
    for (const address of addresses) {
      if (address.includes(':') !== (family === 6)) continue;
      const known = hosts.get(address);
      if (known === undefined) hosts.set(address, set);
      else if (typeof known !== 'number') {
        if (known.at(-1) !== set) known.push(set);
      } else if (known !== set) hosts.set(address, [known, set]);
    }
  }
  return hosts;
}

/** Finds the longest of the blocks around an address. */
function innermost(family: Family, blocks: readonly PrefixClass[]): (address: Ip) => PrefixClass {
  const whole = blocks[0] as PrefixClass;
  if (blocks.length === 1) return () => whole;
  const byLength = new Map<number, Map<bigint, PrefixClass>>();
  for (const block of blocks) {
    const same = byLength.get(block.length) ?? new Map<bigint, PrefixClass>();
    byLength.set(block.length, same.set(toCidr(block.cidr).value, block));
  }
  const longestFirst = [...byLength]
    .sort(([a], [b]) => b - a)
    .map(([length, same]) => ({ mask: maskOf(family, length), same }));
  return (address) => {
    const { value } = parseIp(address);
    for (const { mask, same } of longestFirst) {
      const found = same.get(value & mask);
      if (found !== undefined) return found;
    }
    return whole;
  };
}

type Membership = Pick<PrefixClass, 'sets' | 'id'>;

function membershipOf(sets: Iterable<number>): Membership {
  const sorted = [...new Set(sets)].sort((a, b) => a - b);
  return { sets: new Set(sorted), id: sorted.join() };
}

interface Block {
  readonly set: number;
}

/** What begins and what ends at a prefix. */
interface Mark {
  readonly prefix: ParsedCidr;
  readonly opens: Block[];
  readonly closes: Block[];
}

/** Of blocks and exceptions, single addresses among them. */
function marksOf(family: Family, sets: readonly AddressSetItem[]): readonly Mark[] {
  const marks = new Map<string, Mark>();
  const at = (prefix: ParsedCidr): Mark => {
    const name = `${prefix.value}/${prefix.length}`;
    const known = marks.get(name) ?? { prefix, opens: [], closes: [] };
    marks.set(name, known);
    return known;
  };
  at({ family, value: 0n, length: 0 });
  for (const [set, { blocks }] of sets.entries()) {
    for (const { cidr, except } of blocks) {
      const outer = toCidr(cidr);
      if (outer.family !== family) continue;
      const inner = except.map(toCidr).filter((prefix) => prefix.family === family);
      // An exception that covers the block leaves nothing of it.
      if (inner.some((prefix) => cidrContains(prefix, outer))) continue;
      const block: Block = { set };
      at(outer).opens.push(block);
      for (const prefix of inner) at(prefix).closes.push(block);
    }
  }
  return [...marks.values()];
}

/** Every mark after those around it. */
function classesOfMarks(family: Family, marks: readonly Mark[]): readonly PrefixClass[] {
  const sorted = [...marks].sort(
    (a, b) => compare(a.prefix.value, b.prefix.value) || a.prefix.length - b.prefix.length,
  );
  const found: PrefixClass[] = [];
  const around: { node: PrefixClass; prefix: ParsedCidr; open: ReadonlySet<Block> }[] = [];
  for (const { prefix, opens, closes } of sorted) {
    while (around.length > 0 && !cidrContains((around.at(-1) as { prefix: ParsedCidr }).prefix, prefix))
      around.pop();
    const parent = around.at(-1);
    const open = new Set([...(parent?.open ?? []), ...opens]);
    for (const block of closes) open.delete(block);
    const membership = membershipOf([...open].map(({ set }) => set));
    const { length } = prefix;
    const node = { cidr: formatCidr(prefix), length, ...membership, parent: parent?.node ?? null };
    found.push(node);
    // Nothing is inside a single address.
    if (length < bitsOf(family)) around.push({ node, prefix, open });
  }
  return found;
}

function compare(a: bigint, b: bigint): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
