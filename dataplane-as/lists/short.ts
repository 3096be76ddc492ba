/** Short lists: the five bit vectors of each packet, and the first rule that all of them name. */
import {
  LIST_DST_PARTS,
  LIST_DST_PORT_PARTS,
  LIST_DST_PORT_VECTORS,
  LIST_DST_PORTS,
  LIST_DST_TREE,
  LIST_DST_VECTORS,
  LIST_NUMBERS,
  LIST_PORT_BLOCK_SHIFT,
  LIST_PROTOCOL_PARTS,
  LIST_PROTOCOL_VECTORS,
  LIST_PROTOCOLS,
  LIST_SRC_PARTS,
  LIST_SRC_PORT_PARTS,
  LIST_SRC_PORT_VECTORS,
  LIST_SRC_PORTS,
  LIST_SRC_TREE,
  LIST_SRC_VECTORS,
  LIST_VECTOR_SIZE,
} from './layout';
import { classOf } from './trie';

/** Packets of a batch, at most. */
export const BATCH: u32 = 256;
/** Of each packet: where its vectors lie, and in which parts all of them have some bits (32 bytes). */
const VECTORS: usize = memory.data(256 * 32, 64);
/** Packets whose answer is not found yet. */
const ACTIVE: usize = memory.data(256 * 4, 64);

/** Number of a port's vector. */
function vectorOf(blocks: usize, port: usize): usize {
  const block = blocks + ((<usize>load<u16>(blocks + ((port >> 8) << 1))) << LIST_PORT_BLOCK_SHIFT);
  return <usize>load<u16>(block + ((port & 255) << 1));
}

/** Finds the five vectors of each packet: VECTORS, 32 bytes each. */
export function locate(list: usize, from: usize, count: u32): void {
  const size = <usize>load<u32>(list, LIST_VECTOR_SIZE);
  const srcTrie = list + load<u32>(list, LIST_SRC_TREE);
  const dstTrie = list + load<u32>(list, LIST_DST_TREE);
  const srcVectors = list + load<u32>(list, LIST_SRC_VECTORS);
  const dstVectors = list + load<u32>(list, LIST_DST_VECTORS);
  const srcPorts = list + load<u32>(list, LIST_SRC_PORTS);
  const srcPortVectors = list + load<u32>(list, LIST_SRC_PORT_VECTORS);
  const dstPorts = list + load<u32>(list, LIST_DST_PORTS);
  const dstPortVectors = list + load<u32>(list, LIST_DST_PORT_VECTORS);
  const protocols = list + load<u32>(list, LIST_PROTOCOLS);
  const protocolVectors = list + load<u32>(list, LIST_PROTOCOL_VECTORS);
  const srcParts = list + load<u32>(list, LIST_SRC_PARTS);
  const dstParts = list + load<u32>(list, LIST_DST_PARTS);
  const srcPortParts = list + load<u32>(list, LIST_SRC_PORT_PARTS);
  const dstPortParts = list + load<u32>(list, LIST_DST_PORT_PARTS);
  const protocolParts = list + load<u32>(list, LIST_PROTOCOL_PARTS);
  for (let i: usize = 0; i < <usize>count; i++) {
    const header = from + (i << 4);
    const to = VECTORS + (i << 5);
    const srcPort = <usize>bswap<u16>(load<u16>(header, 8));
    const dstPort = <usize>bswap<u16>(load<u16>(header, 10));
    const protocol = <usize>load<u8>(header, 12);
    const srcClass = classOf(srcTrie, load<u32>(header));
    const dstClass = classOf(dstTrie, load<u32>(header, 4));
    const srcPorted = vectorOf(srcPorts, srcPort);
    const dstPorted = vectorOf(dstPorts, dstPort);
    const kind = <usize>load<u16>(protocols + (protocol << 1));
    store<u32>(to, <u32>(srcVectors + srcClass * size));
    store<u32>(to, <u32>(dstVectors + dstClass * size), 4);
    store<u32>(to, <u32>(dstPortVectors + dstPorted * size), 8);
    store<u32>(to, <u32>(srcPortVectors + srcPorted * size), 12);
    store<u32>(to, <u32>(protocolVectors + kind * size), 16);
    const addresses = load<u32>(srcParts + (srcClass << 2)) & load<u32>(dstParts + (dstClass << 2));
    const ports = load<u32>(srcPortParts + (srcPorted << 2)) & load<u32>(dstPortParts + (dstPorted << 2));
    store<u32>(to, addresses & ports & load<u32>(protocolParts + (kind << 2)), 20);
  }
}

/** The first bit that all five vectors of each packet have is its answer. Looked for in rounds, by the parts in which all have some. */
export function intersect(list: usize, count: u32, answers: usize): void {
  const numbers = list + load<u32>(list, LIST_NUMBERS);
  for (let i: u32 = 0; i < count; i++) store<u32>(ACTIVE + ((<usize>i) << 2), i);
  for (let active = <usize>count; active !== 0; ) {
    let left: usize = 0;
    for (let k: usize = 0; k < active; k++) {
      const i = <usize>load<u32>(ACTIVE + (k << 2));
      const vectors = VECTORS + (i << 5);
      const parts = load<u32>(vectors, 20);
      const part = (<usize>ctz(parts)) << 4;
      const met = together(
        <usize>load<u32>(vectors) + part,
        <usize>load<u32>(vectors, 4) + part,
        <usize>load<u32>(vectors, 8) + part,
        <usize>load<u32>(vectors, 12) + part,
        <usize>load<u32>(vectors, 16) + part,
      );
      // Where nothing is met, this is overwritten: in the last part all vectors have a bit in common.
      store<u32>(answers + (i << 2), load<u32>(numbers + (((part << 3) + firstBit(met)) << 2)));
      store<u32>(vectors, parts & (parts - 1), 20);
      store<u32>(ACTIVE + (left << 2), <u32>i);
      left += <usize>(<u32>!v128.any_true(met));
    }
    active = left;
  }
}

/** The same where vectors have one part only. */
export function intersectOne(list: usize, count: u32, answers: usize): void {
  const numbers = list + load<u32>(list, LIST_NUMBERS);
  for (let i: usize = 0; i < <usize>count; i++) {
    const vectors = VECTORS + (i << 5);
    const met = together(
      <usize>load<u32>(vectors),
      <usize>load<u32>(vectors, 4),
      <usize>load<u32>(vectors, 8),
      <usize>load<u32>(vectors, 12),
      <usize>load<u32>(vectors, 16),
    );
    store<u32>(answers + (i << 2), load<u32>(numbers + (firstBit(met) << 2)));
  }
}

/** Place of the lowest bit; 0 where there is none. */
function firstBit(bits: v128): usize {
  const low = i64x2.extract_lane(bits, 0);
  const high = i64x2.extract_lane(bits, 1);
  return (<usize>ctz(low) + (<usize>ctz(high) & (0 - <usize>(<u32>(low === 0))))) & 127;
}

/** What five vectors have in common in 128 bits. */
function together(a: usize, b: usize, c: usize, d: usize, e: usize): v128 {
  const addresses = v128.and(v128.load(a), v128.load(b));
  const ports = v128.and(v128.load(c), v128.load(d));
  return v128.and(v128.and(addresses, ports), v128.load(e));
}
