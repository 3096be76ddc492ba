/**
 * The IPv6 packets of a batch. The stages of IPv4 pass over them (their outcome is OUT_IP6 then); they are listed here by their
 * vector entries, and their own stages run when there are any.
 */
import { VECTOR_CAPACITY } from '../layout';

const ENTRIES: usize = memory.data(VECTOR_CAPACITY * 4, 16);

export let listed: u32 = 0;

export function clearList(): void {
  listed = 0;
}

/** Adds vector entry `v`: once a packet, so there is always room. */
export function list(v: usize): void {
  store<u32>(ENTRIES + ((<usize>listed) << 2), <u32>v);
  listed++;
}

export function entry(i: u32): usize {
  return load<u32>(ENTRIES + ((<usize>i) << 2));
}
