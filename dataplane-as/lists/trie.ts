/** From an address to the class of the longest prefix that holds it, in short lists. */
import {
  LIST_CLASS,
  LIST_ROOT_BITS,
  LIST_SECOND_BITS,
  LIST_THIRD_BITS,
  LIST_TRIE_LINE_SHIFT,
} from './layout';

/** Byte offsets in the blocks of a trie. */
const SECOND: u32 = ((1 << LIST_SECOND_BITS) - 1) << 2;
const THIRD: u32 = ((1 << LIST_THIRD_BITS) - 1) << 2;
const FOURTH: u32 = ((1 << (32 - LIST_ROOT_BITS - LIST_SECOND_BITS - LIST_THIRD_BITS)) - 1) << 2;

/** One step down a trie: the word under `word` that `bits` (a byte offset) choose, or `word` if it is a class. */
function down(trie: usize, word: u32, bits: u32): u32 {
  const child = <u32>(<i32>word >> 31);
  // The shift drops LIST_CHILD.
  const next = load<u32>(trie + (((word << LIST_TRIE_LINE_SHIFT) + bits) & child));
  return word ^ ((word ^ next) & child);
}

/** The class of an address (network order). */
export function classOf(trie: usize, address: u32): usize {
  const host = bswap<u32>(address);
  let word = load<u32>(trie + ((host >> (32 - LIST_ROOT_BITS)) << 2));
  word = down(trie, word, (host >> (32 - LIST_ROOT_BITS - LIST_SECOND_BITS - 2)) & SECOND);
  word = down(trie, word, (host >> (32 - LIST_ROOT_BITS - LIST_SECOND_BITS - LIST_THIRD_BITS - 2)) & THIRD);
  word = down(trie, word, (host << 2) & FOURTH);
  return word & LIST_CLASS;
}
