/** From addresses to the classes of the longest prefixes that hold them, for a batch: level by level, so that loads do not wait for each other. */
import { CLASS_SHIFT, TREE_CLASSES, TREE_KEYS_SHIFT, TREE_LEAF_SHIFT, TREE_LINE_SHIFT } from './layout';

/** Of each packet: source and destination as keys are compared with (8 bytes). */
const ADDRESSES: usize = memory.data(256 * 8, 64);

/** How many keys of a node are below an address. */
function below(node: usize, address: v128): u32 {
  const a = i32x4.gt_s(address, v128.load(node));
  const b = i32x4.gt_s(address, v128.load(node, 16));
  const c = i32x4.gt_s(address, v128.load(node, 32));
  const d = i32x4.gt_s(address, v128.load(node, 48));
  const all = i8x16.narrow_i16x8_s(i16x8.narrow_i32x4_s(a, b), i16x8.narrow_i32x4_s(c, d));
  return popcnt(i8x16.bitmask(all));
}

/**
 * Puts at `to` where the classes of each of `count` packets' addresses lie, source and destination; `srcTree` and `dstTree` are both
 * sides' trees of `levels` levels, whose offsets count from `list` on.
 */
export function locateClasses(
  list: usize,
  levels: u32,
  srcTree: usize,
  dstTree: usize,
  srcClasses: usize,
  dstClasses: usize,
  from: usize,
  count: u32,
  to: usize,
): void {
  const end = to + ((<usize>count) << 3);
  for (let at = to, packet = from, addresses = ADDRESSES; at < end; at += 8, packet += 16, addresses += 8) {
    store<u64>(at, 0);
    store<u32>(addresses, bswap<u32>(load<u32>(packet)) ^ 0x80000000);
    store<u32>(addresses, bswap<u32>(load<u32>(packet, 4)) ^ 0x80000000, 4);
  }
  const leaves = (<usize>(levels - 1)) << 2;
  for (let level: usize = 0; level < leaves; level += 4) {
    const src = list + load<u32>(srcTree + level);
    const dst = list + load<u32>(dstTree + level);
    for (let at = to, addresses = ADDRESSES; at < end; at += 8, addresses += 8) {
      const one = load<u32>(at);
      const other = load<u32>(at, 4);
      const s = below(src + ((<usize>one) << TREE_LINE_SHIFT), v128.load32_splat(addresses));
      const d = below(dst + ((<usize>other) << TREE_LINE_SHIFT), v128.load32_splat(addresses, 4));
      store<u32>(at, (one << TREE_KEYS_SHIFT) + s);
      store<u32>(at, (other << TREE_KEYS_SHIFT) + d, 4);
    }
  }
  const src = list + load<u32>(srcTree + leaves);
  const dst = list + load<u32>(dstTree + leaves);
  for (let at = to, addresses = ADDRESSES; at < end; at += 8, addresses += 8) {
    const one = src + ((<usize>load<u32>(at)) << TREE_LEAF_SHIFT);
    const other = dst + ((<usize>load<u32>(at, 4)) << TREE_LEAF_SHIFT);
    const s = <usize>below(one, v128.load32_splat(addresses));
    const d = <usize>below(other, v128.load32_splat(addresses, 4));
    store<u32>(at, <u32>srcClasses + (load<u32>(one + (s << 2), TREE_CLASSES) << CLASS_SHIFT));
    store<u32>(at, <u32>dstClasses + (load<u32>(other + (d << 2), TREE_CLASSES) << CLASS_SHIFT), 4);
  }
}
