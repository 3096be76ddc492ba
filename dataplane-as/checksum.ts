/**
 * Internet checksums. One's complement sums do not depend on byte order as long as every word is taken in the same one, so
 * everything here works on words as they are loaded.
 */

/** Folds a sum of words to 16 bits. */
export function fold(sum: u64): u32 {
  let s = (sum & 0xffffffff) + (sum >> 32);
  s = (s & 0xffff) + (s >> 16);
  s = (s & 0xffff) + (s >> 16);
  return <u32>((s & 0xffff) + (s >> 16));
}

/** Sum of the words of a plain 20-byte IPv4 header; 0xffff after folding when its checksum is right. */
export function sumHeader20(l3: usize): u64 {
  return (
    <u64>load<u32>(l3) +
    <u64>load<u32>(l3, 4) +
    <u64>load<u32>(l3, 8) +
    <u64>load<u32>(l3, 12) +
    <u64>load<u32>(l3, 16)
  );
}

/** Sum of `length` bytes; a last odd byte counts as if a zero followed. */
export function sumBytes(at: usize, length: u32): u64 {
  let sum: u64 = 0;
  const end = at + length;
  for (; at + 4 <= end; at += 4) sum += <u64>load<u32>(at);
  if (at + 2 <= end) {
    sum += <u64>load<u16>(at);
    at += 2;
  }
  if (at < end) sum += <u64>load<u8>(at);
  return sum;
}

/** What changing one 32-bit word for another adds to a sum (RFC 1624: ~m + m'). */
export function change32(before: u32, after: u32): u64 {
  return <u64>~before + <u64>after;
}

/** Same for a 16-bit word. */
export function change16(before: u32, after: u32): u64 {
  return <u64>((~before & 0xffff) + after);
}

/** A checksum after its data changed by `delta` (RFC 1624, equation 3: HC' = ~(~HC + ~m + m')). */
export function adjust(checksum: u32, delta: u32): u32 {
  const s = (~checksum & 0xffff) + delta;
  return ~((s & 0xffff) + (s >> 16)) & 0xffff;
}

/** Writes the checksum of the 20-byte header at `l3`. */
export function sealHeader(l3: usize): void {
  store<u16>(l3, 0, 10);
  store<u16>(l3, ~fold(sumHeader20(l3)), 10);
}
