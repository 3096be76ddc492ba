/** Where the parts of a list that is being built lie (dataplane-as/lists/layout.ts), and the header that says so. */
import * as A from '../../../../dataplane-as/lists/layout.js';
import type { Ends } from './ends.js';
import type { BitVectors } from './vectors.js';

const LINE = A.LINE_SIZE / 4;
const LOOSE = A.LOOSE_SIZE / 4;
/** A bound for each pair of prefix lengths. */
export const BOUNDS = 2 ** (2 * A.PREFIX_GROUP_BITS);
/** Rules that have no place in the table of pairs. */
export const LOOSE_ROOM = 64;

/** Words of a list, given away part by part; each part begins at a line of the cache. */
export class Room {
  #end = A.LIST_HEADER_SIZE / 4;

  /** Words given away so far, the header's among them. */
  get end(): number {
    return this.#end;
  }

  /** Where so many words lie. */
  take(words: number): number {
    const at = this.#end;
    this.#end += Math.ceil(words / 16) * 16;
    return at;
  }
}

/** First word of each part, and how large those are whose size the header says. */
export interface ListParts {
  readonly srcTrie: number;
  readonly dstTrie: number;
  readonly srcClasses: number;
  readonly dstClasses: number;
  readonly table: number;
  readonly lines: number;
  readonly loose: number;
  readonly bounds: number;
  readonly below: number;
  /** Levels of both ends' trees. */
  readonly levels: number;
  /** Buckets of the table of pairs. */
  readonly log2: number;
}

/** `lineCount`: lines there is to be room for. */
export function placeParts(room: Room, { src, dst }: Ends, log2: number, lineCount: number): ListParts {
  const levels = Math.max(src.locator.levels, dst.locator.levels);
  return {
    ...{
      srcTrie: room.take(src.locator.wordsWith(levels)),
      dstTrie: room.take(dst.locator.wordsWith(levels)),
    },
    ...{ srcClasses: room.take(src.classWords), dstClasses: room.take(dst.classWords) },
    ...{ table: room.take((A.BUCKET_SIZE / 4) << log2), lines: room.take(lineCount * LINE) },
    ...{ loose: room.take(LOOSE_ROOM * LOOSE), bounds: room.take(BOUNDS) },
    below: room.take(A.BELOW_STEPS * 2),
    ...{ levels, log2 },
  };
}

interface Placed {
  readonly section: Uint32Array;
  readonly at: number;
}

/** Bit vectors with their places; none where the list is long. */
export interface PlacedVectors {
  /** Bytes of a vector, 0 = there are none. */
  readonly size: number;
  readonly sections: readonly Placed[];
  readonly parts: readonly Placed[];
}

export function placeVectors(room: Room, vectors: BitVectors | null): PlacedVectors {
  const placed = (sections: readonly Uint32Array[]): readonly Placed[] =>
    sections.map((section) => ({ section, at: room.take(section.length) }));
  if (vectors === null) return { size: 0, sections: [], parts: [] };
  return { size: vectors.size, sections: placed(vectors.sections), parts: placed(vectors.parts) };
}

/** Writes the vectors, and all of the header but how many rules are loose (0). */
export function writeHeader(
  words: Uint32Array,
  parts: ListParts,
  vectors: PlacedVectors,
  belowShift: number,
): void {
  for (const { section, at } of [...vectors.sections, ...vectors.parts]) words.set(section, at);
  const bytes = ({ at }: Pick<Placed, 'at'>): number => at * 4;
  words[A.LIST_SRC_TREE / 4] = parts.srcTrie * 4;
  words[A.LIST_DST_TREE / 4] = parts.dstTrie * 4;
  words[A.LIST_SRC_CLASSES / 4] = parts.srcClasses * 4;
  words[A.LIST_DST_CLASSES / 4] = parts.dstClasses * 4;
  words[A.LIST_PAIRS / 4] = parts.table * 4;
  words[A.LIST_PAIRS_LOG2 / 4] = parts.log2;
  words[A.LIST_LINES / 4] = parts.lines * 4;
  words[A.LIST_LOOSE / 4] = parts.loose * 4;
  words[A.LIST_VECTOR_SIZE / 4] = vectors.size;
  words.set(vectors.sections.map(bytes), A.LIST_SRC_VECTORS / 4);
  words.set(vectors.parts.map(bytes), A.LIST_SRC_PARTS / 4);
  words[A.LIST_BOUNDS / 4] = parts.bounds * 4;
  words[A.LIST_LEVELS / 4] = parts.levels;
  words[A.LIST_BELOW_SHIFT / 4] = belowShift;
  words[A.LIST_BELOW / 4] = parts.below * 4;
}
