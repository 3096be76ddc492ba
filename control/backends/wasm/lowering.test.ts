/** Links, routes, tunnels and services as table rows; failing transactions; nothing left behind. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import * as L from '../../../dataplane-as/layout/index.js';
import * as items from '../../../test/backends/items.js';
import { seededRandom } from '../../../test/backends/random.js';
import type { Change, Item, Key } from '../../ruleset/types.js';
import { DanglingReferenceError } from '../errors.js';
import { ip6Words } from './bytes6.js';
import { TableFullError } from './errors.js';
import { Image } from './image.js';
import { type HashName, type ImagePlan, planImage } from './image-plan.js';
import { Lowering } from './lowering.js';

const SIZE = {
  ...{
    adjacencies: 64,
    lpm4Log2: 8,
    lpm6Log2: 8,
    pairsLog2: 8,
    policies: 32,
    trieLines: 256,
    portLines: 128,
  },
  ...{ frontendsLog2: 6, services: 16, backends: 64, slots: 256, ranges: 16 },
};

class Bench {
  readonly plan: ImagePlan = planImage(SIZE);
  readonly lowering = new Lowering(this.plan);
  readonly image = new Image(new Uint32Array(this.plan.bytes / 4), 0, this.plan);
  readonly items = new Map<Key, Item>();

  constructor(...first: readonly Item[]) {
    this.image.reset();
    this.put(...first);
  }

  put(...wanted: readonly Item[]): void {
    this.apply(wanted.map((item) => ({ type: 'add', key: item.key, item })));
  }

  remove(...keys: readonly Key[]): void {
    this.apply(keys.map((key) => ({ type: 'remove', key, old: this.items.get(key) as Item })));
  }

  apply(changes: readonly Change[]): void {
    try {
      const { operations } = this.lowering.plan(changes);
      this.lowering.commit();
      this.image.play(operations);
    } catch (error) {
      this.lowering.rollback();
      throw error;
    }
    for (const change of changes) {
      if (change.type === 'remove') this.items.delete(change.key);
      else this.items.set(change.key, change.item);
    }
  }

  bytes(at: number, length: number): Buffer {
    return Buffer.from(this.image.words.buffer, at, length);
  }

  route(vrf: 'main' | 'pod', address: number, length: number): number | undefined {
    const space = vrf === 'main' ? L.SPACE_MAIN : L.SPACE_POD;
    return this.image.lookup('addresses', address, (L.LPM_USED | (space << 8) | length) >>> 0);
  }

  /** The row of the adjacency a route leads to. */
  adjacency(vrf: 'main' | 'pod', address: number, length: number): Buffer {
    const index = this.route(vrf, address, length) ?? assert.unreachable('no route');
    return this.bytes(this.plan.adjacencies + Number(index) * L.ADJ_SIZE, L.ADJ_SIZE);
  }
}

const words6 = (row: Buffer, at: number): number[] => [0, 4, 8, 12].map((i) => row.readUInt32LE(at + i));
const word = (text: string): number => Buffer.from(text.split('.').map(Number)).readUInt32LE();

test('a tunnel: outer headers, and the way of the main table to its peer', () => {
  const bench = new Bench(...items.nodeItems(1), ...items.peerItems(1, 2));
  const row = bench.adjacency('pod', word('10.1.2.0'), 24);
  assert.is(row[L.ADJ_TYPE], L.ADJ_TYPE_TUNNEL);
  assert.is(row.readUInt32LE(L.ADJ_PORT), bench.lowering.ports.indexOf(items.UPLINK));
  assert.is(row.readUInt32LE(L.ADJ_MTU), 1450);
  assert.is(row.readUInt32LE(L.ADJ_NEXT_HOP4), word('192.168.16.2'), 'on the link');
  const template = row.subarray(L.ADJ_TEMPLATE, L.ADJ_TEMPLATE + 64).toString('hex');
  assert.is(
    template,
    [
      '000000000000020000000101' + '0800',
      '4500000000000000' + '40110000' + 'c0a81001c0a81002',
      '000012b500000000',
      '0800000000000a00',
      '122b00000002122b00000001' + '0800',
    ].join(''),
  );
  assert.is(row.readUInt32LE(L.ADJ_VNI), 10);
  assert.equal(words6(row, L.ADJ_LOCAL_BVI6), ip6Words(items.bvi6(1)));
  assert.equal(bench.lowering.routes.neighbors(), [
    { port: 0, address: word(items.OUTSIDE) },
    { port: 0, address: ip6Words(items.OUTSIDE6) },
    { port: 0, address: word('192.168.16.2') },
  ]);
  // The peer moves behind the gateway: the tunnel follows the route.
  bench.put(items.route('main', '192.168.16.2/32', items.via(items.UPLINK, items.OUTSIDE)));
  const moved = bench.adjacency('pod', word('10.1.2.0'), 24);
  assert.is(moved.readUInt32LE(L.ADJ_NEXT_HOP4), word(items.OUTSIDE));
  assert.is(bench.lowering.routes.neighbors().length, 2);
  // The uplink gets another MAC.
  const uplink = bench.items.get(items.UPLINK) as Extract<Item, { kind: 'interface' }>;
  bench.put({ ...uplink, mac: '02:aa:bb:cc:dd:ee' });
  const remade = bench.adjacency('pod', word('10.1.2.0'), 24);
  assert.is(remade.subarray(L.ADJ_TEMPLATE + 6, L.ADJ_TEMPLATE + 12).toString('hex'), '02aabbccddee');
  // No way to the peer at all: dropped, and counted as such.
  bench.remove('route/main/192.168.16.2/32', 'route/main/192.168.16.0/24', 'route/main/0.0.0.0/0');
  assert.is(bench.adjacency('pod', word('10.1.2.0'), 24)[L.ADJ_TYPE], L.ADJ_TYPE_DROP);
});

test('ports: roles, addresses, the subnet of the uplink, the policies of a pod', () => {
  const bench = new Bench(...items.nodeItems(1), ...items.podItems(1, 3, 'a'));
  const row = (key: Key): Buffer => {
    const port = bench.lowering.ports.indexOf(key) ?? 0;
    return bench.bytes(bench.plan.ports + port * L.PORT_SIZE, L.PORT_SIZE);
  };
  const uplink = row(items.UPLINK);
  assert.is(uplink[L.PORT_ROLE], L.ROLE_UPLINK);
  assert.is(uplink[L.PORT_VRF], L.SPACE_MAIN);
  assert.is(uplink[L.PORT_IP4_LENGTH], 24);
  assert.is(uplink.readUInt32LE(L.PORT_IP4), word('192.168.16.1'));
  assert.equal(words6(uplink, L.PORT_IP6), ip6Words(items.nodeAddress6(1)));
  assert.is(uplink[L.PORT_IP6_LENGTH], 64);
  const pod = row(items.podKey('a'));
  assert.is(pod[L.PORT_ROLE], L.ROLE_POD);
  assert.is(pod[L.PORT_VRF], L.SPACE_POD);
  assert.is(pod.readUInt32LE(L.PORT_IP4), word(items.podAddress(1, 3)));
  assert.is(pod.readUInt32LE(L.PORT_GATEWAY4), word(items.gateway(1)));
  assert.equal(words6(pod, L.PORT_IP6), ip6Words(items.podAddress6(1, 3)));
  assert.equal(words6(pod, L.PORT_GATEWAY6), ip6Words(items.gateway6(1)));
  assert.is(pod.subarray(L.PORT_PEER_MAC, L.PORT_PEER_MAC + 6).toString('hex'), '020000001103');
  bench.put(items.policy('x', 'ingress', []), items.endpoint('a', 'policy/x', null));
  assert.is(
    row(items.podKey('a')).readUInt32LE(L.PORT_INGRESS_POLICY),
    bench.lowering.policies.indexOf('policy/x'),
  );
  bench.remove('endpoint/shop/a');
  assert.is(row(items.podKey('a')).readUInt32LE(L.PORT_INGRESS_POLICY), 0);
  assert.is(bench.image.word(L.IMG_HOST_PORT), bench.lowering.ports.indexOf(items.HOST));
  assert.is(bench.image.word(L.IMG_NODE4), word('192.168.16.1'));
});

test('two services that claim one address: the first by name has it, the other when that goes', () => {
  const frontend = { address: '203.0.113.5', port: 80, type: 'ExternalIP' } as const;
  const a = items.service('a', { frontends: [frontend], backends: ['10.1.1.2:80'] });
  const b = items.service('b', { frontends: [frontend], backends: ['10.1.1.3:80'] });
  const bench = new Bench(b);
  const owner = (): Key | undefined => {
    const found = bench.image.lookup('frontends', word('203.0.113.5'), (6 << 16) | 0x5000);
    return found === undefined ? undefined : bench.lowering.services.keyOf(found);
  };
  assert.is(owner(), b.key);
  bench.put(a);
  assert.is(owner(), a.key);
  bench.remove(a.key);
  assert.is(owner(), b.key);
  bench.remove(b.key);
  assert.is(owner(), undefined);
});

test('an IPv6 frontend stands for a number, which goes with the last service that has the address', () => {
  const frontend = (port: number) => [{ address: 'fd00:96::5', port, type: 'ClusterIP' } as const];
  const a = items.service('a', { frontends: frontend(80), backends: ['[fd00:1:0:1::2]:80'] });
  const b = items.service('b', {
    frontends: frontend(443),
    backends: [],
    sourceRanges: ['fd00::/8', '10.0.0.0/8'],
  });
  const bench = new Bench(a, b);
  const meta = (L.LPM_USED | (L.SPACE_FRONTEND << 8) | 128) >>> 0;
  const [first = 0, ...rest] = ip6Words('fd00:96::5') ?? [];
  const number = () => bench.image.lookup('addresses6', first, meta, rest as [number, number, number]);
  const owner = (port: number): Key | undefined => {
    const key = ((6 << 16) | ((port & 255) << 8) | (port >> 8) | L.FRONTEND_IP6) >>> 0;
    const found = bench.image.lookup('frontends', number() ?? 0, key);
    return found === undefined ? undefined : bench.lowering.services.keyOf(found);
  };
  assert.equal([owner(80), owner(443)], [a.key, b.key]);
  const unit = bench.lowering.cells.get(`service ${b.key}`);
  const ranges = unit?.rows?.find(({ at }) => at >= bench.plan.ranges)?.words ?? [];
  assert.equal(Array.from(ranges), [0xfd, 0, 0, 0, 0xff, 0, 0, 0], 'four rows, of its own family');
  bench.remove(a.key);
  assert.equal([owner(80), owner(443)], [undefined, b.key]);
  bench.remove(b.key);
  assert.is(number(), undefined);
});

test('a backend keeps its id while it stays, and a new one never gets an old one', () => {
  const frontends = [{ address: '10.96.0.1', port: 80, type: 'ClusterIP' }] as const;
  const bench = new Bench();
  const ids = (...backends: string[]): number[] => {
    const item = items.service('s', { frontends, backends });
    bench.put(item);
    const unit = bench.lowering.cells.get(`service ${item.key}`);
    const rows =
      unit?.rows?.find(({ at }) => at >= bench.plan.backends && at < bench.plan.slots)?.words ?? [];
    return Array.from(rows).filter((_, i) => i % 8 === L.BACKEND_ID / 4);
  };
  const [one, two] = ids('10.1.1.1:80', '10.1.1.2:80');
  assert.equal(ids('10.1.1.2:80', '10.1.1.3:80')[0], two);
  const again = ids('10.1.1.1:80')[0];
  assert.ok(again !== one && again !== two);
});

test('a full table is named, with the item that did not fit, and nothing is done', () => {
  const bench = new Bench(...items.nodeItems(1));
  const before = Uint32Array.from(bench.image.words);
  const many = Array.from({ length: 300 }, (_, i) =>
    items.route('pod', `10.9.${i >> 8}.${i & 255}/32`, { type: 'drop' }),
  );
  assert.throws(
    () => bench.put(...many),
    (error: unknown) =>
      error instanceof TableFullError && error.table === 'addresses' && error.object !== undefined,
  );
  assert.equal(bench.image.words, before);
  bench.put(...many.slice(0, 20));
});

/** Everything but the hash tables word for word, the hash tables as sets of entries: placement depends on history. */
function contents(image: Image): Record<string, unknown> {
  const { plan } = image;
  const found: Record<string, unknown> = {};
  const flat = Uint32Array.from(image.words.subarray(0, plan.bytes / 4));
  for (const [name, { at, log2 }] of Object.entries(plan.hashes) as [
    HashName,
    { at: number; log2: number },
  ][]) {
    const slots: string[] = [];
    for (let i = 0; i < 1 << log2; i++) {
      const size = name === 'addresses6' ? 8 : 4;
      const slot = flat.subarray(at / 4 + i * size, at / 4 + (i + 1) * size);
      if (slot.some((value) => value !== 0)) slots.push(slot.join());
      slot.fill(0);
    }
    found[name] = slots.sort();
  }
  return { ...found, flat };
}

test('after any history, failures included, the image holds exactly what is in force', () => {
  for (let seed = 1; seed <= 15; seed++) {
    const random = seededRandom(seed);
    const bench = new Bench(...items.nodeItems(1));
    let failures = 0;
    for (let round = 0; round < 40; round++) {
      const wanted = randomItems(random);
      const changes: Change[] = wanted.map((item) => ({ type: 'add', key: item.key, item }));
      for (const [key, old] of bench.items) {
        if (random(8) === 0 && old.kind !== 'node') changes.push({ type: 'remove', key, old });
      }
      try {
        bench.apply(changes);
      } catch (error) {
        failures++;
        assert.ok(error instanceof DanglingReferenceError || error instanceof TableFullError, String(error));
      }
      assert.equal(new Map(bench.lowering.items), bench.items);
      for (const [id, unit] of bench.lowering.cells.units()) assert.ok(bench.image.holds(unit), `${id}`);
      const fresh = new Image(new Uint32Array(bench.plan.bytes / 4), 0, bench.plan);
      fresh.reset();
      fresh.play(bench.lowering.cells.everything());
      assert.equal(contents(bench.image), contents(fresh), `seed ${seed} round ${round}`);
    }
    assert.ok(failures > 0 && failures < 40, `${failures} failures`);
  }
});

function randomItems(random: (below: number) => number): Item[] {
  const some: Item[] = [];
  const n = random(4) + 1;
  if (random(2) === 0) some.push(...items.podItems(1, n, `p${n}`));
  if (random(2) === 0) some.push(...items.peerItems(1, 2 + random(3)));
  if (random(2) === 0)
    some.push(
      items.addressSet(
        `s${random(3)}`,
        [1, 2, 3, 4].map((i) => `10.1.1.${i * (1 + random(3))}`),
      ),
    );
  if (random(2) === 0) {
    const rules = [items.allow('r', [`addressset/s${random(3)}`], [items.port('TCP', random(5))])];
    some.push(items.policy(`q${random(3)}`, 'ingress', rules));
  }
  if (random(3) === 0) some.push(items.endpoint(`p${n}`, `policy/q${random(3)}`, null));
  if (random(2) === 0) {
    const backends = Array.from({ length: random(5) }, (_, i) => `10.1.1.${i + 1}:80`);
    const frontends = [{ address: `10.96.0.${random(4)}`, port: 80, type: 'ClusterIP' }] as const;
    some.push(items.service(`v${random(5)}`, { frontends, backends, sourceRanges: ['10.0.0.0/8'] }));
  }
  // Remove-then-add of the same things in one transaction is what a resync sends.
  return random(5) === 0 ? [...some, ...some] : some;
}

test.run();
