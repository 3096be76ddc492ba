/** Services: frontends find a service, its slots choose one of its backends. */
import * as L from '../../../dataplane-as/layout/index.js';
import { commonEnds, type Ends, sameList } from '../../common/ends.js';
import type { Frontend, Ip, Key, ServiceBackend, ServiceItem } from '../../ruleset/types.js';
import { type Ledger, TrackedMap } from '../ledger.js';
import { ip4Word, mask4, PROTOCOL_NUMBERS, swap16, swap32 } from './bytes.js';
import { ip6Words, isPrefix6, mask6, type Prefix, parsePrefix } from './bytes6.js';
import { type CellStore, FIRST_FRONTEND_UNIT, type Row, type UnitId } from './cells.js';
import { TableFullError } from './errors.js';
import { FrontendNumbers } from './frontend-numbers.js';
import type { LongestPrefix } from './lpm.js';
import type { Share } from './maglev.js';
import { IndexPool, type Span, SpanPool } from './pools.js';
import { type SlotTable, SlotTables, unitOf } from './slot-tables.js';

interface Claim {
  readonly a: number;
  readonly b: number;
  /** The address that `a` is the number of, where that is IPv6. */
  readonly six: Ip | null;
}

interface Placed {
  readonly item: ServiceItem;
  readonly backends: Span;
  /** Of each of all its backends: ids are not used again, so that a session notices that its backend has gone. */
  readonly ids: readonly number[];
  readonly slots: SlotTable;
  /** Of who comes by the uplink; null = those of everyone. */
  readonly outsideSlots: SlotTable | null;
  readonly ranges: Span;
  /** Frontends as table keys. */
  readonly claims: readonly Claim[];
  /** Rows of all its backends, where they are many; an array of its own is more than the rows of a few. */
  readonly words: Uint32Array | null;
}

const MOST_BACKENDS = 65536; // slots are u16
const BACKEND = L.BACKEND_SIZE / 4;
const NO_BACKENDS: readonly ServiceBackend[] = [];
/** Backends. */
const MANY = 32;

export class Services {
  readonly #placed: TrackedMap<Key, Placed>;
  readonly #indexes: IndexPool;
  readonly #backends: SpanPool;
  readonly #slots: SlotTables;
  readonly #ranges: SpanPool;
  readonly #numbers: FrontendNumbers;
  /** Unit of a frontend -> the service that wants it; or several, sorted, of which the first one has it. */
  readonly #claims: TrackedMap<UnitId, Key | readonly Key[]>;
  #nextBackendId = 1;

  constructor(
    ledger: Ledger,
    readonly cells: CellStore,
    lpm: LongestPrefix,
    /** Told of each service index that begins to mean something new. */
    readonly onFreshService: (service: number) => void,
  ) {
    const { size } = cells.plan;
    this.#placed = new TrackedMap(ledger);
    this.#indexes = new IndexPool(ledger, 'services', 1, Math.min(size.services, L.MAX_SERVICES));
    this.#backends = new SpanPool(ledger, 'service backends', size.backends);
    this.#slots = new SlotTables(ledger, cells);
    this.#ranges = new SpanPool(ledger, 'source ranges', size.ranges);
    this.#numbers = new FrontendNumbers(ledger, lpm);
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
    for (const claim of placed.claims) this.#unclaim(claim, key);
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
    const all = allBackends(item);
    const placed = this.#place(item, all, old);
    this.#placed.set(key, placed);
    const rows = this.#rowsOf(this.#indexes.get(key) ?? 0, placed, all);
    this.cells.set(`service ${key}`, { owner: key, rows });
    if (placed.claims === old?.claims) return;
    for (const claim of old?.claims ?? []) this.#unclaim(claim, key);
    for (const { a, b } of placed.claims) this.#claim(a, b, key);
  }

  /** Room for all that a service has; what `old` had has been given back. Throws TableFullError. */
  #place(item: ServiceItem, backends: readonly ServiceBackend[], old: Placed | undefined): Placed {
    const { key } = item;
    if (backends.length > MOST_BACKENDS)
      throw new TableFullError('backends of one service', MOST_BACKENDS, key);
    // Of many backends few come or go.
    const before = old === undefined ? NO_BACKENDS : allBackends(old.item);
    const ends = commonEnds(before, backends, sameEnd);
    const ids = this.#idsOf(backends, before, old?.ids ?? [], ends);
    const keepsClaims =
      old !== undefined &&
      old.item.protocol === item.protocol &&
      sameList(old.item.frontends, item.frontends, sameFrontend);
    return {
      item,
      backends: this.#backends.allocate(backends.length, key),
      ids,
      slots: this.#slots.acquire(item.algorithm, sharesOf(item.algorithm, backends, item.backends), key),
      outsideSlots:
        item.outsideBackends === null
          ? null
          : this.#slots.acquire(
              item.algorithm,
              sharesOf(item.algorithm, backends, item.outsideBackends),
              key,
            ),
      ranges: this.#ranges.allocate(rangeRows(item).length, key),
      claims: keepsClaims ? old.claims : this.#claimsOf(item),
      words: backends.length < MANY ? null : rowsOfBackends(backends, ids, old?.words ?? null, ends),
    };
  }

  /** What the image holds of a service at this index. */
  #rowsOf(index: number, placed: Placed, backends: readonly ServiceBackend[]): readonly Row[] {
    const { item, ids } = placed;
    const { plan } = this.cells;
    const ranges = rangeRows(item);
    const rows: Row[] = [
      {
        at: plan.services + index * L.SERVICE_SIZE,
        words: [
          (item.sourceRanges === null ? 0 : L.SVF_RANGES) |
            (item.outsideBackends === null ? 0 : L.SVF_OUTSIDE),
          item.affinitySeconds ?? 0,
          placed.slots.first,
          placed.slots.count,
          placed.backends.first,
          backends.length,
          placed.ranges.first,
          ranges.length,
          placed.outsideSlots?.first ?? 0,
          placed.outsideSlots?.count ?? 0,
          item.outsideBackends?.length ?? 0,
        ],
      },
      {
        at: plan.backends + placed.backends.first * L.BACKEND_SIZE,
        words: placed.words ?? backends.flatMap((backend, i) => backendWords(backend, ids[i] ?? 0)),
      },
      {
        at: plan.ranges + placed.ranges.first * 8,
        words: ranges.flat(),
      },
    ];
    return rows.filter((row) => row.words.length > 0);
  }

  /** The units of a service, for reading it back: its own, and the frontends that are really its own. */
  unitsOf(key: Key): UnitId[] {
    const placed = this.#placed.get(key);
    if (placed === undefined) return [];
    const own = placed.claims.filter(({ a, b }) => this.#claimants(a, b)[0] === key);
    const numbers = own.flatMap(({ six }) => (six === null ? [] : this.#numbers.unitsOf(six)));
    const tables = [placed.slots, ...(placed.outsideSlots === null ? [] : [placed.outsideSlots])];
    return [
      `service ${key}`,
      ...tables.map(unitOf),
      ...own.map(({ a, b }) => frontendUnit(a, b)),
      ...numbers,
    ];
  }

  #vacate({ backends, slots, outsideSlots, ranges }: Placed): void {
    this.#backends.release(backends);
    this.#slots.release(slots);
    if (outsideSlots !== null) this.#slots.release(outsideSlots);
    this.#ranges.release(ranges);
  }

  /** Those that stay keep their ids. Also after a rollback no id is given twice. */
  #idsOf(
    backends: readonly ServiceBackend[],
    before: readonly ServiceBackend[],
    ids: readonly number[],
    { front, back }: Ends,
  ): readonly number[] {
    const known = new Map<string, number>();
    for (let i = front; i < before.length - back; i++)
      known.set(endOf(before[i] as ServiceBackend), ids[i] ?? 0);
    const middle = backends.slice(front, backends.length - back).map((backend) => {
      const end = endOf(backend);
      const id = known.get(end) ?? this.#nextBackendId++ >>> 0;
      known.set(end, id);
      return id;
    });
    return ids.slice(0, front).concat(middle, ids.slice(ids.length - back));
  }

  /** The frontends as table keys, each once; takes a reference to the number of each IPv6 address. */
  #claimsOf(item: ServiceItem): Claim[] {
    const protocol = PROTOCOL_NUMBERS[item.protocol];
    const claims = new Map<string, Claim>();
    for (const { address, port } of item.frontends) {
      const name = `${address} ${port}`;
      if (claims.has(name)) continue;
      const four = ip4Word(address);
      const a = four ?? this.#numbers.acquire(address, item.key);
      const b = ((protocol << 16) | swap16(port) | (four === null ? L.FRONTEND_IP6 : 0)) >>> 0;
      claims.set(name, { a, b, six: four === null ? address : null });
    }
    return [...claims.values()];
  }

  #claimants(a: number, b: number): readonly Key[] {
    const claims = this.#claims.get(frontendUnit(a, b)) ?? [];
    return typeof claims === 'string' ? [claims] : claims;
  }

  #claim(a: number, b: number, key: Key): void {
    this.#setClaims(a, b, [...this.#claimants(a, b), key].sort());
  }

  #unclaim({ a, b, six }: Claim, key: Key): void {
    if (six !== null) this.#numbers.release(six);
    this.#setClaims(
      a,
      b,
      this.#claimants(a, b).filter((other) => other !== key),
    );
  }

  #setClaims(a: number, b: number, claims: readonly Key[]): void {
    const unit = frontendUnit(a, b);
    const [owner] = claims;
    if (owner === undefined) {
      this.#claims.delete(unit);
      this.cells.set(unit, null);
      return;
    }
    this.#claims.set(unit, claims.length === 1 ? owner : claims);
    const value = this.#indexes.get(owner) ?? 0;
    this.cells.set(unit, { owner, entries: [{ table: 'frontends', a, b, value }] });
  }
}

/** All that anybody may get; those of who comes by the uplink stand first where he has his own. */
function allBackends({ backends, outsideBackends }: ServiceItem): readonly ServiceBackend[] {
  if (outsideBackends === null) return backends;
  const first = new Set(outsideBackends.map(endOf));
  return [...outsideBackends, ...backends.filter((backend) => !first.has(endOf(backend)))];
}

/** One share for each of `all`; who is not among the chosen gets nothing. They have names only where these matter. */
function sharesOf(
  algorithm: ServiceItem['algorithm'],
  all: readonly ServiceBackend[],
  chosen: readonly ServiceBackend[],
): readonly Share[] {
  if (algorithm === 'random' && all === chosen) return all.map(({ weight }) => ({ name: '', weight }));
  const weights = new Map(chosen.map((backend) => [endOf(backend), backend.weight]));
  return all.map((backend) => ({ name: endOf(backend), weight: weights.get(endOf(backend)) ?? 0 }));
}

function endOf({ address, port }: ServiceBackend): string {
  return `${address}:${port}`;
}

/** loadBalancerSourceRanges as rows of two words: one for an IPv4 range, four for an IPv6 one. */
function rangeRows({ sourceRanges, frontends }: ServiceItem): (readonly [number, number])[] {
  const six = frontends.some(({ address }) => address.includes(':'));
  return (sourceRanges ?? []).flatMap((cidr) => {
    const prefix = parsePrefix(cidr);
    return isPrefix6(prefix) === six ? rowsOf(prefix) : [];
  });
}

function rowsOf(prefix: Prefix): (readonly [number, number])[] {
  if (!isPrefix6(prefix)) return [[prefix.word, swap32(mask4(prefix.length))]];
  const [a, b, c, d] = prefix.words;
  const [e, f, g, h] = mask6(prefix.length);
  return [
    [a, b],
    [c, d],
    [e, f],
    [g, h],
  ];
}

function sameEnd(a: ServiceBackend, b: ServiceBackend): boolean {
  return a === b || (a.address === b.address && a.port === b.port);
}

function sameFrontend(a: Frontend, b: Frontend): boolean {
  return a.address === b.address && a.port === b.port;
}

function backendWords(backend: ServiceBackend, id: number): number[] {
  const address = ip6Words(backend.address) ?? [ip4Word(backend.address) ?? 0, 0, 0, 0];
  return [...address, swap16(backend.port), 0, id, 0];
}

/** The rows of backends, taken from those they had before where they begin or end with the same. */
function rowsOfBackends(
  backends: readonly ServiceBackend[],
  ids: readonly number[],
  before: Uint32Array | null,
  ends: Ends,
): Uint32Array {
  const words = new Uint32Array(backends.length * BACKEND);
  const { front, back } = before === null ? { front: 0, back: 0 } : ends;
  if (before !== null) {
    words.set(before.subarray(0, front * BACKEND));
    words.set(before.subarray(before.length - back * BACKEND), (backends.length - back) * BACKEND);
  }
  for (let i = front; i < backends.length - back; i++) {
    words.set(backendWords(backends[i] as ServiceBackend, ids[i] ?? 0), i * BACKEND);
  }
  return words;
}

/** Numbers take less memory than names, and with NodePorts there are many frontends. */
function frontendUnit(a: number, b: number): UnitId {
  // The protocols differ in their last two bits (6, 17, 132).
  const kind = (b >>> 31) * 4 + ((b >>> 16) & 3);
  return FIRST_FRONTEND_UNIT + (kind * 2 ** 16 + (b & 0xffff)) * 2 ** 32 + a;
}
