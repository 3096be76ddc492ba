/** The canonical form: equal rulesets are equal byte for byte. */
import { createHash } from 'node:crypto';
import type { Item, Key, Ruleset } from './types.js';

/**
 * JSON with the keys of every object sorted; fields that are undefined are left out. Lists keep their order: whoever makes an item
 * sorts those without meaning.
 */
export function canonical(value: unknown): string {
  // Concatenated: the engine lays such a text out once, when it is read, where joining would copy a long list at every level.
  let text = '';
  write(value, (piece) => {
    text += piece;
  });
  return text;
}

/** Takes the next piece of a text. */
export type Sink = (piece: string) => void;

function write(value: unknown, sink: Sink): void {
  if (typeof value !== 'object' || value === null) {
    sink(JSON.stringify(value) ?? 'null');
    return;
  }
  let first = true;
  if (Array.isArray(value)) {
    const items: readonly unknown[] = value;
    const known = LISTS.get(items);
    if (known !== undefined) {
      known(sink);
      return;
    }
    // The same text, but much faster for the thousands of keys that some rules list.
    if (items.every((item) => typeof item === 'string')) {
      sink(JSON.stringify(items));
      return;
    }
    sink('[');
    for (const item of items) {
      if (!first) sink(',');
      first = false;
      write(item, sink);
    }
    sink(']');
    return;
  }
  const plain = value as Plain;
  sink('{');
  for (const key of sortedKeys(plain)) {
    const inner = plain[key];
    if (inner === undefined) continue;
    sink(`${first ? '' : ','}${JSON.stringify(key)}:`);
    first = false;
    write(inner, sink);
  }
  sink('}');
}

/** Lists whose canonical form somebody makes faster. */
const LISTS = new WeakMap<readonly unknown[], (sink: Sink) => void>();

/** `text` gives the canonical form of a list of texts that is never changed, in pieces. */
export function knowList(list: readonly string[], text: (sink: Sink) => void): void {
  LISTS.set(list, text);
}

/** By code unit. Most objects have few keys, which this sorts in place: `sort` makes lists of its own. */
function sortedKeys(plain: Plain): readonly string[] {
  const keys = Object.keys(plain);
  if (keys.length > 16) return keys.sort();
  for (let i = 1; i < keys.length; i++) {
    const key = keys[i] ?? '';
    let at = i;
    for (let before = keys[at - 1]; at > 0 && before !== undefined && before > key; before = keys[at - 1]) {
      keys[at--] = before;
    }
    keys[at] = key;
  }
  return keys;
}

/** 16 hex digits for a key: the same for equal contents, in every process and version of Node. */
export function contentHash(value: unknown): string {
  const hash = createHash('sha256');
  // By pieces: the text of a long list would be garbage of its own size.
  let text = '';
  write(value, (piece) => {
    text += piece;
    if (text.length < HASHED_AT_ONCE) return;
    hash.update(text);
    text = '';
  });
  return hash.update(text).digest('hex').slice(0, 16);
}

/** Characters. */
const HASHED_AT_ONCE = 8192;

/** Whether two items have the same canonical form. */
export function sameItem(a: Item, b: Item): boolean {
  return samePlain(a, b);
}

/** Equality of plain data, whatever the order of an object's keys. */
function samePlain(a: unknown, b: unknown): boolean {
  if (a === b) return true;
  if (typeof a !== 'object' || typeof b !== 'object' || a === null || b === null) return false;
  if (Array.isArray(a) || Array.isArray(b)) {
    return (
      Array.isArray(a) &&
      Array.isArray(b) &&
      a.length === b.length &&
      a.every((item, i) => samePlain(item, b[i]))
    );
  }
  const keys = Object.keys(a);
  return (
    keys.length === Object.keys(b).length &&
    keys.every((key) => Object.hasOwn(b, key) && samePlain((a as Plain)[key], (b as Plain)[key]))
  );
}

type Plain = Readonly<Record<string, unknown>>;

/** Items sorted by key. */
function sortedItems(ruleset: Ruleset): readonly Item[] {
  return [...ruleset.values()].sort((a, b) => compareText(a.key, b.key));
}

/** The whole ruleset as text, one item a line. */
export function canonicalRuleset(ruleset: Ruleset): string {
  return sortedItems(ruleset)
    .map((item) => `${canonical(item)}\n`)
    .join('');
}

/** Order by code unit: the same everywhere, whatever the locale. */
export function compareText(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

/** A ruleset of these items. Throws when two have one key: the compiler would have lost one of them. */
export function rulesetOf(items: Iterable<Item>): Ruleset {
  const ruleset = new Map<Key, Item>();
  for (const item of items) {
    if (ruleset.has(item.key)) throw new Error(`two items have the key ${item.key}`);
    ruleset.set(item.key, item);
  }
  return ruleset;
}

/** A sorted copy, by the text `keyOf` gives. */
export function sortedBy<T>(list: readonly T[], keyOf: (item: T) => string): readonly T[] {
  return list
    .map((item) => [keyOf(item), item] as const)
    .sort(([a], [b]) => compareText(a, b))
    .map(([, item]) => item);
}
