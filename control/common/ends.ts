/** What two lists have in common at their ends: where few things change in a long list, the rest. */

export interface Ends {
  /** So many at the front are the same in both. */
  readonly front: number;
  /** And so many of the others at the back. */
  readonly back: number;
}

/** @param same whether two that stand in the same place, from the front or from the back, are the same; else only identical ones are */
export function commonEnds<T>(
  a: readonly T[],
  b: readonly T[],
  same: (a: T, b: T) => boolean = isIdentical,
): Ends {
  if (a === b) return { front: a.length, back: 0 };
  const shorter = Math.min(a.length, b.length);
  const one = (list: readonly T[], i: number) => list[i] as T;
  let front = 0;
  while (front < shorter && same(one(a, front), one(b, front))) front++;
  let back = 0;
  while (back < shorter - front && same(one(a, a.length - 1 - back), one(b, b.length - 1 - back))) back++;
  return { front, back };
}

/** Whether two lists say the same; `same` as in commonEnds(). */
export function sameList<T>(
  a: readonly T[],
  b: readonly T[],
  same: (a: T, b: T) => boolean = isIdentical,
): boolean {
  return a === b || (a.length === b.length && a.every((one, i) => same(one, b[i] as T)));
}

function isIdentical(a: unknown, b: unknown): boolean {
  return a === b;
}

/** The two lists without what they begin and end with alike. */
export function withoutEnds<T>(
  a: readonly T[],
  b: readonly T[],
  same?: (a: T, b: T) => boolean,
): readonly [readonly T[], readonly T[]] {
  const { front, back } = commonEnds(a, b, same);
  return [a.slice(front, a.length - back), b.slice(front, b.length - back)];
}
