/** Services: frontends find a service, its slots choose one of its backends. */
import * as L from '../../../dataplane-as/layout.js';
import type { Key, ServiceBackend, ServiceItem } from '../../ruleset/types.js';
import { ip4Word, mask4, PROTOCOL_NUMBERS, parsePrefix4, swap16, swap32 } from './bytes.js';
import type { CellStore, Row } from './cells.js';
import { TableFullError } from './errors.js';
import { type Ledger, TrackedMap } from './ledger.js';
import { IndexPool, type Span, SpanPool } from './pools.js';
import { type SlotTable, SlotTables, unitOf } from './slot-tables.js';

interface Placed {
  readonly item: ServiceItem;
  readonly backends: Span;
  readonly slots: SlotTable;
  readonly ranges: Span;
  /** Frontends as table keys. */
  readonly claims: readonly { readonly a: number; readonly b: number }[];
}

const MOST_BACKENDS = 65536; // slots are u16

export class Services {
  readonly #placed: TrackedMap<Key, Placed>;
  readonly #indexes: IndexPool;
  readonly #backends: SpanPool;
  readonly #slots: SlotTables;
  readonly #ranges: SpanPool;
  /** `SERVICE ADDRESS:PORT` -> id; ids are not used again, so that a session notices that its backend has gone. */
  readonly #backendIds: TrackedMap<string, number>;
  /** Table key of a frontend -> services that want it, sorted; the first one has it. */
  readonly #claims: TrackedMap<string, readonly Key[]>;
  #nextBackendId = 1;

  constructor(
    ledger: Ledger,
    readonly cells: CellStore,
    /** Told of each service index that begins to mean something new. */
    readonly onFreshService: (service: number) => void,
  ) {
    const { size } = cells.plan;
    this.#placed = new TrackedMap(ledger);
    this.#indexes = new IndexPool(ledger, 'services', 1, Math.min(size.services, L.MAX_SERVICES));
    this.#backends = new SpanPool(ledger, 'service backends', size.backends);
    this.#slots = new SlotTables(ledger, cells);
    this.#ranges = new SpanPool(ledger, 'source ranges', size.ranges);
    this.#backendIds = new TrackedMap(ledger);
    this.#claims = new TrackedMap(ledger);
  }

  keyOf(index: number): Key | undefined {
    return this.#indexes.nameOf(index);
  }

  indexes(): IterableIterator<[number, Key]> {
    return this.#indexes.entries();
  }

  itemAt(index: number): ServiceItem | undefined {
    const key = this.#indexes.nameOf(index);
    return key === undefined ? undefined : this.#placed.get(key)?.item;
  }

  remove(key: Key): void {
    const placed = this.#placed.get(key);
    if (placed === undefined) return;
    this.#vacate(placed);
    for (const backend of placed.item.backends) this.#backendIds.delete(backendName(key, backend));
    for (const { a, b } of placed.claims) this.#unclaim(a, b, key);
    this.cells.set(`service ${key}`, null);
    this.#placed.delete(key);
    this.#indexes.release(key);
  }

  /** Adds a service, or replaces the one of its key: index and ids of backends that stay are kept. */
  put(item: ServiceItem): void {
    const { key } = item;
    const old = this.#placed.get(key);
    if (old !== undefined) this.#vacate(old);
    else {
      const { index, fresh } = this.#indexes.acquire(key, key);
      if (fresh) this.onFreshService(index);
    }
    const index = this.#indexes.get(key) ?? 0;
    const backends = item.backends.filter(({ address }) => ip4Word(address) !== null);
    if (backends.length > MOST_BACKENDS)
      throw new TableFullError('backends of one service', MOST_BACKENDS, key);
    this.#keepIds(old?.item, item);
    const shares = backends.map((b) => ({ name: `${b.address}:${b.port}`, weight: b.weight }));
    const ranges = (item.sourceRanges ?? []).flatMap((cidr) => parsePrefix4(cidr) ?? []);
    const placed: Placed = {
      item,
      backends: this.#backends.allocate(backends.length, key),
      slots: this.#slots.acquire(item.algorithm, shares, key),
      ranges: this.#ranges.allocate(ranges.length, key),
      claims: claimsOf(item),
    };
    this.#placed.set(key, placed);
    const { plan } = this.cells;
    const rows: Row[] = [
      {
        at: plan.services + index * L.SERVICE_SIZE,
        words: [
          (item.sourceRanges === null ? 0 : L.SVF_RANGES) | (item.servesOutside ? 0 : L.SVF_INSIDE_ONLY),
          item.affinitySeconds ?? 0,
          placed.slots.first,
          placed.slots.count,
          placed.backends.first,
          backends.length,
          placed.ranges.first,
          ranges.length,
        ],
      },
      {
        at: plan.backends + placed.backends.first * L.BACKEND_SIZE,
        words: backends.flatMap((backend) => this.#backendWords(key, backend)),
      },
      {
        at: plan.ranges + placed.ranges.first * 8,
        words: ranges.flatMap(({ word, length }) => [word, swap32(mask4(length))]),
      },
    ];
    this.cells.set(`service ${key}`, { owner: key, rows: rows.filter((row) => row.words.length > 0) });
    for (const { a, b } of old?.claims ?? []) this.#unclaim(a, b, key);
    for (const { a, b } of placed.claims) this.#claim(a, b, key);
  }

  /** The units of a service, for reading it back: its own, and the frontends that are really its own. */
  unitsOf(key: Key): string[] {
    const placed = this.#placed.get(key);
    if (placed === undefined) return [];
    const own = placed.claims.filter(({ a, b }) => this.#claims.get(`${a} ${b}`)?.[0] === key);
    return [`service ${key}`, unitOf(placed.slots), ...own.map(({ a, b }) => frontendUnit(a, b))];
  }

  #vacate({ backends, slots, ranges }: Placed): void {
    this.#backends.release(backends);
    this.#slots.release(slots);
    this.#ranges.release(ranges);
  }

  #keepIds(old: ServiceItem | undefined, item: ServiceItem): void {
    const names = new Set(item.backends.map((backend) => backendName(item.key, backend)));
    for (const backend of old?.backends ?? []) {
      const name = backendName(item.key, backend);
      if (!names.has(name)) this.#backendIds.delete(name);
    }
    // Also after a rollback no id is given twice.
    for (const name of names) {
      if (!this.#backendIds.has(name)) this.#backendIds.set(name, this.#nextBackendId++ >>> 0);
    }
  }

  #backendWords(key: Key, backend: ServiceBackend): number[] {
    const id = this.#backendIds.get(backendName(key, backend)) ?? 0;
    return [ip4Word(backend.address) ?? 0, 0, 0, 0, swap16(backend.port), 0, id, 0];
  }

  #claim(a: number, b: number, key: Key): void {
    const claims = [...(this.#claims.get(`${a} ${b}`) ?? []), key].sort();
    this.#setClaims(a, b, claims);
  }

  #unclaim(a: number, b: number, key: Key): void {
    const claims = (this.#claims.get(`${a} ${b}`) ?? []).filter((other) => other !== key);
    this.#setClaims(a, b, claims);
  }

  #setClaims(a: number, b: number, claims: readonly Key[]): void {
    const [owner] = claims;
    if (owner === undefined) {
      this.#claims.delete(`${a} ${b}`);
      this.cells.set(frontendUnit(a, b), null);
      return;
    }
    this.#claims.set(`${a} ${b}`, claims);
    const value = this.#indexes.get(owner) ?? 0;
    this.cells.set(frontendUnit(a, b), { owner, entries: [{ table: 'frontends', a, b, value }] });
  }
}

function claimsOf(item: ServiceItem): { readonly a: number; readonly b: number }[] {
  const protocol = PROTOCOL_NUMBERS[item.protocol];
  const claims = new Map<string, { a: number; b: number }>();
  for (const { address, port } of item.frontends) {
    const a = ip4Word(address);
    if (a === null) continue;
    const b = ((protocol << 16) | swap16(port)) >>> 0;
    claims.set(`${a} ${b}`, { a, b });
  }
  return [...claims.values()];
}

function frontendUnit(a: number, b: number): string {
  return `frontend ${a} ${b}`;
}

function backendName(key: Key, { address, port }: ServiceBackend): string {
  return `${key} ${address}:${port}`;
}
