/** Weights of backends as copies of paths: VPP's CNAT chooses among paths evenly. Pure. */
import type { ServiceBackend } from '../../../ruleset/types.js';
import type { Path } from './cnat-objects.js';

/** Copies of all backends together, unless there are more backends than that. A share is off by less than 1/MOST_COPIES. */
export const MOST_COPIES = 256;

/** In an order that depends on the backends alone, so that nodes, and an agent that restarts, agree on it. */
export function pathsOf(backends: readonly ServiceBackend[]): readonly Path[] {
  const weights = new Map<string, { address: string; port: number; weight: number }>();
  for (const { address, port, weight } of backends) {
    const key = `${address} ${port}`;
    weights.set(key, { address, port, weight: weight + (weights.get(key)?.weight ?? 0) });
  }
  const sorted = [...weights].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, backend]) => backend);
  const copies = copiesOf(sorted.map(({ weight }) => weight));
  return sorted.flatMap(({ address, port }, i) =>
    Array.from({ length: copies[i] ?? 1 }, (_, copy) => ({ address, port, copy })),
  );
}

/** The smallest whole numbers in the same proportion; at least 1 each. */
export function copiesOf(weights: readonly number[]): readonly number[] {
  const divisor = weights.reduce(greatestCommonDivisor, 0);
  if (divisor === 0) return [];
  const reduced = weights.map((weight) => weight / divisor);
  const sum = reduced.reduce((total, weight) => total + weight, 0);
  if (sum <= MOST_COPIES) return reduced;
  return reduced.map((weight) => Math.max(1, Math.round((weight * MOST_COPIES) / sum)));
}

function greatestCommonDivisor(a: number, b: number): number {
  return b === 0 ? a : greatestCommonDivisor(b, a % b);
}
