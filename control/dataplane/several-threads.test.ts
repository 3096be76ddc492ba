/** Two workers, each with a queue of every link: packets come to both, and one that dies is replaced while the other goes on. Needs root. */
import { fileURLToPath } from 'node:url';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { loadNative } from '../../native/index.js';
import * as items from '../../test/backends/items.js';
import type { TestNode } from '../../test/backends/node.js';
import { until, withXdpNode } from '../../test/backends/xdp-node.js';
import { makeLink, openXdpRig, type XdpRig } from '../../test/backends/xdp-rig.js';
import { file, root, testIf } from '../../test/support/requires.js';

const addon = fileURLToPath(new URL('../../../native/pteropus.node', import.meta.url));
const it = testIf(test, root(), file(addon));

const withNode = (body: (node: TestNode, rig: XdpRig) => Promise<void>): Promise<void> =>
  withXdpNode(() => openXdpRig(loadNative(), (netns, link) => makeLink(netns, link, 2), 2), body);

it('packets come to both workers; connections outlive either, and the other goes on meanwhile', () =>
  withNode(async (node, { dataplane, lines }) => {
    const [a, b] = [await node.addPod(1, 'a'), await node.addPod(2, 'b')];
    for (let port = 0; port < 100; port++) a.sendUdp(b.address, 5000 + port, 80);
    await b.arrived(100);
    const counters = await node.rig.backend.counters();
    assert.is(counters.sessions.created, 100);
    assert.is(counters.sessions.active, 100);
    const received = counters.workers?.map(({ packets }) => packets) ?? [];
    assert.is(received.length, 2);
    for (const packets of received) assert.ok(packets > 10, `received ${received.join(' and ')}`);
    for (const dying of [0, 1]) {
      dataplane.runner.replaceWorker('test', dying);
      await until(() => dataplane.runner.restarts === dying + 1, 'restart');
      // Changes are taken while and after the worker comes back.
      await node.addPod(3 + dying, `c${dying}`);
      b.received.length = 0;
      for (let port = 0; port < 100; port++) a.sendUdp(b.address, 5000 + port, 80);
      await b.arrived(100);
      b.takeUdp();
      for (let port = 0; port < 100; port++) b.sendUdp(a.address, 80, 5000 + port);
      await a.arrived(100);
      a.takeUdp();
    }
    assert.is((await node.rig.backend.counters()).sessions.created, 100, 'no new session was needed');
    assert.ok(lines.some((line) => line.includes('worker 1')));
  }));

it('a link with fewer queues than workers is refused by name', async () => {
  const native = loadNative();
  const rig = await openXdpRig(native, (netns, link) => makeLink(netns, link, 1), 2);
  try {
    await rig.attach(items.uplinkLink(1), () => undefined);
    await rig.attach(items.hostLink(1), () => undefined);
    const results = await rig.backend.apply(
      items.nodeItems(1).map((item) => ({ type: 'add', key: item.key, item })),
    );
    const told = results.map(({ error }) => error?.message ?? '').join('\n');
    assert.match(told, '2 workers need as many queues, and it has 1');
  } finally {
    await rig.close();
  }
});

test.run();
