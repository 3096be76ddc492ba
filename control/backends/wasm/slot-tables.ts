/**
 * Tables of slots, one for each way to share among backends: services with as many backends of equal weight have one table in
 * common, and so have the scopes of a maglev service, whose tables are large.
 */
import { createHash } from 'node:crypto';
import type { Key, ServiceItem } from '../../ruleset/types.js';
import { type Ledger, TrackedMap } from '../ledger.js';
import type { CellStore } from './cells.js';
import { maglevSlots, type Share, uniformSlots } from './maglev.js';
import { type Span, SpanPool } from './pools.js';

/** What a table says, as a name. */
export type TableName = string;

export interface SlotTable {
  readonly name: TableName;
  readonly first: number;
  /** Number of slots; 0 = nobody to send to. */
  readonly count: number;
}

interface Held {
  readonly span: Span;
  readonly table: SlotTable;
  readonly references: number;
}

export class SlotTables {
  readonly #held: TrackedMap<TableName, Held>;
  readonly #spans: SpanPool;

  constructor(
    ledger: Ledger,
    readonly cells: CellStore,
  ) {
    this.#held = new TrackedMap(ledger);
    this.#spans = new SpanPool(ledger, 'service slots', cells.plan.size.slots);
  }

  /** Takes a reference to the table of these shares. Throws TableFullError, which names `owner`. */
  acquire(algorithm: ServiceItem['algorithm'], shares: readonly Share[], owner: Key): SlotTable {
    const name = nameOf(algorithm, shares);
    const held = this.#held.get(name);
    if (held !== undefined) {
      this.#held.set(name, { ...held, references: held.references + 1 });
      return held.table;
    }
    const slots = algorithm === 'maglev' ? maglevSlots(shares) : uniformSlots(shares);
    // Whole words: two slots each.
    const span = this.#spans.allocate(slots.length + (slots.length % 2), owner);
    const table = { name, first: span.first, count: slots.length };
    this.#held.set(name, { span, table, references: 1 });
    const rows =
      slots.length === 0 ? [] : [{ at: this.cells.plan.slots + span.first * 2, words: pairUp(slots) }];
    this.cells.set(unitOf(table), { owner, rows });
    return table;
  }

  release({ name }: SlotTable): void {
    const held = this.#held.get(name);
    if (held === undefined) return;
    if (held.references > 1) {
      this.#held.set(name, { ...held, references: held.references - 1 });
      return;
    }
    this.#held.delete(name);
    this.#spans.release(held.span);
    this.cells.set(unitOf(held.table), null);
  }
}

/** The unit of a table, for reading it back. */
export function unitOf({ name }: SlotTable): string {
  return `slots ${name}`;
}

/** Which slots a backend gets depends on its name under maglev only. */
function nameOf(algorithm: ServiceItem['algorithm'], shares: readonly Share[]): TableName {
  const [first] = shares;
  const isEven = algorithm === 'random' && shares.every(({ weight }) => weight === first?.weight);
  if (isEven) return `even ${shares.length} ${first?.weight === 0 ? 0 : 1}`;
  const lines = shares.map(({ name, weight }) => (algorithm === 'maglev' ? `${name} ${weight}` : weight));
  return `${algorithm} ${createHash('sha256').update(lines.join('\n')).digest('base64')}`;
}

/** u16 values as words, two each. */
function pairUp(values: readonly number[]): Uint32Array {
  const words = new Uint32Array(Math.ceil(values.length / 2));
  for (let i = 0; i < values.length; i++)
    words[i >> 1] = (words[i >> 1] ?? 0) | ((values[i] ?? 0) << (16 * (i & 1)));
  return words;
}
