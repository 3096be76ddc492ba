/**
 * Extension headers (RFC 8200 section 4): walked as far as a few, all in the first buffer. Hop-by-hop options and routing
 * headers that still have somewhere to go are refused (RFC 5095, RFC 9099 section 2.2); destination options are carried along.
 */
import { DROP_IP_HEADER, DROP_OPTIONS } from '../layout';

export const HOP_BY_HOP: u32 = 0;
export const ROUTING: u32 = 43;
export const FRAGMENT: u32 = 44;
export const DESTINATION: u32 = 60;

/** More than this nobody needs; a longer chain only hides what comes behind it. */
const MOST_HEADERS: u32 = 4;

/** Where walk() ended: the first header that is none of these, or the fragment header. */
export let upper: u32 = 0;
export let upperAt: usize = 0;

/** Walks the chain that begins at `at` with a header of type `next`; it ends before `end`. Returns an outcome, 0 = good. */
export function walk(next: u32, at: usize, end: usize): i32 {
  for (let i: u32 = 0; i <= MOST_HEADERS; i++) {
    if (next !== DESTINATION && next !== ROUTING && next !== HOP_BY_HOP) {
      upper = next;
      upperAt = at;
      return 0;
    }
    if (next === HOP_BY_HOP) return DROP_OPTIONS;
    if (at + 8 > end) return DROP_IP_HEADER;
    const length = (<usize>load<u8>(at, 1) + 1) << 3;
    if (at + length > end) return DROP_IP_HEADER;
    // Type 0 is a source route; the others are over where no segment is left.
    if (next === ROUTING && (load<u8>(at, 2) === 0 || load<u8>(at, 3) !== 0)) return DROP_OPTIONS;
    next = load<u8>(at);
    at += length;
  }
  return DROP_OPTIONS;
}

export function isExtension(header: u32): bool {
  return header === DESTINATION || header === ROUTING || header === HOP_BY_HOP || header === FRAGMENT;
}
