/** Headers as a packet holds them. */
import { HEADER_DST, HEADER_PORTS, HEADER_WORDS } from './rules.js';

/** Word `i` of headers, with addresses and ports in network order. */
export function asLoaded(word: number, i: number): number {
  const field = i % HEADER_WORDS;
  const swapped = ((word & 0xff00ff) << 8) | ((word >>> 8) & 0xff00ff);
  if (field === HEADER_PORTS) return swapped >>> 0;
  return field <= HEADER_DST ? ((swapped << 16) | (swapped >>> 16)) >>> 0 : word;
}
