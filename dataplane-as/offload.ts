/**
 * Packets that a TAP left whole (segmentation offload): they pass as one, and are cut when they leave by another kind of link.
 * Their checksums are completed then too, from the addresses as they are by that time, so no stage needs to know of them.
 */
import { SEGMENTS_BASE, VECTOR_BASE, VECTOR_SHIFT } from './layout';

/** The longest IP packet that `v`, an IP packet of `length` bytes, is sent as: what an MTU is compared with. */
export function longestSent(v: usize, length: u32): u32 {
  const segment = load<u32>(((v - VECTOR_BASE) >> VECTOR_SHIFT) << 2, SEGMENTS_BASE);
  return segment === 0 ? length : segment;
}
