/** Chunks hold at most this many; a chunk that outgrows it is cut in two. */
const MOST = 512;

/**
 * A sorted list of distinct texts that never changes: a changed copy shares all but the chunks touched, so that a list of 100,000
 * costs no more to change than one of 1,000. Order is by code unit.
 */
export class SortedTexts {
  static readonly EMPTY = new SortedTexts([], 0);
  private flat: readonly string[] | null = null;

  private constructor(
    /** Never empty ones. */
    private readonly chunks: readonly (readonly string[])[],
    readonly size: number,
  ) {}

  /** Of texts that are sorted and distinct. The array belongs to the list from here on. */
  static of(sorted: readonly string[]): SortedTexts {
    if (sorted.length === 0) return SortedTexts.EMPTY;
    if (sorted.length <= MOST) return new SortedTexts([sorted], sorted.length);
    const chunks: string[][] = [];
    // Half full, so that there is room to grow.
    for (let i = 0; i < sorted.length; i += MOST / 2) chunks.push(sorted.slice(i, i + MOST / 2));
    return new SortedTexts(chunks, sorted.length);
  }

  has(text: string): boolean {
    const chunk = this.chunks[this.chunkOf(text)];
    return chunk !== undefined && chunk[lowerBound(chunk, text)] === text;
  }

  /** The list with `added` (none of which is in it) and without `removed` (all of which are). */
  change(added: ReadonlySet<string>, removed: ReadonlySet<string>): SortedTexts {
    if (added.size + removed.size > this.size / 16) {
      const kept = removed.size === 0 ? this.toArray() : this.toArray().filter((text) => !removed.has(text));
      return SortedTexts.of([...kept, ...added].sort());
    }
    let list: SortedTexts = this;
    for (const text of removed) list = list.without(text);
    for (const text of added) list = list.with(text);
    return list;
  }

  /** All texts in order. Made once; must not be changed. */
  toArray(): readonly string[] {
    if (this.chunks.length === 1) return this.chunks[0] ?? [];
    // Copies chunk by chunk; flat() goes text by text.
    this.flat ??= ([] as string[]).concat(...this.chunks);
    return this.flat;
  }

  private with(text: string): SortedTexts {
    const at = this.chunkOf(text);
    const chunk = this.chunks[at] ?? [];
    const i = lowerBound(chunk, text);
    const grown = [...chunk.slice(0, i), text, ...chunk.slice(i)];
    const half = grown.length >> 1;
    const put = grown.length > MOST ? [grown.slice(0, half), grown.slice(half)] : [grown];
    return new SortedTexts(spliced(this.chunks, at, put), this.size + 1);
  }

  private without(text: string): SortedTexts {
    const at = this.chunkOf(text);
    const chunk = this.chunks[at] ?? [];
    const i = lowerBound(chunk, text);
    const shrunk = [...chunk.slice(0, i), ...chunk.slice(i + 1)];
    return new SortedTexts(spliced(this.chunks, at, shrunk.length === 0 ? [] : [shrunk]), this.size - 1);
  }

  /** Index of the chunk the text is in, or would go into: the last one that does not start behind it. */
  private chunkOf(text: string): number {
    let low = 0;
    let high = this.chunks.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((this.chunks[middle]?.[0] ?? '') <= text) low = middle + 1;
      else high = middle;
    }
    return Math.max(0, low - 1);
  }
}

/** Index of the first text that is not before `text`. */
function lowerBound(texts: readonly string[], text: string): number {
  let low = 0;
  let high = texts.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((texts[middle] ?? '') < text) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** The list with the entry at `at` (or behind the end) replaced by these. */
function spliced<T>(list: readonly T[], at: number, put: readonly T[]): readonly T[] {
  return [...list.slice(0, at), ...put, ...list.slice(at + 1)];
}
