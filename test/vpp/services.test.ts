/** Services in real VPPs, by both of its translations: taken up as they are, changed by as little as can be, gone without a trace. */
import { basename } from 'node:path';
import { fileURLToPath } from 'node:url';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { openVppApi } from '../../control/backends/vpp/api/open.js';
import type { VppOptions } from '../../control/backends/vpp/objects/types.js';
import { openObserver } from '../../control/backends/vpp/observer.js';
import { type OpenedVppBackend, openOver } from '../../control/backends/vpp/open.js';
import { DEFAULT_OPTIONS } from '../../control/backends/vpp/options.js';
import { DESCRIPTORS, renderersOf } from '../../control/backends/vpp/registry.js';
import type { Change, Frontend, Item, ServiceItem } from '../../control/ruleset/types.js';
import type { VppInstall } from '../../control/sim/vpp/install.js';
import { loadNative } from '../../native/index.js';
import * as items from '../backends/items.js';
import { makeLink, makeNetns } from '../backends/xdp-rig.js';
import { type CountingApi, countingApi } from '../support/counting-api.js';
import { file, program, root } from '../support/requires.js';
import { installedVpps, startVpp, vpp } from '../support/vpp.js';

interface Opened {
  readonly backend: OpenedVppBackend;
  readonly api: CountingApi;
}

type Open = () => Promise<Opened>;

async function withVpp(
  install: VppInstall,
  services: VppOptions['services'],
  work: (open: Open) => Promise<void>,
): Promise<void> {
  const native = loadNative();
  const netns = makeNetns(native);
  const opened: Opened[] = [];
  let running: { close(): Promise<void> } | null = null;
  try {
    for (const link of [items.uplinkLink(1), items.hostLink(1), items.podLink(1, 'a')]) makeLink(netns, link);
    const started = await startVpp(netns.path, install);
    running = started;
    await work(async () => {
      const { apiSocket, statsSocket } = started.paths;
      const api = countingApi(await openVppApi({ socket: apiSocket, apiDir: install.apiDir, name: 'test' }));
      const options = { ...DEFAULT_OPTIONS, services };
      const backend = await openOver(api, {
        ...{ options, renderers: renderersOf(options), descriptors: DESCRIPTORS, keepFile: null },
        ...{ observer: openObserver(statsSocket), log: () => undefined },
      });
      opened.push({ backend, api });
      return { backend, api };
    });
  } finally {
    for (const { backend } of opened) await backend.close();
    await running?.close();
    native.deleteNetns(netns.path.slice(netns.path.lastIndexOf('/') + 1));
    netns.close();
  }
}

const VIP = '10.96.0.10';
const at = (address: string, port: number, type: Frontend['type'] = 'ClusterIP') =>
  ({ address, port, type }) as const;

const weighted = (service: ServiceItem): ServiceItem => ({
  ...service,
  backends: service.backends.map((backend, i) => ({ ...backend, weight: i + 1 })),
});

const ofPod = (service: ServiceItem): ServiceItem => ({
  ...service,
  backends: service.backends.map((backend) => ({ ...backend, pod: { namespace: 'shop', name: 'a' } })),
});

const node = [...items.nodeItems(1), ...items.peerItems(1, 2), ...items.podItems(1, 1, 'a')];
const two = ['10.1.1.2:8080', '10.1.2.2:8080'];
const services: readonly Item[] = [
  items.service('plain', { frontends: [at(VIP, 80)], backends: two }),
  items.service('one', { protocol: 'UDP', frontends: [at(VIP, 53)], backends: ['10.1.1.2:53'] }),
  weighted(
    items.service('weighted', { frontends: [at('10.96.0.11', 80)], backends: [...two, '10.1.1.3:80'] }),
  ),
  items.service('far', {
    scope: 'external',
    frontends: [at(items.nodeAddress(1), 30081, 'NodePort'), at('203.0.113.7', 80, 'LoadBalancer')],
    backends: ['10.1.2.2:80', '10.1.1.2:80'],
  }),
  items.service('nodes', {
    scope: 'external',
    frontends: [at(items.nodeAddress(1), 30443, 'NodePort')],
    backends: ['192.168.16.1:6443', '192.168.16.2:6443'],
  }),
  items.service('ranges', {
    ...{ scope: 'external', frontends: [at('203.0.113.8', 80, 'LoadBalancer')], backends: ['10.1.1.2:9090'] },
    sourceRanges: ['198.51.100.0/24'],
  }),
  items.service('empty', {
    scope: 'external',
    frontends: [at('203.0.113.9', 80, 'LoadBalancer')],
    backends: [],
  }),
  ofPod(
    items.service('host-port', {
      ...{ scope: 'external', frontends: [at(items.nodeAddress(1), 9100, 'HostPort')] },
      backends: ['10.1.1.2:9100'],
    }),
  ),
  items.service('six', { frontends: [at('fd00:96::a', 80)], backends: ['[fd00:1:0:1::2]:80'] }),
];
/** What not every VPP has. */
const sticky = items.service('sticky', {
  ...{ frontends: [at('10.96.0.12', 80)], backends: two, affinitySeconds: 600 },
});

const add = (item: Item): Change => ({ type: 'add', key: item.key, item });
const remove = (item: Item): Change => ({ type: 'remove', key: item.key, old: item });
const update = (old: Item, item: Item): Change => ({ type: 'update', key: item.key, old, item });

async function apply({ backend }: Opened, changes: readonly Change[]): Promise<void> {
  const results = await backend.apply(changes);
  assert.equal(
    results.filter(({ error }) => error !== null),
    [],
  );
}

/** Messages and commands that the work sends to change something. */
async function changesOf({ api }: Opened, work: () => Promise<void>): Promise<readonly string[]> {
  const before = api.changes.length;
  await work();
  return api.changes.slice(before);
}

function servicesTests(install: VppInstall, kind: VppOptions['services']): void {
  const test = suite(`services by ${kind} on ${basename(install.prefix)}`);
  const all = [...node, ...services];

  test('whoever comes back takes all of it up, and it goes without a trace', () =>
    withVpp(install, kind, async (open) => {
      const first = await open();
      await apply(first, all.map(add));
      const second = await open();
      await apply(second, all.map(add));
      assert.equal(second.api.changes, []);
      assert.equal([...(await second.backend.dump()).keys()].sort(), all.map(({ key }) => key).sort());
      await apply(second, services.map(remove));
      const third = await open();
      await apply(third, node.map(add));
      assert.equal(third.api.changes, []);
    }));

  test('a backend more or less is one message; affinity is kept or refused by name', () =>
    withVpp(install, kind, async (open) => {
      const opened = await open();
      const plain = (backends: readonly string[]): Item =>
        items.service('plain', { frontends: [at(VIP, 80)], backends });
      await apply(opened, [...node, plain(two)].map(add));
      const more = plain([...two, '10.1.1.4:8080']);
      const message = kind === 'cnat' ? 'cnat_translation_update' : 'nat44_lb_static_mapping_add_del_local';
      const sent = await changesOf(opened, () => apply(opened, [update(plain(two), more)]));
      assert.equal(sent, [message]);
      assert.equal(await changesOf(opened, () => apply(opened, [update(more, plain(two))])), [message]);
      const [result] = await opened.backend.apply([add(sticky)]);
      const can = kind === 'nat44' || opened.api.has('feature_cnat_enable_disable');
      assert.is(result?.error === null, can, result?.error?.message);
      if (!can) assert.match(result?.error?.message ?? '', 'affinity');
      if (can) {
        const second = await open();
        await apply(second, [...node, plain(two), sticky].map(add));
        assert.equal(second.api.changes, []);
      }
    }));

  test('10,000 services are programmed and taken up', () =>
    withVpp(install, kind, async (open) => {
      const opened = await open();
      await apply(opened, node.map(add));
      const many = Array.from({ length: 10_000 }, (_, i) =>
        items.service(`s${i}`, {
          frontends: [at(`10.97.${i >> 8}.${i & 255}`, 80)],
          backends: [`10.1.1.${2 + (i % 200)}:80`, `10.1.2.${2 + (i % 200)}:80`],
        }),
      );
      const start = performance.now();
      await apply(opened, many.map(add));
      const took = performance.now() - start;
      const second = await open();
      await apply(second, [...node, ...many].map(add));
      assert.equal(second.api.changes, []);
      const rate = Math.round(many.length / (took / 1000));
      process.stdout.write(`\n${kind}: 10,000 services in ${Math.round(took)} ms, ${rate}/s\n`);
    }));

  test.run();
}

const addon = fileURLToPath(new URL('../../../native/pteropus.node', import.meta.url));
const missing = [root(), file(addon), program('nsenter'), program('setpriv')].find((need) => need !== null);
const installs = missing === undefined ? installedVpps() : [];
if (installs.length === 0) {
  const test = suite('services on VPP');
  process.stdout.write(`skipped: services on VPP: ${missing ?? vpp()}\n`);
  test.skip('services in real VPPs');
  test.run();
}
for (const install of installs) for (const kind of ['cnat', 'nat44'] as const) servicesTests(install, kind);
