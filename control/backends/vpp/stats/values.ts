/** What the entries of a statistics segment hold. Plain data. */

export type StatValue =
  /** A scalar or gauge. */
  | { readonly type: 'scalar'; readonly value: number }
  /** For each thread a vector of counters; its index is that of an interface, a node's error, … */
  | { readonly type: 'simple'; readonly threads: readonly BigUint64Array[] }
  /** Of each element two words follow one another: packets and bytes. */
  | { readonly type: 'combined'; readonly threads: readonly BigUint64Array[] }
  | { readonly type: 'names'; readonly names: readonly (string | null)[] }
  /** For each thread: the exponent of 2 of the first bin, then the bins. */
  | { readonly type: 'histogram'; readonly threads: readonly BigUint64Array[] }
  /** For each thread the records that are still there, oldest first. */
  | { readonly type: 'ring'; readonly threads: readonly (readonly Uint8Array[])[] };

export interface Combined {
  readonly packets: number;
  readonly bytes: number;
}

const NOTHING: Combined = { packets: 0, bytes: 0 };

/** Sum over all threads; 0 where there is no such element. */
export function simpleAt(value: StatValue | undefined, index: number): number {
  if (value?.type !== 'simple') return 0;
  return value.threads.reduce((sum, counters) => sum + Number(counters[index] ?? 0n), 0);
}

/** Sum over all threads; zero where there is no such element. */
export function combinedAt(value: StatValue | undefined, index: number): Combined {
  if (value?.type !== 'combined') return NOTHING;
  let [packets, bytes] = [0, 0];
  for (const counters of value.threads) {
    packets += Number(counters[2 * index] ?? 0n);
    bytes += Number(counters[2 * index + 1] ?? 0n);
  }
  return { packets, bytes };
}

/** Packets of all elements, each summed over all threads. */
export function packetsOf(value: StatValue): number[] {
  const sums = new Array<number>(lengthOf(value)).fill(0);
  if (value.type !== 'combined') return sums;
  for (const counters of value.threads) {
    for (let i = 0; i < sums.length; i++) {
      const packets = counters[2 * i];
      if (packets !== undefined && packets !== 0n) sums[i] = (sums[i] ?? 0) + Number(packets);
    }
  }
  return sums;
}

/** How many elements the longest thread's vector has. */
export function lengthOf(value: StatValue | undefined): number {
  if (value === undefined || value.type === 'scalar') return 0;
  if (value.type === 'names') return value.names.length;
  const longest = value.threads.reduce((most, { length }) => Math.max(most, length), 0);
  return value.type === 'combined' ? longest / 2 : longest;
}
