/** A worker that dies is replaced: over the same memory, with its ports open again and connections alive. Needs root. */

import { fileURLToPath } from 'node:url';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import * as L from '../../dataplane-as/layout/index.js';
import { loadNative } from '../../native/index.js';
import * as items from '../../test/backends/items.js';
import type { TestNode } from '../../test/backends/node.js';
import { until, withXdpNode } from '../../test/backends/xdp-node.js';
import { openXdpRig, type XdpRig } from '../../test/backends/xdp-rig.js';
import { file, root, testIf } from '../../test/support/requires.js';
import { wordsOf } from '../backends/wasm/memory.js';

const addon = fileURLToPath(new URL('../../../native/pteropus.node', import.meta.url));
const it = testIf(test, root(), file(addon));

const withNode = (body: (node: TestNode, rig: XdpRig) => Promise<void>): Promise<void> =>
  withXdpNode(() => openXdpRig(loadNative()), body);

it('connections outlive the worker', () =>
  withNode(async (node, { dataplane, lines }) => {
    const [a, b] = [await node.addPod(1, 'a'), await node.addPod(2, 'b')];
    a.sendUdp(b.address, 5000, 80);
    await node.rig.settle();
    const before = (await node.rig.backend.counters()).sessions;
    assert.is(before.created, 1);
    dataplane.runner.replaceWorker('test');
    await until(() => dataplane.runner.restarts === 1, 'restart');
    // Changes are taken while and after the worker comes back.
    await node.addPod(3, 'c');
    b.received.length = 0;
    a.sendUdp(b.address, 5000, 80);
    await b.arrived(1);
    assert.is(b.takeUdp().length, 1);
    assert.is((await node.rig.backend.counters()).sessions.created, 1, 'no new session was needed');
    assert.ok(lines.some((line) => line.includes('restart 1')));
  }));

it('a trap is no end: the worker comes back, and a resync mends the tables that caused it', () =>
  withNode(async (node, { dataplane }) => {
    const [a, b] = [await node.addPod(1, 'a'), await node.addPod(2, 'b')];
    const words = wordsOf(dataplane.memory);
    const active = Atomics.load(words, (L.CONTROL_BASE + L.CTL_ACTIVE_IMAGE) >>> 2);
    words[(active + L.IMG_PORTS) >>> 2] = 0xf0000000;
    a.sendUdp(b.address, 5000, 80);
    await until(() => dataplane.runner.restarts > 0, 'trap');
    const found = await node.rig.backend.dump();
    const missing = [...node.items.values()].filter(({ key }) => !found.has(key));
    assert.ok(missing.length > 0);
    await node.apply(missing.map((item) => ({ type: 'add', key: item.key, item })));
    assert.is(await a.reaches(b.address, 80), 'b');
    await a.reaches(items.gateway(1), 0, 'icmp');
  }));

test.run();
