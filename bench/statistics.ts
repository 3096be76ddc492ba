/** Few figures out of many rounds. */
export interface Figures {
  readonly min: number;
  /** The lower quartile: what others on the machine disturb least, and still not the luckiest round. */
  readonly low: number;
  readonly median: number;
  readonly max: number;
}

export function figures(rounds: readonly number[]): Figures {
  const sorted = [...rounds].sort((a, b) => a - b);
  const at = (part: number) => sorted[Math.floor((sorted.length - 1) * part)] ?? Number.NaN;
  return { min: at(0), low: at(0.25), median: at(0.5), max: at(1) };
}

/** Differences or ratios of what was measured in the same round. */
export function paired(
  a: readonly number[],
  b: readonly number[],
  join: (a: number, b: number) => number,
): number[] {
  return a.map((value, i) => join(value, b[i] ?? Number.NaN));
}
