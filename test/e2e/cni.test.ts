/** The CNI contract through the real program and agent, as a container runtime uses it. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { toJson } from '../../control/objects/json.js';
import { podNamespace } from '../../control/sim/afxdp/names.js';
import {
  CniError,
  call,
  cniAdd,
  cniDelete,
  newSandbox,
  POD_INTERFACE,
  type Sandbox,
} from '../../control/sim/afxdp/runtime.js';
import { loadNative } from '../../native/index.js';
import { testIf } from '../support/requires.js';
import { startTestCluster, type TestCluster } from './support/cluster.js';
import { inNetns } from './support/kernel.js';
import { pod } from './support/manifests.js';
import { requirements } from './support/needs.js';
import { barePod, podKey } from './support/spec.js';

const needs = requirements('ip');
let cluster: TestCluster;
let socket = '';

test.before(async () => {
  if (needs.some((need) => need !== null)) return;
  cluster = await startTestCluster('cni', [pod('peer', { node: 'node-1' })], { nodes: 1 });
  socket = cluster.driver.nodes[0]!.paths.cniSocket;
});
test.after(() => cluster?.close());

/** A namespace with nobody in it, as a runtime makes before the first container. */
async function sandbox(name: string): Promise<Sandbox & { readonly namespace: string }> {
  const ref = { namespace: 'default', name };
  const object = barePod(name, 'node-1');
  await cluster.driver.store.put(podKey(object), toJson(object));
  const namespace = podNamespace(cluster.spec.cluster, ref);
  const netns = loadNative().createNetns(namespace);
  netns.close();
  return { ...newSandbox(ref, netns.path), namespace };
}

const links = (namespace: string): readonly string[] =>
  (JSON.parse(inNetns(namespace, 'ip', '-j', 'link')) as { ifname: string }[]).map(({ ifname }) => ifname);

testIf(test, ...needs)('ADD twice is the same as once; DEL twice too, and it frees all', async () => {
  const box = await sandbox('twice');
  const first = await cniAdd(box, socket);
  assert.is(first.ips.length, 1);
  assert.ok(links(box.namespace).includes(POD_INTERFACE));
  assert.equal(await cniAdd(box, socket), first);
  inNetns(box.namespace, 'ping', '-c', '1', '-W', '2', cluster.ip('peer'));
  await cniDelete(box, socket);
  assert.equal(links(box.namespace), ['lo']);
  await cniDelete(box, socket);
  loadNative().deleteNetns(box.namespace);
});

testIf(test, ...needs)('a new sandbox under the same name replaces the old one', async () => {
  const box = await sandbox('again');
  const first = await cniAdd(box, socket);
  // The runtime recreated the sandbox after a crash and never sent DEL.
  loadNative().deleteNetns(box.namespace);
  const next = await sandbox('again');
  const second = await cniAdd(next, socket);
  assert.is(second.ips.length, 1);
  assert.ok(first.ips.length === 1);
  inNetns(next.namespace, 'ping', '-c', '1', '-W', '2', cluster.ip('peer'));
  // The late DEL of the first sandbox must not take the second one's wiring away.
  await cniDelete(box, socket);
  inNetns(next.namespace, 'ping', '-c', '1', '-W', '2', cluster.ip('peer'));
  await cniDelete(next, socket);
  loadNative().deleteNetns(next.namespace);
});

testIf(test, ...needs)('DEL works when the namespace is gone already', async () => {
  const box = await sandbox('gone');
  await cniAdd(box, socket);
  loadNative().deleteNetns(box.namespace);
  await cniDelete(box, socket);
  await cniDelete(newSandbox({ namespace: 'default', name: 'never' }, '/run/netns/never-there'), socket);
});

testIf(test, ...needs)('a failed ADD leaves nothing behind', async () => {
  const box = newSandbox({ namespace: 'default', name: 'broken' }, '/run/netns/pteropus-x-not-there');
  const nodeLinks = (): readonly string[] => links(cluster.driver.nodes[0]!.netns.replace('/run/netns/', ''));
  const before = nodeLinks();
  try {
    await cniAdd(box, socket);
    assert.unreachable();
  } catch (error) {
    assert.instance(error, CniError);
    assert.ok((error as CniError).code > 0);
  }
  assert.equal(nodeLinks(), before);
});

testIf(test, ...needs)('VERSION tells what it speaks; an agent that is away is a plain error', async () => {
  const box = newSandbox({ namespace: 'default', name: 'x' }, '');
  const version = JSON.parse(await call('VERSION', box, socket)) as { supportedVersions: string[] };
  for (const wanted of ['0.3.1', '0.4.0', '1.0.0', '1.1.0'])
    assert.ok(version.supportedVersions.includes(wanted));
  try {
    await cniAdd({ ...box, netns: '/proc/self/ns/net' }, `${socket}.not-there`);
    assert.unreachable();
  } catch (error) {
    assert.instance(error, CniError);
    // 11: try again later (CNI specification, section 5).
    assert.is((error as CniError).code, 11);
  }
});

test.run();
