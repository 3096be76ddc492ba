/** Seeded numbers: the same sets in every run. */
export interface Random {
  /** An integer from 0 to `limit` - 1. */
  below(limit: number): number;
  /** Any 32 bits, unsigned. */
  word(): number;
  /** An index below `count`, the lower the likelier (Zipf, exponent 1). */
  popular(count: number): number;
}

/** xorshift32, whose seed is never 0. */
export function seeded(seed: number): Random {
  let state = Math.imul(seed + 1, 0x9e3779b1) | 1;
  const word = () => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return state >>> 0;
  };
  return {
    word,
    below: (limit) => Math.floor((word() / 2 ** 32) * limit),
    popular: (count) => Math.min(count - 1, Math.floor((count + 1) ** (word() / 2 ** 32)) - 1),
  };
}
