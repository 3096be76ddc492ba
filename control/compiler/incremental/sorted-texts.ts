import { knowList } from '../../ruleset/canonical.js';

/** Chunks hold at most this many; a chunk that outgrows it is cut up. A change copies a chunk, and the list of them. */
const MOST = 128;

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
    return new SortedTexts(cut(sorted), sorted.length);
  }

  has(text: string): boolean {
    const chunk = this.chunks[this.chunkOf(text)];
    return chunk !== undefined && chunk[lowerBound(chunk, text)] === text;
  }

  /** The list with `added` (none of which is in it) and without `removed` (all of which are). */
  change(added: ReadonlySet<string>, removed: ReadonlySet<string>): SortedTexts {
    const puts = new Map<number, string[]>();
    const takes = new Map<number, string[]>();
    const file = (edits: Map<number, string[]>, texts: ReadonlySet<string>): void => {
      for (const text of texts.size > 1 ? [...texts].sort() : texts) {
        const at = this.chunkOf(text);
        const mine = edits.get(at);
        if (mine === undefined) edits.set(at, [text]);
        else mine.push(text);
      }
    };
    file(puts, added);
    file(takes, removed);
    const chunks = this.chunks.slice();
    // From the end, so that a chunk that is cut up or goes moves none that is still to come.
    for (const at of [...new Set([...puts.keys(), ...takes.keys()])].sort((a, b) => b - a)) {
      const edited = edit(chunks[at] ?? [], puts.get(at) ?? [], takes.get(at) ?? []);
      if (edited.length > 0 && edited.length <= MOST) chunks[at] = edited;
      else chunks.splice(at, 1, ...cut(edited));
    }
    return new SortedTexts(chunks, this.size + added.size - removed.size);
  }

  /** All texts in order. Made once; must not be changed. */
  toArray(): readonly string[] {
    if (this.chunks.length === 1) return this.chunks[0] ?? [];
    // Copies chunk by chunk; flat() goes text by text.
    if (this.flat === null) {
      this.flat = ([] as string[]).concat(...this.chunks);
      knowList(this.flat, () => `[${this.chunks.map(textOf).join()}]`);
    }
    return this.flat;
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

/** Texts of a chunk in JSON. Lists that have it in common need it made once. */
function textOf(chunk: readonly string[]): string {
  let text = TEXTS.get(chunk);
  if (text === undefined) {
    text = JSON.stringify(chunk).slice(1, -1);
    TEXTS.set(chunk, text);
  }
  return text;
}

const TEXTS = new WeakMap<readonly string[], string>();

/** Chunks half full, so that there is room to grow. */
function cut(sorted: readonly string[]): readonly (readonly string[])[] {
  const chunks: (readonly string[])[] = [];
  for (let i = 0; i < sorted.length; i += MOST / 2) chunks.push(sorted.slice(i, i + MOST / 2));
  return chunks;
}

/** A sorted copy of `chunk` with `puts` and without `takes`, both sorted. */
function edit(chunk: readonly string[], puts: readonly string[], takes: readonly string[]): string[] {
  const edited: string[] = [];
  let at = 0;
  let put = 0;
  let take = 0;
  for (;;) {
    const coming = puts[put];
    const going = takes[take];
    const next = coming === undefined || (going !== undefined && going < coming) ? going : coming;
    const until = next === undefined ? chunk.length : lowerBound(chunk, next, at);
    for (; at < until; at++) edited.push(chunk[at] ?? '');
    if (next === undefined) return edited;
    if (next === coming) {
      edited.push(next);
      put++;
    } else {
      at++;
      take++;
    }
  }
}

/** Index of the first text from `low` on that is not before `text`. */
function lowerBound(texts: readonly string[], text: string, low = 0): number {
  let high = texts.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((texts[middle] ?? '') < text) low = middle + 1;
    else high = middle;
  }
  return low;
}
