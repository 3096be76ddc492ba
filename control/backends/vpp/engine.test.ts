import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { Change, Item, Key, RouteItem, RouteTarget } from '../../ruleset/types.js';
import { VppRetvalError, VppTimeoutError } from './api/errors.js';
import { RenderError } from './objects/errors.js';
import { FakeVpp } from './objects/fake-vpp.js';
import type { Renderer, VppObject } from './objects/types.js';
import type { Observer } from './observe.js';
import { type OpenedVppBackend, openOver } from './open.js';
import { DEFAULT_OPTIONS } from './options.js';

/** Every route is a list of what its target says, in a table; a drop needs nothing else, a rejection a soft thing. */
const RENDERER: Renderer = {
  name: 'routes',
  kinds: ['route'],
  render: (item): readonly VppObject[] => {
    if (item.kind !== 'route') return [];
    if (item.prefix === 'impossible') throw new RenderError('is impossible', item.key);
    const table: VppObject = { kind: 'table', key: `table/${item.vrf}`, needs: [], spec: item.vrf };
    const soft: VppObject = { kind: 'soft', key: `soft/${item.prefix}`, needs: [], spec: item.prefix };
    const needs = item.target.type === 'reject' ? [table.key, soft.key] : [table.key];
    const path: VppObject = { kind: 'path', key: item.key, needs, spec: item.target.type };
    return item.target.type === 'reject' ? [table, soft, path] : [table, path];
  },
};

const OBSERVER: Observer = {
  counters: () => Promise.reject(new Error('none')),
  trace: () => Promise.reject(new Error('none')),
  close: () => Promise.resolve(),
};

function route(prefix: string, type: 'drop' | 'reject' = 'drop', vrf: 'main' | 'pod' = 'main'): RouteItem {
  const target: RouteTarget = { type };
  return { kind: 'route', key: `route/${vrf}/${prefix}`, vrf, prefix, target };
}

interface Opened {
  readonly backend: OpenedVppBackend;
  readonly lines: readonly string[];
}

async function open(fake: FakeVpp, keepFile: string | null = null): Promise<Opened> {
  const lines: string[] = [];
  const descriptors = [
    fake.descriptor('table'),
    fake.descriptor('soft', { update: true }),
    fake.descriptor('path', { update: true }),
  ];
  const backend = await openOver(fake.api, {
    ...{ options: DEFAULT_OPTIONS, renderers: [RENDERER], descriptors, observer: OBSERVER, keepFile },
    ...{ log: (line) => lines.push(line), wait: () => Promise.resolve() },
    lookedAt: new Set(['table', 'path']),
  });
  return { backend, lines };
}

const add = (item: Item): Change => ({ type: 'add', key: item.key, item });
const remove = (item: Item): Change => ({ type: 'remove', key: item.key, old: item });
const put = (old: Item, item: Item): Change => ({ type: 'update', key: item.key, item, old });

async function apply({ backend }: Opened, ...changes: readonly Change[]): Promise<void> {
  const results = await backend.apply(changes);
  assert.equal(
    results.filter(({ error }) => error !== null),
    [],
  );
}

const held = (fake: FakeVpp): readonly string[] => [...fake.objects.keys()].sort();
const keys = async ({ backend }: Opened): Promise<readonly Key[]> =>
  [...(await backend.dump()).keys()].sort();

async function withKeep(work: (file: string) => Promise<void>): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'pteropus-keep-'));
  try {
    await work(join(folder, 'items'));
  } finally {
    rmSync(folder, { recursive: true });
  }
}

test('items come and go with their objects', async () => {
  const fake = new FakeVpp();
  const opened = await open(fake);
  const [a, b] = [route('a'), route('b', 'reject')];
  await apply(opened, add(a), add(b));
  assert.equal(held(fake), ['route/main/a', 'route/main/b', 'soft/b', 'table/main']);
  assert.equal(await opened.backend.dump(), new Map([a, b].map((item) => [item.key, item])));
  await apply(opened, put(b, route('b')));
  assert.equal(held(fake), ['route/main/a', 'route/main/b', 'table/main']);
  fake.actions.length = 0;
  await apply(opened, remove(a), remove(b));
  assert.equal(
    fake.actions.map(({ type, key }) => `${type} ${key}`),
    ['remove route/main/a', 'remove route/main/b', 'remove table/main'],
  );
  assert.equal(await keys(opened), []);
});

test('what no renderer takes is kept, and read back', async () => {
  const opened = await open(new FakeVpp());
  const item: Item = {
    ...{ kind: 'healthcheck', key: 'healthcheck/shop/web', namespace: 'shop', name: 'web' },
    ...{ port: 3000, localEndpoints: 1 },
  };
  await apply(opened, add(item));
  assert.equal(await keys(opened), [item.key]);
  await apply(opened, remove(item));
  assert.equal(await keys(opened), []);
});

test('an object VPP refuses takes the whole transaction back, and its change is blamed', async () => {
  const fake = new FakeVpp();
  const opened = await open(fake);
  const [a, b, c] = [route('a'), route('b', 'reject'), route('c', 'reject', 'pod')];
  await apply(opened, add(a), add(b));
  const before = new Map([...fake.objects.values()].map(({ object }) => [object.key, object.spec]));
  fake.fail = ({ type, key }) =>
    type === 'create' && key === c.key ? { error: new VppRetvalError('ip_route_add_del', -3) } : null;
  const results = await opened.backend.apply([put(a, route('a', 'reject')), remove(b), add(c)]);
  assert.equal(
    results.map(({ key, error }) => [key, error?.name ?? null]),
    [
      [a.key, null],
      [b.key, null],
      [c.key, 'ObjectRefusedError'],
    ],
  );
  assert.match(results[2]?.error?.message ?? '', 'create route/pod/c');
  assert.is(results[2]?.error?.retryable, false);
  const after = new Map([...fake.objects.values()].map(({ object }) => [object.key, object.spec]));
  assert.equal([...after].sort(), [...before].sort());
  assert.equal(await keys(opened), [a.key, b.key]);
  fake.fail = () => null;
  await apply(opened, put(a, route('a', 'reject')), remove(b), add(c));
  assert.equal(await keys(opened), [a.key, c.key]);
});

test('whichever action fails, half done or not, all is as before', async () => {
  for (let nth = 0; nth < 12; nth++) {
    for (const half of [false, true]) {
      const fake = new FakeVpp();
      const opened = await open(fake);
      const olds = [route('a'), route('b', 'reject'), route('c', 'drop', 'pod')];
      await apply(opened, ...olds.map(add));
      const before = await opened.backend.dump();
      let count = 0;
      fake.fail = () => (count++ === nth ? { error: new VppRetvalError('x', -1), half } : null);
      const [a, b, c] = olds as [Item, Item, Item];
      const changes = [
        put(a, route('a', 'reject')),
        put(b, route('b')),
        remove(c),
        add(route('d', 'reject')),
      ];
      const results = await opened.backend.apply(changes);
      const failed = results.some(({ error }) => error !== null);
      // What is done all the same needs not be done again.
      assert.is(failed, count > nth && !half, `${nth} ${half}`);
      if (!failed) continue;
      assert.equal(await opened.backend.dump(), before, `${nth} ${half}`);
      const names = ['route/main/a', 'route/main/b', 'route/pod/c', 'soft/b', 'table/main', 'table/pod'];
      assert.equal(held(fake), names);
      await apply(opened, ...changes);
    }
  }
});

test('what may succeed later is tried again; what got no answer is read before anything else', async () => {
  const fake = new FakeVpp();
  const opened = await open(fake);
  let refusals = 2;
  fake.fail = () => (refusals-- > 0 ? { error: new VppRetvalError('x', -165) } : null);
  await apply(opened, add(route('a')));
  assert.is(fake.actions.length, 4);
  for (const half of [true, false]) {
    let answers = 0;
    fake.fail = ({ key }) =>
      key === 'route/main/b' && answers++ === 0 ? { error: new VppTimeoutError('x', 1), half } : null;
    const [result] = await opened.backend.apply([add(route('b'))]);
    assert.is(result?.error?.retryable, half ? undefined : true);
    assert.is(held(fake).includes('route/main/b'), half);
    await apply(opened, add(route('b')));
    await apply(opened, remove(route('b')));
  }
});

test('what was undone or done behind our back is neither undone nor done again', async () => {
  const fake = new FakeVpp();
  const opened = await open(fake);
  await apply(opened, add(route('a', 'reject')), add(route('b')));
  const taken = fake.objects.get('route/main/a');
  fake.objects.delete('route/main/a');
  await apply(opened, remove(route('a', 'reject')));
  assert.equal(held(fake), ['route/main/b', 'table/main']);
  if (taken !== undefined)
    fake.objects.set('route/main/a', { ...taken, object: { ...taken.object, needs: [] } });
  await apply(opened, add(route('a')));
  assert.is(fake.objects.get('route/main/a')?.object.spec, 'drop');
  assert.equal(await keys(opened), ['route/main/a', 'route/main/b']);
});

test('leftovers VPP does not let go of are told, and are in nobody else’s way', async () => {
  const fake = new FakeVpp();
  const first = await open(fake);
  await apply(first, add(route('old', 'reject')), add(route('kept')));
  const second = await open(fake);
  await second.backend.dump();
  fake.fail = ({ type, key }) =>
    type === 'remove' && key === 'route/main/old' ? { error: new VppRetvalError('x', -7) } : null;
  await apply(second, add(route('kept')), add(route('new')));
  assert.match(second.lines.join(), 'remove route/main/old');
  assert.ok(held(fake).includes('route/main/new'));
  // It is tried again with the next change.
  fake.fail = () => null;
  await apply(second, remove(route('new')));
  assert.equal(held(fake), ['route/main/kept', 'table/main']);
});

test('items that cannot be are refused by name, each of them, and nothing is sent', async () => {
  const fake = new FakeVpp();
  fake.lacking.add('soft_add');
  const opened = await open(fake);
  assert.equal(opened.backend.missing, [{ kind: 'soft', messages: ['soft_add'] }]);
  assert.match(opened.lines[0] ?? '', 'soft_add');
  const results = await opened.backend.apply([
    add(route('impossible')),
    add(route('b', 'reject')),
    add(route('a')),
  ]);
  assert.equal(
    results.map(({ error }) => error?.name ?? null),
    ['RenderError', 'UnsupportedError', null],
  );
  assert.match(results[1]?.error?.message ?? '', 'soft_add');
  assert.is(fake.actions.length, 0);
  await apply(opened, add(route('a')));
});

test('an agent that comes back takes up everything and sends nothing', () =>
  withKeep(async (file) => {
    const fake = new FakeVpp();
    const first = await open(fake, file);
    const items = Array.from({ length: 300 }, (_, i) => route(`r${i}`, i % 2 === 0 ? 'drop' : 'reject'));
    await apply(first, ...items.map(add));
    const [a, b] = items as [Item, Item];
    await apply(first, put(b, route('r1')), remove(a));
    await first.backend.close();
    fake.actions.length = 0;
    const second = await open(fake, file);
    const dump = await second.backend.dump();
    assert.is(dump.size, 299);
    assert.equal(dump.get(b.key), route('r1'));
    assert.equal(second.lines, []);
    await apply(second, add(a));
    assert.equal(fake.actions, [{ type: 'create', key: a.key }]);
    await second.backend.close();
    // Without the file all is put in again, and VPP is told nothing that it knows.
    fake.actions.length = 0;
    const third = await open(fake, null);
    assert.is((await third.backend.dump()).size, 0);
    await apply(third, ...[...items.values()].map((item) => add(item.key === b.key ? route('r1') : item)));
    assert.equal(fake.actions, []);
  }));

test('what no item explains goes with the first change, not before', () =>
  withKeep(async (file) => {
    const fake = new FakeVpp();
    const first = await open(fake, null);
    await apply(first, add(route('old', 'reject')), add(route('kept')));
    fake.actions.length = 0;
    const second = await open(fake, file);
    assert.equal(await keys(second), []);
    assert.equal(fake.actions, []);
    await apply(second, add(route('kept')));
    assert.equal(held(fake), ['route/main/kept', 'table/main']);
    await second.backend.close();
  }));

test('what an earlier agent left damaged goes, unless it is put in again', () =>
  withKeep(async (file) => {
    const fake = new FakeVpp();
    const first = await open(fake, file);
    const [a, b, c] = [route('a', 'reject'), route('b', 'reject'), route('c')];
    await apply(first, add(a), add(b), add(c));
    await first.backend.close();
    fake.objects.delete('route/main/a');
    fake.objects.delete('route/main/b');
    const second = await open(fake, file);
    assert.equal(await keys(second), [c.key]);
    await apply(second, add(a));
    assert.equal(held(fake), ['route/main/a', 'route/main/c', 'soft/a', 'table/main']);
    assert.equal(await keys(second), [a.key, c.key]);
    await second.backend.close();
  }));

test('the notes of another run of VPP, and damaged ones, do not count', () =>
  withKeep(async (file) => {
    const first = await open(new FakeVpp(), file);
    await apply(first, add(route('a')));
    await first.backend.close();
    const fresh = new FakeVpp();
    const other = { ...fresh.api, pid: 1 };
    const lines: string[] = [];
    const backend = await openOver(other, {
      ...{ options: DEFAULT_OPTIONS, renderers: [RENDERER], descriptors: [], observer: OBSERVER },
      ...{ keepFile: file, log: (line) => lines.push(line) },
    });
    assert.is((await backend.dump()).size, 0);
    assert.match(lines[0] ?? '', 'started anew');
  }));

test('damage is seen when read back, and mended by putting in again what is missing', async () => {
  const fake = new FakeVpp();
  const opened = await open(fake);
  const [a, b, c] = [route('a', 'reject'), route('b'), route('c', 'reject')];
  await apply(opened, add(a), add(b), add(c));
  fake.objects.delete('route/main/a');
  fake.objects.delete('route/main/c');
  fake.objects.delete('soft/c');
  assert.equal(await keys(opened), [b.key]);
  fake.actions.length = 0;
  await apply(opened, remove(a), add(a));
  // c was not put in again, and never taken away: whoever only looked changes nothing by that.
  assert.equal(fake.actions.map(({ key }) => key).sort(), ['route/main/a', 'route/main/c', 'soft/c']);
  assert.equal(await keys(opened), [a.key, b.key, c.key]);
  await apply(opened, remove(c));
  // One object that was changed behind our back is as good as missing.
  const path = fake.objects.get(b.key);
  if (path !== undefined) fake.objects.set(b.key, { ...path, object: { ...path.object, spec: 'else' } });
  assert.equal(await keys(opened), [a.key]);
  await apply(opened, add(b));
  assert.is(fake.objects.get(b.key)?.object.spec, 'drop');
});

test('a look sees what is gone of the kinds it looks at, and mends everything', async () => {
  const fake = new FakeVpp();
  const opened = await open(fake);
  const { backend, lines } = opened;
  assert.is(await backend.look(), false, 'nobody has said yet what should be there');
  await apply(opened, add(route('a', 'reject')), add(route('b')));
  const whole = held(fake);
  fake.actions.length = 0;
  assert.is(await backend.look(), false);
  assert.equal([fake.actions, lines], [[], []], 'a look changes nothing');
  fake.objects.delete('soft/a');
  assert.is(await backend.look(), false, 'of a kind that is not looked at');
  fake.objects.delete('route/main/a');
  assert.is(await backend.look(), true);
  assert.equal(held(fake), whole);
  assert.match(lines.join('\n'), 'route/main/a is missing');
  assert.is(await backend.look(), false);
});

test('a backend that took up everything looks as well, one that misses something waits until it is told', () =>
  withKeep(async (file) => {
    const fake = new FakeVpp();
    const first = await open(fake, file);
    await apply(first, add(route('a')), add(route('b')));
    const whole = held(fake);
    await first.backend.close();
    const second = await open(fake, file);
    assert.is(await second.backend.look(), false, 'it has read nothing');
    await second.backend.dump();
    fake.objects.delete('route/main/a');
    assert.is(await second.backend.look(), true);
    assert.equal(held(fake), whole);
    await second.backend.close();
    fake.objects.delete('route/main/a');
    const third = await open(fake, file);
    await third.backend.dump();
    fake.objects.delete('route/main/b');
    assert.is(await third.backend.look(), false);
    assert.equal(held(fake), ['table/main']);
  }));

test('a look does not try again and again what VPP refuses', async () => {
  const fake = new FakeVpp();
  const opened = await open(fake);
  await apply(opened, add(route('a')));
  fake.objects.delete('route/main/a');
  fake.fail = () => ({ error: new VppRetvalError('path_add', -1) });
  assert.is(await opened.backend.look(), true);
  fake.actions.length = 0;
  assert.is(await opened.backend.look(), false);
  assert.equal(fake.actions, []);
  fake.fail = () => null;
  assert.equal(await keys(opened), []);
  await apply(opened, add(route('a')));
  assert.equal(held(fake), ['route/main/a', 'table/main']);
});

test('a connection lost in the middle of a transaction fails the call, and nothing counts as done', async () => {
  const fake = new FakeVpp();
  const opened = await open(fake);
  await apply(opened, add(route('a')));
  fake.loseAt('route/main/b');
  let failed: unknown = null;
  await opened.backend.apply([add(route('b'))]).catch((error: unknown) => {
    failed = error;
  });
  assert.match(String(failed), 'gone');
  assert.match((await opened.backend.lost).message, 'gone');
});

test.run();
