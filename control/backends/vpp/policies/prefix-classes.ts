/**
 * Which address sets an address is in, said by prefixes: every address, block and exception that the sets name is a prefix, and an
 * address is in exactly the sets of the longest of them that covers it. So exceptions are subtracted and never denied.
 */
import { bitsOf, type Family, formatCidr, type ParsedCidr, toCidr } from '../../../common/ip.js';
import type { AddressSetItem, Cidr } from '../../../ruleset/types.js';

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

/** What begins at a prefix. */
interface Marks {
  readonly prefix: ParsedCidr;
  /** Sets that name it as an address. */
  readonly hosts: number[];
  /** Blocks that begin here, and blocks one of whose exceptions it is. */
  readonly opens: Block[];
  readonly closes: Block[];
}

interface Block {
  readonly set: number;
}

/** A prefix, and the blocks that hold inside it. */
interface Inside {
  readonly node: PrefixClass;
  readonly prefix: ParsedCidr;
  readonly open: ReadonlySet<Block>;
}

/** The whole family first, then every prefix after those around it. */
export function prefixClasses(family: Family, sets: readonly AddressSetItem[]): readonly PrefixClass[] {
  const marks = collect(family, sets);
  const sorted = [...marks.values()].sort(
    (a, b) => compare(a.prefix.value, b.prefix.value) || a.prefix.length - b.prefix.length,
  );
  const found: PrefixClass[] = [];
  const around: Inside[] = [];
  for (const mark of sorted) {
    while (around.length > 0 && !holds((around.at(-1) as Inside).prefix, mark.prefix)) around.pop();
    const parent = around.at(-1);
    const open = openBlocks(parent?.open ?? new Set(), mark);
    const contained = new Set(mark.hosts);
    for (const { set } of open) contained.add(set);
    const same = mark.hosts.length === 0 && open === parent?.open;
    const node: PrefixClass = {
      cidr: formatCidr(mark.prefix),
      length: mark.prefix.length,
      sets: same ? parent.node.sets : contained,
      id: same ? parent.node.id : [...contained].sort((a, b) => a - b).join(),
      parent: parent?.node ?? null,
    };
    found.push(node);
    // Nothing is inside a single address.
    if (mark.prefix.length < bitsOf(family)) around.push({ node, prefix: mark.prefix, open });
  }
  return found;
}

function collect(family: Family, sets: readonly AddressSetItem[]): Map<string, Marks> {
  const marks = new Map<string, Marks>();
  const at = (prefix: ParsedCidr): Marks => {
    const name = `${prefix.value}/${prefix.length}`;
    const known = marks.get(name) ?? { prefix, hosts: [], opens: [], closes: [] };
    marks.set(name, known);
    return known;
  };
  at({ family, value: 0n, length: 0 });
  for (const [set, { addresses, blocks }] of sets.entries()) {
    for (const address of addresses) {
      if (address.includes(':') === (family === 6)) at(toCidr(address)).hosts.push(set);
    }
    for (const { cidr, except } of blocks) {
      const outer = toCidr(cidr);
      if (outer.family !== family) continue;
      const inner = except.map(toCidr).filter((prefix) => prefix.family === family);
      // An exception that covers the block leaves nothing of it.
      if (inner.some((prefix) => holds(prefix, outer))) continue;
      const block: Block = { set };
      at(outer).opens.push(block);
      for (const prefix of inner) at(prefix).closes.push(block);
    }
  }
  return marks;
}

/** The blocks that hold inside a prefix. */
function openBlocks(outside: ReadonlySet<Block>, { opens, closes }: Marks): ReadonlySet<Block> {
  if (opens.length === 0 && closes.length === 0) return outside;
  const inside = new Set(outside);
  for (const block of opens) inside.add(block);
  for (const block of closes) inside.delete(block);
  return inside;
}

function holds(outer: ParsedCidr, inner: ParsedCidr): boolean {
  const rest = BigInt(bitsOf(outer.family) - outer.length);
  return outer.length <= inner.length && inner.value >> rest === outer.value >> rest;
}

function compare(a: bigint, b: bigint): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
