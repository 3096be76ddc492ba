/** Counters of what is in force, out of a segment made by hand. */
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import type { Item, Key } from '../../../ruleset/types.js';
import type { Counters } from '../../backend.js';
import { HandleTable } from '../objects/handles.js';
import type { ObjectKey, VppObject } from '../objects/types.js';
import type { InForce } from '../observe.js';
import { DEFAULT_OPTIONS } from '../options.js';
import { SegmentImage } from '../stats/image.js';
import { Stats } from '../stats/stats.js';
import { CounterReader } from './counters.js';
import { parseAclSessions } from './sessions.js';

const test = suite('vpp counters');

const POD: Key = 'interface/pod/shop/a';
const WEB: Key = 'service/shop/web/UDP/80/internal';

/** A VPP of which we say what it has counted. */
class FakeVpp {
  names = ['local0', 'host-up', 'host-a'];
  rx = [0, 0, 0];
  drops = [0, 0, 0];
  acl = 4;
  /** Hits of its rules. */
  hits = [0, 0, 0];
  /** Of the CNAT translations. */
  translations = [0, 0];
  errors: Record<string, number> = {};
  sessions = 'Sessions total: add 7 - del 2 = 5\nSessions active: add 7 - deact 2 = 5\n';
  options = DEFAULT_OPTIONS;
  readonly handles = new HandleTable();
  readonly objects = new Map<ObjectKey, VppObject>();
  readonly items = new Map<Key, Item>();

  constructor() {
    this.handles.set('if/uplink', 1);
    this.handles.set('if/pod/shop/a', 2);
    this.handles.set('acl/policy/web', 4);
    this.handles.set('cnat-translation/web', 1);
    this.object('acl', 'acl/policy/web', {
      rules: [
        'NetworkPolicy shop/web spec.ingress[0]',
        'NetworkPolicy shop/web spec.ingress[0]',
        'default deny',
      ].map((text) => ({ text, allowed: true })),
    });
    this.object('cnat-translation', 'cnat-translation/web');
    this.object('if', 'if/pod/shop/a');
    this.item({ kind: 'interface', key: POD, role: 'pod' });
    this.item({ kind: 'interface', key: 'interface/uplink', role: 'uplink' });
    this.item({ kind: 'service', key: WEB });
  }

  object(kind: string, key: ObjectKey, notes?: unknown): void {
    this.objects.set(key, { kind, key, needs: [], spec: {}, notes });
  }

  item(item: { readonly kind: string; readonly key: Key; readonly role?: string }): void {
    this.items.set(item.key, item as unknown as Item);
  }

  state(): InForce {
    return {
      ...{ handles: this.handles, objects: this.objects, items: this.items, options: this.options },
      ownersOf: (key: ObjectKey) => (key === 'cnat-translation/web' ? [WEB] : []),
      api: { cli: async () => this.sessions },
    } as unknown as InForce;
  }

  stats(): Stats {
    const image = new SegmentImage();
    const pairs = (counts: readonly number[]): number[] => counts.flatMap((count) => [count, count * 100]);
    image.add('/if/names', 'names', image.names(this.names));
    image.add('/if/rx', 'combined', image.counters([pairs(this.rx), pairs([0, 0, 0])], 2));
    image.add('/if/tx', 'combined', image.counters([pairs([0, 0, 0])], 2));
    image.add('/if/drops', 'simple', image.counters([this.drops]));
    image.add('/if/rx-miss', 'simple', image.counters([[0, 0, 3]]));
    image.add(`/acl/${this.acl}/matches`, 'combined', image.counters([pairs(this.hits)], 2));
    image.add('/net/cnat-translation', 'combined', image.counters([pairs(this.translations)], 2));
    const [pool, used] = ['available', 'used'] as const;
    image.add(`/buffer-pools/default-numa-0/${pool}`, 'gauge', 900n);
    image.add(`/buffer-pools/default-numa-0/${used}`, 'gauge', 100n);
    image.add('/mem/main heap/total', 'gauge', 1000n);
    image.add('/mem/main heap/used', 'gauge', 300n);
    const names = Object.keys(this.errors);
    const errors = image.add('/node/errors', 'simple', image.counters([Object.values(this.errors)]));
    for (const [i, name] of names.entries()) {
      image.add(`/err/${name}`, 'symlink', (BigInt(i) << 32n) | BigInt(errors));
    }
    return new Stats(image);
  }
}

/** One reader over segments that change. */
function reader(vpp: FakeVpp): (() => Promise<Counters>) & { takeUp(): Promise<void> } {
  const stats = {
    read: (names: readonly string[]) => vpp.stats().read(names),
    elements: (name: string) => vpp.stats().elements(name),
  };
  const counters = new CounterReader(stats as unknown as Stats);
  return Object.assign(() => counters.read(vpp.state()), { takeUp: () => counters.takeUp(vpp.state()) });
}

test('everything has the name of its item or rule', async () => {
  const vpp = new FakeVpp();
  vpp.rx = [0, 2, 5];
  vpp.drops = [0, 0, 1];
  vpp.hits = [2, 3, 1];
  vpp.translations = [9, 4];
  vpp.errors = { 'acl-plugin-in-ip4-fa/ACL deny packets': 1, 'ip4-input/none': 12 };
  assert.equal(await reader(vpp)(), {
    interfaces: {
      [POD]: { rxPackets: 5, rxBytes: 500, txPackets: 0, txBytes: 0, drops: 4 },
      'interface/uplink': { rxPackets: 2, rxBytes: 200, txPackets: 0, txBytes: 0, drops: 0 },
    },
    outcomes: { 'drop-policy-egress': 1, 'forward-pod': 6 },
    services: { [WEB]: { connections: 4, packets: 4 } },
    rules: { 'NetworkPolicy shop/web spec.ingress[0]': 5, 'default deny': 1 },
    sessions: { active: 5, created: 11, evicted: 0, expired: 2 },
    tables: { buffers: { used: 100, limit: 1000 }, 'main-heap': { used: 300, limit: 1000 } },
  });
});

test('what is made anew goes on counting where it was, what is another starts at 0', async () => {
  const vpp = new FakeVpp();
  const read = reader(vpp);
  Object.assign(vpp, { rx: [0, 0, 5], hits: [2, 0, 0], translations: [0, 6] });
  await read();
  // The list is replaced, the translation made anew under another number, the interface too.
  Object.assign(vpp, { hits: [1, 0, 0], translations: [2, 0] });
  vpp.handles.set('cnat-translation/web', 0);
  vpp.rx = [0, 0, 1];
  const after = await read();
  assert.is(after.interfaces[POD]?.rxPackets, 6);
  assert.is(after.rules['NetworkPolicy shop/web spec.ingress[0]'], 3);
  assert.is(after.services[WEB]?.connections, 8);
  // Gone, and back as another.
  const item = vpp.items.get(POD);
  vpp.items.delete(POD);
  assert.not(POD in (await read()).interfaces);
  vpp.item(item as unknown as { kind: string; key: Key; role: string });
  vpp.rx = [0, 0, 2];
  assert.is((await read()).interfaces[POD]?.rxPackets, 2);
});

test('a rule that took the place of another one is not taken for it', async () => {
  const vpp = new FakeVpp();
  const read = reader(vpp);
  vpp.hits = [5, 0, 0];
  await read();
  vpp.object('acl', 'acl/policy/web', {
    rules: [{ text: 'NetworkPolicy shop/new spec.ingress[0]', allowed: true }],
  });
  vpp.hits = [7];
  assert.equal((await read()).rules, { 'NetworkPolicy shop/new spec.ingress[0]': 7 });
});

test('a list that got another number goes on counting', async () => {
  const vpp = new FakeVpp();
  const read = reader(vpp);
  vpp.hits = [2, 0, 0];
  await read();
  vpp.acl = 7;
  vpp.handles.set('acl/policy/web', 7);
  vpp.hits = [3, 0, 0];
  assert.is((await read()).rules['NetworkPolicy shop/web spec.ingress[0]'], 5);
});

test('what was counted before a change is not lost with it', async () => {
  const vpp = new FakeVpp();
  const read = reader(vpp);
  await read();
  vpp.hits = [6, 0, 0];
  await read.takeUp();
  vpp.hits = [1, 0, 0];
  assert.is((await read()).rules['NetworkPolicy shop/web spec.ingress[0]'], 7);
});

test('services that are not counted are left out', async () => {
  const vpp = new FakeVpp();
  vpp.item({ kind: 'service', key: 'service/shop/db/TCP/1/internal' });
  const read = reader(vpp);
  assert.equal(Object.keys((await read()).services).sort(), ['service/shop/db/TCP/1/internal', WEB]);
  // IPv6 ones are CNAT's nevertheless.
  vpp.options = { ...DEFAULT_OPTIONS, services: 'nat44' };
  vpp.translations = [0, 3];
  assert.equal((await read()).services, { [WEB]: { connections: 3, packets: 3 } });
});

test('the sessions of the ACL plugin are read from what it prints', () => {
  assert.equal(parseAclSessions('x\nSessions total: add 12 - del 5 = 7\n'), { added: 12, deleted: 5 });
  assert.is(parseAclSessions('unknown command'), null);
});

test.run();
