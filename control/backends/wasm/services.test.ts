/** Services changed step by step, a few of many backends at a time: rows, ids, slots and frontends say what the items say. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import * as L from '../../../dataplane-as/layout/index.js';
import * as items from '../../../test/backends/items.js';
import { seededRandom } from '../../../test/backends/random.js';
import type { Change, Frontend, Key, ServiceBackend, ServiceItem } from '../../ruleset/types.js';
import { ip4Word, swap16 } from './bytes.js';
import { ip6Words } from './bytes6.js';
import type { Image } from './image.js';
import { planImage } from './image-plan.js';
import type { Lowering } from './lowering.js';
import { assertEmptied, freshTables } from './tables-fixture.js';

type Random = (below: number) => number;

const SIZE = {
  ...{ adjacencies: 16, lpm4Log2: 4, lpm6Log2: 6, pairsLog2: 4, policies: 4, trieLines: 16, portLines: 16 },
  ...{ frontendsLog2: 7, services: 16, backends: 2048, slots: 131_072, ranges: 16 },
};

function backend(random: Random): ServiceBackend {
  const n = random(200);
  const address = random(8) === 0 ? `fd00::${(n + 1).toString(16)}` : `10.1.0.${n + 1}`;
  return { address, port: 80 + random(2), weight: 1, pod: null, node: null };
}

const nameOf = ({ address, port }: ServiceBackend | Frontend) => `${address} ${port}`;

/** Each end once, as the compiler gives them. */
function distinct<T extends ServiceBackend | Frontend>(list: readonly T[]): T[] {
  return [...new Map(list.map((one) => [nameOf(one), one])).values()];
}

function frontend(random: Random): Frontend {
  const n = 1 + random(30);
  const address = random(4) === 0 ? `fd00:96::${n}` : `10.96.0.${n}`;
  return { address, port: 80, type: 'ClusterIP' };
}

/** The same service otherwise: mostly a few backends, sometimes weights, frontends, who is for the outside, or the algorithm. */
function changed(random: Random, item: ServiceItem): ServiceItem {
  const at = random(item.backends.length + 1);
  const come = Array.from({ length: random(3) }, () => backend(random));
  const backends = distinct([...item.backends.slice(0, at), ...come, ...item.backends.slice(at + random(3))]);
  switch (random(12)) {
    case 0:
      return { ...item, frontends: distinct([...item.frontends.slice(random(2)), frontend(random)]) };
    case 1:
      return { ...item, backends: backends.map((one) => ({ ...one, weight: random(3) })) };
    case 2:
      return { ...item, backends, outsideBackends: backends.filter(() => random(4) === 0) };
    case 3:
      return { ...item, backends, outsideBackends: null };
    case 4:
      return { ...item, algorithm: item.algorithm === 'maglev' ? 'random' : 'maglev' };
    case 5:
      return {
        ...item,
        protocol: item.protocol === 'TCP' ? 'UDP' : 'TCP',
        backends: [...backends].reverse(),
      };
    default:
      return { ...item, backends };
  }
}

/** What the tables hold of a service: backends by place, and how many slots each has. */
function read(image: Image, index: number) {
  const at = image.plan.services + index * L.SERVICE_SIZE;
  const first = image.word(at + L.SERVICE_BACKENDS);
  const count = image.word(at + L.SERVICE_BACKEND_COUNT);
  const rows = Array.from({ length: count }, (_, i) => {
    const row = image.plan.backends + (first + i) * L.BACKEND_SIZE;
    return Array.from({ length: L.BACKEND_SIZE / 4 }, (_word, w) => image.word(row + w * 4));
  });
  const slots = (first: number, length: number) =>
    Array.from({ length }, (_, i) => {
      const byte = image.plan.slots + (first + i) * 2;
      return (image.word(byte & ~3) >>> ((byte & 2) * 8)) & 0xffff;
    });
  return {
    rows,
    slots: slots(image.word(at + L.SERVICE_SLOTS), image.word(at + L.SERVICE_SLOT_COUNT)),
    outside: slots(image.word(at + L.SERVICE_OUTSIDE_SLOTS), image.word(at + L.SERVICE_OUTSIDE_SLOT_COUNT)),
  };
}

function check(image: Image, lowering: Lowering, item: ServiceItem, ids: Map<string, number>): void {
  const index = [...lowering.services.indexes()].find(([, key]) => key === item.key)?.[0] ?? 0;
  const { rows, slots, outside } = read(image, index);
  const outsiders = item.outsideBackends ?? [];
  const first = new Set(outsiders.map(nameOf));
  const all = [...outsiders, ...item.backends.filter((one) => !first.has(nameOf(one)))];
  const found = new Map<string, number>();
  assert.is(rows.length, all.length, item.key);
  for (const [i, one] of all.entries()) {
    const address = ip6Words(one.address) ?? [ip4Word(one.address) ?? 0, 0, 0, 0];
    const id = rows[i]?.[6] ?? 0;
    assert.equal(rows[i], [...address, swap16(one.port), 0, id, 0], `${item.key} ${nameOf(one)}`);
    const known = ids.get(nameOf(one));
    if (known === undefined) assert.ok(![...ids.values()].includes(id), `${item.key}: id ${id} is new`);
    else assert.is(id, known, `${item.key} ${nameOf(one)} keeps its id`);
    found.set(nameOf(one), id);
  }
  assert.is(new Set(found.values()).size, all.length);
  ids.clear();
  for (const [name, id] of found) ids.set(name, id);
  const shares = (chosen: readonly ServiceBackend[], table: readonly number[]): void => {
    const weights = new Map(chosen.map((one) => [nameOf(one), one.weight]));
    const wanted = all.map((one) => (weights.get(nameOf(one)) ?? 0) > 0);
    assert.equal(
      all.map((_, i) => table.includes(i)),
      wanted,
      `${item.key}: who gets slots`,
    );
    if (item.algorithm === 'maglev' || new Set(weights.values()).size > 1) return;
    assert.is(new Set(all.map((_, i) => table.filter((slot) => slot === i).length)).size < 3, true);
  };
  shares(item.backends, slots);
  if (item.outsideBackends !== null) shares(item.outsideBackends, outside);
}

test('any history of services, some of it refused', () => {
  const plan = planImage(SIZE);
  for (let seed = 1; seed <= 20; seed++) {
    const random = seededRandom(seed);
    const { lowering, image } = freshTables(plan);
    const services = new Map<Key, ServiceItem>();
    const ids = new Map<Key, Map<string, number>>();
    for (let step = 0; step < 60; step++) {
      const changes = new Map<Key, Change>();
      for (let n = random(2); n >= 0; n--) {
        const name = `s${random(3)}`;
        const made = items.service(name, {
          frontends: [{ address: '10.96.1.1', port: 80, type: 'ClusterIP' }],
          backends: [],
        });
        const { key } = made;
        if (changes.has(key)) continue;
        const old = services.get(key);
        const backends = distinct(Array.from({ length: 20 + random(40) }, () => backend(random)));
        const item =
          old === undefined ? { ...made, frontends: [frontend(random)], backends } : changed(random, old);
        if (old !== undefined && random(15) === 0) changes.set(key, { type: 'remove', key, old });
        else
          changes.set(
            key,
            old === undefined ? { type: 'add', key, item } : { type: 'update', key, item, old },
          );
      }
      if (random(6) === 0) {
        lowering.plan([...changes.values()]);
        lowering.rollback();
        continue;
      }
      const { operations } = lowering.plan([...changes.values()]);
      lowering.commit();
      image.play(operations);
      for (const [key, change] of changes) {
        if (change.type === 'remove') {
          services.delete(key);
          ids.delete(key);
        } else services.set(key, change.item as ServiceItem);
      }
      for (const [key, item] of services) {
        const known = ids.get(key) ?? new Map<string, number>();
        ids.set(key, known);
        check(image, lowering, item, known);
        for (const unit of lowering.services.unitsOf(key)) {
          const held = lowering.cells.get(unit);
          assert.ok(held === undefined || image.holds(held), `seed ${seed} step ${step} ${unit}`);
        }
      }
      const wanted = new Set(
        [...services.values()].flatMap(({ frontends, protocol }) =>
          frontends.map((f) => `${protocol} ${nameOf(f)}`),
        ),
      );
      const used = [...lowering.cells.units()].flatMap(([, { entries = [] }]) =>
        entries.filter(({ table }) => table === 'frontends'),
      );
      assert.is(used.length, wanted.size, `seed ${seed} step ${step}: frontends`);
    }
    const gone = [...services.values()].map((old): Change => ({ type: 'remove', key: old.key, old }));
    image.play(lowering.plan(gone).operations);
    lowering.commit();
    assertEmptied(image, `seed ${seed}`);
  }
});

test.run();
