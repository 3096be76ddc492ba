/** The port sets in use: those that say the same share their lines. */
import * as L from '../../../dataplane-as/layout/index.js';
import type { Key } from '../../ruleset/types.js';
import { type Ledger, References, TrackedMap } from '../ledger.js';
import { type CellStore, FIRST_PORT_SET_UNIT, type UnitId } from './cells.js';
import { type Span, SpanPool } from './pools.js';

const LINE = L.PORTSET_SIZE / 4;

/** One that is held. */
export interface PortSet {
  /** Its lines. */
  readonly words: Uint32Array;
  /** Where they lie. */
  readonly span: Span;
  readonly references: References;
  /** What it is found by. */
  readonly hash: number;
}

export class PortSets {
  readonly #held: TrackedMap<number, PortSet>;
  readonly #lines: SpanPool;

  constructor(
    readonly ledger: Ledger,
    readonly cells: CellStore,
  ) {
    this.#held = new TrackedMap(ledger);
    this.#lines = new SpanPool(ledger, 'port set lines', cells.plan.size.portLines);
  }

  /** Takes a reference to the port set of these lines. Throws TableFullError, which names `owner`. */
  hold(words: Uint32Array, owner: Key): PortSet {
    let hash = hashOf(words);
    for (let held = this.#held.get(hash); held !== undefined; held = this.#held.get(hash)) {
      if (sameWords(held.words, words)) {
        held.references.add(1);
        return held;
      }
      // Should the one that is in the way go, this one is not found any more: another of its kind gets lines of its own, no more.
      hash = (hash + 1) | 0;
    }
    const span = this.#lines.allocate(words.length / LINE, owner);
    const portSet = { words, span, references: new References(this.ledger), hash };
    this.#held.add(hash, portSet);
    const at = this.cells.plan.portSets + span.first * L.PORTSET_SIZE;
    this.cells.set(unitOf(portSet), { owner, rows: [{ at, words }] });
    return portSet;
  }

  /** Gives a reference back. */
  drop(portSet: PortSet): void {
    if (portSet.references.count > 1) {
      portSet.references.add(-1);
      return;
    }
    this.#held.delete(portSet.hash);
    this.#lines.release(portSet.span);
    this.cells.set(unitOf(portSet), null);
  }
}

/** The unit of a port set that is held. */
export function unitOf({ span }: PortSet): UnitId {
  return FIRST_PORT_SET_UNIT + span.first;
}

export function sameWords(a: Uint32Array, b: Uint32Array): boolean {
  if (a.length !== b.length) return false;
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return false;
  return true;
}

function hashOf(words: Uint32Array): number {
  let hash = 0;
  for (let i = 0; i < words.length; i++) {
    hash = Math.imul(hash ^ (words[i] ?? 0), L.HASH_C);
    hash ^= hash >>> 15;
  }
  return hash | 0;
}
