import { knowList, type Sink } from '../../ruleset/canonical.js';

/** A chunk holds at most this many texts, a branch this many nodes; what outgrows it is cut up. */
const MOST = 64;

type Chunk = readonly string[];

interface Branch {
  /** All of one height; never empty ones. */
  readonly nodes: readonly Node[];
  /** The first text of each. */
  readonly firsts: readonly string[];
}

type Node = Chunk | Branch;

/**
 * A sorted list of distinct texts that never changes: a tree of chunks, of which a changed copy shares all but those touched and the
 * branches above them, so that a list of 100,000 costs little more to change than one of 1,000. Order is by code unit.
 */
export class SortedTexts {
  static readonly EMPTY = new SortedTexts([], 0);
  private flat: readonly string[] | null = null;

  private constructor(
    private readonly root: Node,
    readonly size: number,
  ) {}

  /** Of texts that are sorted and distinct. The array belongs to the list from here on. */
  static of(sorted: readonly string[]): SortedTexts {
    if (sorted.length === 0) return SortedTexts.EMPTY;
    return new SortedTexts(joined(sorted.length <= MOST ? [sorted] : cut(sorted)), sorted.length);
  }

  has(text: string): boolean {
    let node = this.root;
    while (!isChunk(node)) {
      const next = node.nodes[childOf(node, text)];
      if (next === undefined) return false;
      node = next;
    }
    return node[lowerBound(node, text)] === text;
  }

  /** The list with `added` (none of which is in it) and without `removed` (all of which are). */
  change(added: ReadonlySet<string>, removed: ReadonlySet<string>): SortedTexts {
    const nodes = changed(this.root, sortedOf(added), sortedOf(removed));
    return nodes.length === 0
      ? SortedTexts.EMPTY
      : new SortedTexts(joined(nodes), this.size + added.size - removed.size);
  }

  /** All texts in order. Made once; must not be changed. */
  toArray(): readonly string[] {
    if (isChunk(this.root)) return this.root;
    if (this.flat === null) {
      const chunks: Chunk[] = [];
      chunksOf(this.root, chunks);
      // Copies chunk by chunk; flat() goes text by text.
      this.flat = ([] as string[]).concat(...chunks);
      knowList(this.flat, (sink) => writeAll(chunks, sink));
    }
    return this.flat;
  }
}

function isChunk(node: Node): node is Chunk {
  return Array.isArray(node);
}

function sortedOf(texts: ReadonlySet<string>): readonly string[] {
  const list = [...texts];
  return list.length > 1 ? list.sort() : list;
}

/** Index of the node the text is in, or would go into: the last one that does not start behind it. */
function childOf({ firsts }: Branch, text: string): number {
  let low = 0;
  let high = firsts.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((firsts[middle] ?? '') <= text) low = middle + 1;
    else high = middle;
  }
  return Math.max(0, low - 1);
}

/** What becomes of a node by `puts` and `takes`, both sorted: none, one, or several nodes of the same height. */
function changed(node: Node, puts: readonly string[], takes: readonly string[]): readonly Node[] {
  if (isChunk(node)) {
    const edited = edit(node, puts, takes);
    if (edited.length === 0) return [];
    return edited.length <= MOST ? [edited] : cut(edited);
  }
  const nodes = node.nodes.slice();
  const firsts = node.firsts.slice();
  // From the end, so that a node that is cut up or goes moves none that is still to come.
  for (let put = puts.length, take = takes.length; put > 0 || take > 0; ) {
    const last = [puts[put - 1], takes[take - 1]].filter((text) => text !== undefined);
    const at = Math.max(...last.map((text) => childOf(node, text)));
    const child = nodes[at];
    if (child === undefined) break;
    const first = at === 0 ? '' : (node.firsts[at] ?? '');
    const fromPut = lowerBound(puts, first);
    const fromTake = lowerBound(takes, first);
    const now = changed(child, puts.slice(fromPut, put), takes.slice(fromTake, take));
    nodes.splice(at, 1, ...now);
    firsts.splice(at, 1, ...now.map(firstOf));
    put = fromPut;
    take = fromTake;
  }
  if (nodes.length === 0) return [];
  return nodes.length <= MOST ? [{ nodes, firsts }] : cut(nodes).map(branchOf);
}

/** One node above these of one height; the node itself if it is alone. */
function joined(nodes: readonly Node[]): Node {
  const [first] = nodes;
  if (nodes.length === 1 && first !== undefined) return first;
  return joined(nodes.length <= MOST ? [branchOf(nodes)] : cut(nodes).map(branchOf));
}

function branchOf(nodes: readonly Node[]): Branch {
  return { nodes, firsts: nodes.map(firstOf) };
}

function firstOf(node: Node): string {
  return (isChunk(node) ? node[0] : node.firsts[0]) ?? '';
}

function chunksOf(node: Node, to: Chunk[]): void {
  if (isChunk(node)) to.push(node);
  else for (const inner of node.nodes) chunksOf(inner, to);
}

/** The texts of all chunks in JSON. */
function writeAll(chunks: readonly Chunk[], sink: Sink): void {
  let before = '[';
  for (const chunk of chunks) {
    sink(before);
    sink(textOf(chunk));
    before = ',';
  }
  sink(']');
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

/** In pieces half full, so that there is room to grow. */
function cut<T>(list: readonly T[]): readonly (readonly T[])[] {
  const pieces: (readonly T[])[] = [];
  for (let i = 0; i < list.length; i += MOST / 2) pieces.push(list.slice(i, i + MOST / 2));
  return pieces;
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
