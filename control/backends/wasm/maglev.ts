/**
 * How a service's backends share its slots. A packet's flow hash picks a slot, so a backend's share is its number of slots.
 * `maglevSlots` is the table of "Maglev: A Fast and Reliable Software Network Load Balancer" (NSDI 2016), section 3.4: when
 * backends come and go, nearly all other slots keep theirs.
 */
import { createHash } from 'node:crypto';

export interface Share {
  /** What identifies the backend from change to change. */
  readonly name: string;
  /** 0 = gets no slot. */
  readonly weight: number;
}

const MOST_UNIFORM_SLOTS = 4096;
/**
 * A prime just below a power of two, so that a table fills its span of rows. The same for every service: a table that grew with its
 * backends would move nearly every connection each time it did.
 */
const MAGLEV_SLOTS = 8191;

/** Backend numbers, each as often as its weight says: one slot for each when weights are equal. */
export function uniformSlots(shares: readonly Share[]): number[] {
  const divisor = shares.reduce((acc, { weight }) => gcd(acc, weight), 0) || 1;
  const total = shares.reduce((acc, { weight }) => acc + weight / divisor, 0);
  const scale = Math.max(1, total / Math.max(MOST_UNIFORM_SLOTS, shares.length));
  return shares.flatMap(({ weight }, i) => {
    const count = weight === 0 ? 0 : Math.max(1, Math.round(weight / divisor / scale));
    return Array<number>(count).fill(i);
  });
}

/** The Maglev table: 8,191 slots, so that 80 backends have 100 each. */
export function maglevSlots(shares: readonly Share[]): number[] {
  const size = MAGLEV_SLOTS;
  const heaviest = Math.max(0, ...shares.map(({ weight }) => weight));
  if (heaviest === 0) return [];
  const backends = shares.map(({ name, weight }) => {
    const digest = createHash('sha256').update(name).digest();
    return {
      at: digest.readUInt32LE(0) % size,
      skip: 1 + (digest.readUInt32LE(4) % (size - 1)),
      step: weight / heaviest,
      credit: 0,
    };
  });
  const table = new Array<number>(size).fill(-1);
  for (let filled = 0; filled < size; ) {
    for (const [i, backend] of backends.entries()) {
      if (filled === size) break;
      backend.credit += backend.step;
      if (backend.credit < 1 - 1e-9) continue;
      backend.credit -= 1;
      while (table[backend.at] !== -1) backend.at = (backend.at + backend.skip) % size;
      table[backend.at] = i;
      filled++;
    }
  }
  return table;
}

function gcd(a: number, b: number): number {
  return b === 0 ? a : gcd(b, a % b);
}
