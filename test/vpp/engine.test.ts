/** The engine on real VPPs: taking up what is there, refilling, mending, taking back. Needs root and VPP. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { openVppApi } from '../../control/backends/vpp/api/open.js';
import { interfaceKey } from '../../control/backends/vpp/objects/names.js';
import type { VppOptions } from '../../control/backends/vpp/objects/types.js';
import { openObserver } from '../../control/backends/vpp/observer.js';
import { type OpenedVppBackend, openOver } from '../../control/backends/vpp/open.js';
import { DEFAULT_OPTIONS } from '../../control/backends/vpp/options.js';
import { DESCRIPTORS, renderersOf } from '../../control/backends/vpp/registry.js';
import type { Change, Item, Key } from '../../control/ruleset/types.js';
import type { VppInstall } from '../../control/sim/vpp/install.js';
import { loadNative } from '../../native/index.js';
import * as items from '../backends/items.js';
import { makeLink, makeNetns } from '../backends/xdp-rig.js';
import { type CountingApi, countingApi } from '../support/counting-api.js';
import { file, program, root } from '../support/requires.js';
import { installedVpps, startVpp, type TestVpp, vpp } from '../support/vpp.js';

const PODS = ['a', 'b', 'c'];
/** Of one more, whose name is long. */
const LONG_LINK = 'l';

interface Opened {
  readonly backend: OpenedVppBackend;
  readonly api: CountingApi;
  readonly lines: readonly string[];
}

interface Lab {
  readonly vpp: TestVpp;
  readonly lines: readonly string[];
  open(keep?: boolean, wanted?: Partial<VppOptions>): Promise<Opened>;
}

async function withVpp(install: VppInstall, work: (lab: Lab) => Promise<void>): Promise<void> {
  const native = loadNative();
  const netns = makeNetns(native);
  const folder = mkdtempSync(join(tmpdir(), 'pteropus-keep-'));
  const opened: Opened[] = [];
  let running: TestVpp | null = null;
  try {
    for (const link of [items.uplinkLink(1), items.hostLink(1)]) makeLink(netns, link);
    for (const name of [...PODS, LONG_LINK]) makeLink(netns, items.podLink(1, name));
    const started = await startVpp(netns.path, install);
    running = started;
    const open = async (keep = true, wanted: Partial<VppOptions> = {}): Promise<Opened> => {
      const options = { ...DEFAULT_OPTIONS, ...wanted };
      const { apiSocket, statsSocket } = started.paths;
      const api = countingApi(await openVppApi({ socket: apiSocket, apiDir: install.apiDir, name: 'test' }));
      const lines: string[] = [];
      const backend = await openOver(api, {
        ...{ options, renderers: renderersOf(options), descriptors: DESCRIPTORS },
        ...{ observer: openObserver(statsSocket), log: (line: string) => lines.push(line) },
        keepFile: keep ? join(folder, 'items') : null,
      });
      opened.push({ backend, api, lines });
      return { backend, api, lines };
    };
    await work({ vpp: started, open, lines: [] });
  } finally {
    for (const { backend } of opened) await backend.close();
    await running?.close();
    rmSync(folder, { recursive: true });
    native.deleteNetns(netns.path.slice(netns.path.lastIndexOf('/') + 1));
    netns.close();
  }
}

/** A name longer than what VPP keeps of names. */
const LONG = 'long-'.repeat(40);

/** The items of a pod of that name on the link of another one. */
function longPod(link: string, number: number): readonly Item[] {
  const text = JSON.stringify(items.podItems(1, number, link));
  return JSON.parse(
    text.replaceAll(`shop/${link}`, `shop/${LONG}`).replaceAll(`"name":"${link}"`, `"name":"${LONG}"`),
  );
}

/** A node with a peer, pods, policies and services. */
function everything(): readonly Item[] {
  const web = items.policy('web', 'ingress', [
    items.allow('web', ['addressset/friends'], [items.port('TCP', 80)]),
  ]);
  return [
    ...items.nodeItems(1),
    ...items.peerItems(1, 2),
    ...PODS.flatMap((name, i) => items.podItems(1, i + 1, name)),
    items.addressSet('friends', ['10.1.1.2', '10.1.2.2']),
    web,
    items.endpoint('b', web.key, null),
    ...longPod(LONG_LINK, 9),
    items.endpoint(LONG, web.key, null),
    items.service('two', {
      frontends: [{ address: '10.96.0.10', port: 80, type: 'ClusterIP' }],
      backends: ['10.1.1.2:80', '10.1.2.2:80'],
    }),
    items.service('none', {
      frontends: [{ address: '10.96.0.11', port: 80, type: 'ClusterIP' }],
      backends: [],
    }),
    items.service('six', {
      frontends: [{ address: 'fd00:96::a', port: 80, type: 'ClusterIP' }],
      backends: ['[fd00:1:0:1::2]:80'],
    }),
  ];
}

/** The last of each key. */
function ruleset(list: readonly Item[]): ReadonlyMap<Key, Item> {
  return new Map(list.map((item) => [item.key, item]));
}

const ALL = ruleset(everything());
const add = (item: Item): Change => ({ type: 'add', key: item.key, item });
const remove = (item: Item): Change => ({ type: 'remove', key: item.key, old: item });

async function apply({ backend }: Opened, changes: readonly Change[]): Promise<void> {
  const results = await backend.apply(changes);
  assert.equal(
    results.filter(({ error }) => error !== null),
    [],
  );
}

const sortedKeys = (map: ReadonlyMap<Key, Item>): readonly Key[] => [...map.keys()].sort();

async function assertAllThere({ backend, lines }: Opened): Promise<void> {
  const found = await backend.dump();
  assert.equal(sortedKeys(found), sortedKeys(ALL), lines.join('\n'));
  for (const [key, item] of ALL) assert.equal(found.get(key), item);
}

function engineTests(install: VppInstall): void {
  const test = suite(`engine on ${basename(install.prefix)}`);

  test('a backend that comes back takes up everything and changes nothing', () =>
    withVpp(install, async (lab) => {
      const first = await lab.open();
      await apply(first, [...ALL.values()].map(add));
      await assertAllThere(first);
      await first.backend.close();
      const second = await lab.open();
      await assertAllThere(second);
      assert.equal(second.lines, []);
      // Even one that knows nothing: it puts in again what VPP has.
      const third = await lab.open(false);
      assert.is((await third.backend.dump()).size, 0);
      await apply(third, [...ALL.values()].map(add));
      assert.equal([...second.api.changes, ...third.api.changes], []);
      await assertAllThere(third);
    }));

  test('nothing is left when all items have gone, and what no item explains goes', () =>
    withVpp(install, async (lab) => {
      const first = await lab.open(false);
      await apply(first, [...ALL.values()].map(add));
      await apply(first, [...ALL.values()].map(remove));
      assert.is((await first.backend.dump()).size, 0);
      await apply(first, [...ALL.values()].map(add));
      const second = await lab.open(false);
      await second.backend.dump();
      const few = items.nodeItems(1);
      await apply(second, few.map(add));
      const third = await lab.open(false);
      await apply(third, few.map(add));
      assert.equal(third.api.changes, []);
    }));

  test('a VPP that was killed is empty, and filled again', () =>
    withVpp(install, async (lab) => {
      const first = await lab.open();
      await apply(first, [...ALL.values()].map(add));
      await lab.vpp.kill();
      await first.backend.lost;
      let refused = false;
      await first.backend.apply([remove(items.endpoint('a', null, null))]).catch(() => {
        refused = true;
      });
      assert.ok(refused);
      await lab.vpp.start();
      const second = await lab.open();
      assert.is((await second.backend.dump()).size, 0);
      assert.match(second.lines.join(), 'started anew');
      await apply(second, [...ALL.values()].map(add));
      await assertAllThere(second);
    }));

  test('whatever somebody else takes away is missed, and put in again', () =>
    withVpp(install, async (lab) => {
      const opened = await lab.open();
      await apply(opened, [...ALL.values()].map(add));
      const { api, backend } = opened;
      const [a, b, up] = [items.podLink(1, 'a'), items.podLink(1, 'b'), items.uplinkLink(1)];
      const index = (key: string): number => backend.vpp.handles.get(key);
      const damages: readonly (() => Promise<unknown>)[] = [
        () => api.cli(`set interface state host-${a} down`),
        () => api.cli(`delete host-interface name ${b}`),
        () => api.cli('set acl-plugin reclassify-sessions 0'),
        () => api.cli(`set interface ip address del host-${up} ${items.nodeAddress(1)}/24`),
        () => api.cli(`set interface tag host-${up} somebody-elses`),
        () => api.cli('cnat translation del 0'),
        () =>
          api.request('acl_interface_set_acl_list', { sw_if_index: index(interfaceKey(items.podKey('b'))) }),
      ];
      for (const [i, damage] of damages.entries()) {
        await damage();
        const found = await backend.dump();
        const missing = [...ALL.values()].filter(({ key }) => !found.has(key));
        assert.ok(missing.length > 0, `damage ${i} is seen`);
        await apply(opened, missing.map(add));
        await assertAllThere(opened);
      }
    }));

  test('a look sees that a pod is cut off, or no longer judged or checked, and mends it', () =>
    withVpp(install, async (lab) => {
      const opened = await lab.open();
      const { api, backend } = opened;
      await apply(opened, [...ALL.values()].map(add));
      const before = api.changes.length;
      assert.is(await backend.look(), false, opened.lines.join('\n'));
      assert.is(api.changes.length, before);
      const index = (name: string): number => backend.vpp.handles.get(interfaceKey(items.podKey(name)));
      const unchecked = { is_input: true, mode: 'URPF_API_MODE_OFF', af: 'ADDRESS_IP4' };
      const damages: readonly (() => Promise<unknown>)[] = [
        () => api.request('acl_interface_set_acl_list', { sw_if_index: index('b') }),
        () => api.request('urpf_update', { ...unchecked, sw_if_index: index('a') }),
        () => api.cli(`delete host-interface name ${items.podLink(1, 'b')}`),
        () => api.cli(`set interface state host-${items.podLink(1, 'a')} down`),
      ];
      for (const [i, damage] of damages.entries()) {
        await damage();
        assert.is(await backend.look(), true, `damage ${i} is seen`);
        await assertAllThere(opened);
        assert.is(await backend.look(), false);
      }
    }));

  test('services are made in another way by a backend that is told to', () =>
    withVpp(install, async (lab) => {
      const first = await lab.open();
      await apply(first, [...ALL.values()].map(add));
      await first.backend.close();
      for (const services of ['nat44', 'cnat'] as const) {
        const second = await lab.open(true, { services });
        const found = await second.backend.dump();
        const missing = [...ALL.values()].filter(({ key }) => !found.has(key));
        assert.ok(missing.some(({ kind }) => kind === 'service'));
        assert.not(missing.some(({ kind }) => kind === 'policy'));
        await apply(second, missing.map(add));
        await assertAllThere(second);
        await second.backend.close();
        const third = await lab.open(true, { services });
        await assertAllThere(third);
        await apply(third, [remove(items.endpoint('a', null, null))]);
        await apply(third, [add(items.endpoint('a', null, null))]);
        assert.equal([...new Set(third.api.changes)], ['acl_interface_set_acl_list']);
        await third.backend.close();
      }
    }));

  test('an interface that cannot be made takes the transaction back, and is blamed', () =>
    withVpp(install, async (lab) => {
      const opened = await lab.open();
      const node = items.nodeItems(1);
      await apply(opened, node.map(add));
      const before = await opened.backend.dump();
      // This pod has no link.
      const wrong = items.podItems(1, 4, 'nobody');
      const results = await opened.backend.apply([...items.podItems(1, 1, 'a'), ...wrong].map(add));
      const blamed = results.filter(({ error }) => error !== null).map(({ key }) => key);
      assert.equal(blamed, [items.podKey('nobody')]);
      assert.equal(await opened.backend.dump(), before);
      const third = await lab.open(false);
      await apply(third, node.map(add));
      assert.equal(third.api.changes, [], 'nothing of it has stayed');
      await apply(opened, items.podItems(1, 1, 'a').map(add));
    }));

  test.run();
}

const addon = fileURLToPath(new URL('../../../native/pteropus.node', import.meta.url));
const lacking = [root(), file(addon), program('nsenter'), program('setpriv')].find((need) => need !== null);
const installs = lacking === undefined ? installedVpps() : [];
for (const install of installs) engineTests(install);
if (installs.length === 0) {
  const test = suite('engine on VPP');
  process.stdout.write(`skipped: the engine on VPP: ${lacking ?? vpp()}\n`);
  test.skip('the engine on VPP');
  test.run();
}
