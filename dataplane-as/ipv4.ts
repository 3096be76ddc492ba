/** IPv4 headers (RFC 791, RFC 1122 section 3.2.1.3): what a later stage relies on is proved here. */
import { fold, sumBytes } from './checksum';
import { fragment } from './fragments';
import { parseL4 } from './l4';
import {
  DROP_IP_CHECKSUM,
  DROP_IP_HEADER,
  DROP_IP_VERSION,
  DROP_MARTIAN,
  DROP_MULTICAST,
  DROP_OPTIONS,
  DROP_SHORT,
  DROP_TTL,
  V_L3,
  V_LENGTH,
  V_SRC,
  V_TOTAL,
} from './layout';

/**
 * IPv4 header at `l3` (RFC 791, RFC 1122 section 3.2.1.3), with `buffered` bytes from there in the first buffer and `total` in
 * all. Returns an outcome, 0 = good. The metadata is stored in whole 64-bit words, as the next stages load it.
 */
export function ip4(v: usize, l3: usize, buffered: u32, total: u32): i32 {
  if (buffered < 20) return DROP_SHORT;
  const word0 = load<u32>(l3);
  const word1 = load<u32>(l3, 4);
  const word2 = load<u32>(l3, 8);
  const src = load<u32>(l3, 12);
  const dst = load<u32>(l3, 16);
  let header: u32 = 20;
  if ((word0 & 0xff) === 0x45) {
    const sum = <u64>word0 + <u64>word1 + <u64>word2 + <u64>src + <u64>dst;
    if (fold(sum) !== 0xffff) return DROP_IP_CHECKSUM;
  } else {
    const outcome = unusual(l3, buffered);
    if (outcome !== 0) return outcome;
    header = (word0 & 15) << 2;
  }
  const length: u32 = bswap<u16>(<u16>(word0 >> 16));
  if (length < header || length > total) return DROP_IP_HEADER;
  if (length < buffered) {
    // Ethernet padding of short frames.
    store<u32>(v, load<u32>(v, V_LENGTH) - (buffered - length), V_LENGTH);
    store<u32>(v, load<u32>(v, V_LENGTH), V_TOTAL);
    buffered = length;
  }
  const from = src & 0xff;
  const to = dst & 0xff;
  if (from - 1 >= 223 || from === 127 || to === 0 || to === 127) return DROP_MARTIAN;
  if (to >= 224) return DROP_MULTICAST;
  if ((word2 & 0xff) === 0) return DROP_TTL;
  const l4 = l3 + header;
  const protocol = (word2 >> 8) & 0xff;
  store<u64>(v, <u64>l3 | ((<u64>l4) << 32), V_L3);
  store<u64>(v, <u64>src | ((<u64>dst) << 32), V_SRC);
  // As loaded: more-fragments is bit 5, the offset everything else but bits 6 and 7.
  if ((word1 & 0xff3f0000) !== 0) return fragment(v, l3, protocol, length - header, buffered - header);
  return parseL4(v, l4, protocol, length - header, buffered - header);
}

/** A first byte other than 0x45: options, or no IPv4 at all. */
function unusual(l3: usize, buffered: u32): i32 {
  const first: u32 = load<u8>(l3);
  if (first >> 4 !== 4) return DROP_IP_VERSION;
  const header = (first & 15) << 2;
  if (header < 20 || header > buffered) return DROP_IP_HEADER;
  if (fold(sumBytes(l3, header)) !== 0xffff) return DROP_IP_CHECKSUM;
  return options(l3 + 20, l3 + header);
}

/** Walks IP options: source routes are refused (RFC 7126), the others are carried along. */
function options(at: usize, end: usize): i32 {
  while (at < end) {
    const type: u32 = load<u8>(at);
    if (type === 0) return 0;
    if (type === 1) {
      at++;
      continue;
    }
    if (type === 131 || type === 137) return DROP_OPTIONS;
    if (at + 2 > end) return DROP_IP_HEADER;
    const length: u32 = load<u8>(at, 1);
    if (length < 2 || at + length > end) return DROP_IP_HEADER;
    at += length;
  }
  return 0;
}
