/** Interfaces of real VPPs in what the behaviour suite does not ask: other sorts than af_packet, limits, names, what is read back. Needs root and VPP. */
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { openVppApi } from '../../control/backends/vpp/api/open.js';
import { typed } from '../../control/backends/vpp/api/typed.js';
import { LINK_DESCRIPTORS } from '../../control/backends/vpp/links/index.js';
import { memifId } from '../../control/backends/vpp/links/source.js';
import type { InterfaceSource, InterfaceSpec } from '../../control/backends/vpp/links/specs.js';
import { HandleTable } from '../../control/backends/vpp/objects/handles.js';
import type { VppObject, VppOptions } from '../../control/backends/vpp/objects/types.js';
import { DEFAULT_OPTIONS } from '../../control/backends/vpp/options.js';
import type { InterfaceItem, RateLimit } from '../../control/ruleset/types.js';
import type { VppInstall } from '../../control/sim/vpp/install.js';
import { loadNative } from '../../native/index.js';
import * as items from '../backends/items.js';
import { type Host, TestNode } from '../backends/node.js';
import { openVppRig, type VppRig } from '../backends/vpp-rig.js';
import { onEveryVpp } from './needs.js';

async function withNode(
  install: VppInstall,
  backend: Partial<VppOptions>,
  body: (node: TestNode, rig: VppRig) => Promise<void>,
): Promise<void> {
  const rig = await openVppRig(loadNative(), { install, backend });
  try {
    await body(await TestNode.open(async () => rig), rig);
  } finally {
    await rig.close();
  }
}

/** All link objects that VPP has, by key. */
async function readAll(rig: VppRig, install: VppInstall): Promise<ReadonlyMap<string, VppObject>> {
  const { apiSocket: socket } = rig.vpp.paths;
  const api = await openVppApi({ socket, apiDir: install.apiDir, name: 'test' });
  try {
    const context = { api: typed(api), handles: new HandleTable(), options: DEFAULT_OPTIONS };
    const found = new Map<string, VppObject>();
    for (const descriptor of LINK_DESCRIPTORS) {
      for (const object of await descriptor.read(context)) found.set(object.key, object);
    }
    return found;
  } finally {
    await api.close();
  }
}

const test = suite('interfaces on VPP');

const sourceIn = (found: ReadonlyMap<string, VppObject>, key: string): InterfaceSource | undefined =>
  (found.get(key)?.spec as InterfaceSpec | undefined)?.source;

onEveryVpp(test, 'pods on AF_XDP', (install) =>
  withNode(install, { pod: { type: 'af_xdp' } }, async (node, rig) => {
    const [a, b] = [await node.addPod(1, 'a'), await node.addPod(2, 'b')];
    assert.is(await a.reaches(b.address, 80), 'b');
    assert.is(await b.reaches(a.address6, 80, 'udp'), 'a');
    assert.match(await rig.cli('show interface'), /xdp-p1-a/);
    const found = await readAll(rig, install);
    assert.equal(sourceIn(found, 'if/pod/shop/a'), { type: 'af_xdp', link: 'p1-a' });
    await node.remove(...items.podItems(1, 2, 'b').map(({ key }) => key));
    assert.not.match(await rig.cli('show interface'), /xdp-p1-b/);
  }),
);

onEveryVpp(test, 'a memif waits on its socket for whoever comes, and goes with its pod', (install) =>
  withNode(
    install,
    { pod: { type: 'memif', socket: `/tmp/pteropus-${process.pid}.memif` } },
    async (node, rig) => {
      await node.addPod(1, 'a');
      const found = await readAll(rig, install);
      const socket = `/tmp/pteropus-${process.pid}.memif`;
      assert.equal(sourceIn(found, 'if/pod/shop/a'), { type: 'memif', socket, id: memifId('p1-a') });
      await node.remove(...items.podItems(1, 1, 'a').map(({ key }) => key));
      assert.not((await readAll(rig, install)).has('if/pod/shop/a'));
    },
  ),
);

onEveryVpp(test, 'what a pod may send and receive is limited, each way by itself', (install) =>
  withNode(install, {}, async (node, rig) => {
    const [a, b] = [await node.addPod(1, 'a'), await node.addPod(2, 'b')];
    const pod = node.items.get(items.podKey('a')) as InterfaceItem;
    const limit = async (fromPod: RateLimit | null, toPod: RateLimit | null): Promise<void> =>
      node.put({ ...pod, limits: { fromPod, toPod } });
    const passed = async (from: Host, to: Host): Promise<number> => {
      await rig.settle();
      to.received.length = 0;
      for (let i = 0; i < 60; i++) from.sendUdp(to.address, 5000, 80, 'x'.repeat(1000));
      await rig.settle();
      await rig.settle();
      return to.takeUdp().filter(({ sourcePort }) => sourcePort === 5000).length;
    };
    // Ten kilobytes at once, and next to nothing in the long run.
    const narrow = { bitsPerSecond: 8000, burstBits: 80_000 };
    await limit(narrow, null);
    const out = await passed(a, b);
    assert.ok(out >= 5 && out <= 12, `${out} sent`);
    assert.is(await passed(b, a), 60, 'the other way is free');
    await limit(null, narrow);
    const into = await passed(b, a);
    assert.ok(into >= 5 && into <= 12, `${into} received`);
    assert.ok((await readAll(rig, install)).has('policer/output/if/pod/shop/a'));
    await node.put(pod);
    assert.is(await passed(a, b), 60);
    assert.not.match(await rig.cli('show policer'), /pt[<>]/, 'nothing is left of the limits');
  }),
);

onEveryVpp(test, 'a largest packet that changes is in force for what goes on', (install) =>
  withNode(install, {}, async (node, rig) => {
    const [a, b] = [await node.addPod(1, 'a'), await node.addPod(2, 'b')];
    const before = await readAll(rig, install);
    const pod = node.items.get(items.podKey('b')) as InterfaceItem;
    await node.put({ ...pod, mtu: 1300 });
    a.sendUdp(b.address, 7700, 80, 'x'.repeat(1290));
    await a.arrived(1);
    const error = a.received.find(({ protocol }) => protocol === 1)?.payload ?? new Uint8Array(8);
    assert.equal([error[0], error[1], ((error[6] ?? 0) << 8) | (error[7] ?? 0)], [3, 4, 1300]);
    assert.is(await a.reaches(b.address, 80), 'b');
    const after = await readAll(rig, install);
    assert.equal([...after.keys()].sort(), [...before.keys()].sort());
  }),
);

onEveryVpp(test, 'names as long as Kubernetes allows', (install) =>
  withNode(install, {}, async (node, rig) => {
    const [long, other] = ['1', '2'].map((end) => `${'a'.repeat(200)}${end}`);
    for (const [i, name] of [long, other].entries()) {
      const link = `p1-${i}`;
      await rig.attach(link, () => undefined);
      const [pod, ...rest] = items.podItems(1, i + 1, name ?? '');
      await node.put({ ...(pod as InterfaceItem), link }, ...rest);
    }
    const keys = [...(await readAll(rig, install)).keys()].filter((key) => key.startsWith('if/pod/'));
    assert.is(new Set(keys).size, 2);
  }),
);

test.run();
