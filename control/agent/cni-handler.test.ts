import { mkdirSync, readFileSync, rmSync } from 'node:fs';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { CNI } from '../cni/codes.js';
import type { CniRequest } from '../cni/messages.js';
import { BARE_CONF } from '../cni/netconf.js';
import type { Pod } from '../objects/types.js';
import type { EndpointItem, InterfaceItem, PolicyItem } from '../ruleset/types.js';

import { denyAll, directory, Machine, pod, request, wired } from './fixtures.js';

test('ADD answers with the address, the gateway and the default route, after the policies are in force', async () => {
  const machine = new Machine();
  await machine.put(pod('web', { app: 'web' }));
  await machine.put(denyAll('closed', { app: 'web' }));
  const agent = await machine.agent();
  const reply = await agent.cni.add(request('web'));
  const endpoint = machine.dataplane.items.get('endpoint/shop/web') as EndpointItem;
  const policy = machine.dataplane.items.get(endpoint.ingress ?? '') as PolicyItem;
  assert.equal(
    policy.isolatedBy.map(({ name }) => name),
    ['closed'],
  );
  assert.is(policy.rules.length, 0);
  const link = machine.dataplane.items.get('interface/pod/shop/web') as InterfaceItem;
  const address = { version: 'IPV4', address: '10.1.1.2/32', gateway: '10.1.1.1' };
  assert.equal(reply, {
    result: 0,
    error: '',
    interfaces: [
      { name: 'eth0', mac: link.peerMac, sandbox: '/run/netns/c-web', ipAddresses: [address], mtu: 1450 },
      { name: link.link, mac: link.mac, sandbox: '', ipAddresses: [], mtu: 1450 },
    ],
    routes: [{ dst: '0.0.0.0/0', gw: '10.1.1.1' }],
  });
  await agent.close();
});

test('the reply waits for the data plane and for the journal', async () => {
  const machine = new Machine();
  await machine.put(pod('web'));
  const agent = await machine.agent();
  let release = (): void => undefined;
  let reached = (): void => undefined;
  const applying = new Promise<void>((resolve) => {
    reached = resolve;
  });
  machine.dataplane.before = () => {
    reached();
    return new Promise((resolve) => {
      release = resolve;
    });
  };
  let answered = false;
  const adding = agent.cni.add(request('web')).then((reply) => {
    answered = true;
    return reply;
  });
  await applying;
  await new Promise((resolve) => setImmediate(resolve));
  assert.not(answered);
  release();
  assert.is((await adding).result, 0);
  assert.match(readFileSync(machine.journal, 'utf8'), /"c-web"/);
  await agent.close();
});

test('an ADD whose pod is not known yet waits for it; one that stays unknown starts closed', async () => {
  const machine = new Machine();
  await machine.put(denyAll('closed', { app: 'web' }));
  const agent = await machine.agent({ podObjectWaitMs: 5000 });
  const adding = agent.cni.add(request('web'));
  await machine.put(pod('web', { app: 'web' }));
  assert.is((await adding).result, 0);
  await agent.close();
  const hasty = await machine.agent({ podObjectWaitMs: 1 });
  assert.is((await hasty.cni.add(request('ghost'))).result, 0);
  const endpoint = machine.dataplane.items.get('endpoint/shop/ghost') as EndpointItem;
  assert.ok(endpoint.ingress !== null, 'any policy of its namespace may be its own');
  await hasty.close();
});

test('an ADD for a pod recreated under its old name waits for the new object, and never takes the old one’s labels', async () => {
  const machine = new Machine();
  const of = (uid: string): Pod => ({ ...pod('web'), metadata: { ...pod('web').metadata, uid } });
  const args = 'K8S_POD_NAMESPACE=shop;K8S_POD_NAME=web;K8S_POD_UID=new';
  await machine.put(of('old'));
  const hasty = await machine.agent({ podObjectWaitMs: 1 });
  assert.is((await hasty.cni.add(request('web', 'c1', { args: args }))).result, CNI.tryAgainLater);
  await hasty.close();
  const agent = await machine.agent({ podObjectWaitMs: 5000 });
  const adding = agent.cni.add(request('web', 'c1', { args: args }));
  await machine.put(of('new'));
  assert.is((await adding).result, 0);
  await agent.close();
});

test('a refused ADD leaves nothing: no address, no link, no journal entry, no item', async () => {
  const machine = new Machine();
  const agent = await machine.agent();
  const before = new Map(machine.dataplane.items);
  machine.dataplane.refuse = ({ key }) => (key.startsWith('endpoint/') ? 'no room' : null);
  const reply = await agent.cni.add(request('web'));
  assert.is(reply.result, CNI.failed);
  assert.match(reply.error, 'endpoint/shop/web: TableFullError: no room');
  assert.is(machine.links.pods.size, 0);
  assert.equal(machine.dataplane.items, before);
  assert.not.match(readFileSync(machine.journal, 'utf8'), 'c-web');
  const record = agent.history.at(-1);
  assert.is(record?.name, 'CNI ADD');
  assert.ok(record?.reverted);
  machine.dataplane.refuse = () => null;
  await wired(agent, 'web');
  const fresh = await wired(agent, 'other');
  assert.not.equal(fresh, '10.1.1.2');
  await agent.close();
});

test('a link that cannot be made frees the address', async () => {
  const machine = new Machine();
  const agent = await machine.agent({ journal: null, podObjectWaitMs: 0 });
  machine.links.failAttach = new Error('no such namespace');
  assert.is((await agent.cni.add(request('web'))).result, CNI.failed);
  machine.links.failAttach = null;
  const addresses = new Set<string>();
  for (let i = 0; i < 252; i++) addresses.add(await wired(agent, `p${i}`));
  assert.is(addresses.size, 252, 'every address of the pool is still to be had');
  const full = await agent.cni.add(request('more'));
  assert.is(full.result, CNI.tryAgainLater);
  assert.match(full.error, 'no pod address left');
  await agent.close();
});

test('a journal that cannot be written undoes the ADD', async () => {
  const machine = new Machine();
  const agent = await machine.agent();
  mkdirSync(`${machine.journal}.new`);
  const reply = await agent.cni.add(request('web'));
  assert.is(reply.result, CNI.tryAgainLater);
  assert.match(reply.error, 'journal');
  assert.is(machine.links.pods.size, 0);
  assert.not(machine.dataplane.items.has('interface/pod/shop/web'));
  await agent.close();
});

test('the same ADD again: the same answer, nothing changed', async () => {
  const machine = new Machine();
  const agent = await machine.agent();
  const first = await agent.cni.add(request('web'));
  const transactions = machine.dataplane.transactions.length;
  assert.equal(await agent.cni.add(request('web')), first);
  assert.is(machine.dataplane.transactions.length, transactions);
  await agent.close();
});

test('another sandbox of the same pod replaces the first, whose DEL then touches nothing', async () => {
  const machine = new Machine();
  const agent = await machine.agent();
  const first = await wired(agent, 'web', 'c1');
  const second = await wired(agent, 'web', 'c2');
  assert.is.not(first, second);
  assert.is(machine.links.pods.size, 1);
  assert.is((await agent.cni.delete(request('web', 'c1'))).result, 0);
  assert.ok(machine.dataplane.items.has('interface/pod/shop/web'));
  assert.is((await agent.cni.check(request('web', 'c2'))).result, 0);
  await agent.close();
});

test('a replacement that fails leaves neither sandbox, and every address is free', async () => {
  const machine = new Machine();
  const agent = await machine.agent();
  await wired(agent, 'web', 'c1');
  machine.links.failAttach = new Error('no such namespace');
  assert.is((await agent.cni.add(request('web', 'c2'))).result, CNI.failed);
  assert.is(machine.links.pods.size, 0);
  assert.not(machine.dataplane.items.has('interface/pod/shop/web'));
  machine.links.failAttach = null;
  await wired(agent, 'web', 'c3');
  assert.equal(
    [...machine.links.pods.values()].map(({ netns }) => netns),
    ['/run/netns/c3'],
  );
  await agent.close();
});

test('the same sandbox whose link is gone is wired anew', async () => {
  const machine = new Machine();
  const agent = await machine.agent();
  await wired(agent, 'web');
  machine.links.pods.clear();
  assert.is((await agent.cni.check(request('web'))).result, CNI.differs);
  await wired(agent, 'web');
  assert.is((await agent.cni.check(request('web'))).result, 0);
  await agent.close();
});

test('two sandboxes of one pod at the same time: one is wired, whole', async () => {
  const machine = new Machine();
  const agent = await machine.agent();
  const replies = await Promise.all(['c1', 'c2', 'c3'].map((id) => agent.cni.add(request('web', id))));
  const codes = new Set(replies.map(({ result }) => result));
  assert.ok(codes.delete(0));
  codes.delete(CNI.tryAgainLater);
  assert.is(codes.size, 0, 'the others came too early or were replaced');
  assert.is(machine.links.pods.size, 1);
  await agent.close();
});

test('DEL frees everything, twice is fine, unknown is fine', async () => {
  const machine = new Machine();
  const agent = await machine.agent();
  const before = new Map(machine.dataplane.items);
  await wired(agent, 'web');
  for (const name of ['web', 'web', 'never']) {
    assert.is((await agent.cni.delete(request(name, undefined, { netns: '' }))).result, 0);
  }
  assert.is(machine.links.pods.size, 0);
  assert.equal(machine.dataplane.items, before);
  assert.not.match(readFileSync(machine.journal, 'utf8'), 'c-web');
  assert.is((await agent.cni.check(request('web'))).result, CNI.unknownContainer);
  await agent.close();
});

test('DEL works while the data plane is away, which comes back without the pod', async () => {
  const machine = new Machine();
  const agent = await machine.agent();
  await wired(agent, 'web');
  machine.dataplane.reachable = false;
  machine.dataplane.crash();
  assert.is((await agent.cni.delete(request('web'))).result, 0);
  machine.dataplane.reachable = true;
  await agent.resync('downstream');
  assert.ok(machine.dataplane.items.has('node'));
  assert.not(machine.dataplane.items.has('interface/pod/shop/web'));
  await agent.close();
});

test('a DEL that cannot remove the link fails, and the next one does it', async () => {
  const machine = new Machine();
  const agent = await machine.agent();
  await wired(agent, 'web');
  machine.links.failDetach = new Error('busy');
  assert.is((await agent.cni.delete(request('web'))).result, CNI.failed);
  machine.links.failDetach = null;
  assert.is((await agent.cni.delete(request('web'))).result, 0);
  assert.is(machine.links.pods.size, 0);
  await agent.close();
});

test('requests that cannot be right are refused with the code of the specification', async () => {
  const machine = new Machine();
  const agent = await machine.agent();
  const code = async (change: Partial<CniRequest>): Promise<number> =>
    (await agent.cni.add(request('web', 'c1', change))).result;
  assert.is(await code({ containerId: '../x' }), CNI.invalidEnvironment);
  assert.is(await code({ ifname: 'a/b' }), CNI.invalidEnvironment);
  assert.is(await code({ args: 'K8S_POD_NAME=web' }), CNI.invalidEnvironment);
  assert.is(await code({ args: 'nonsense' }), CNI.invalidEnvironment);
  assert.is(await code({ netns: '' }), CNI.invalidEnvironment);
  assert.is(await code({}), 0);
  assert.is(await code({ ifname: 'net1' }), CNI.invalidConfig, 'a second interface');
  assert.is(await code({ args: '' }), CNI.failed, 'the sandbox has an interface of that name');
  assert.is((await agent.cni.add(request('', 'bare', { args: '' }))).result, 0, 'no Kubernetes at all');
  await agent.close();
});

test('ADDs that wait together are one change of the data plane; one that fails does not keep the others', async () => {
  const machine = new Machine();
  const agent = await machine.agent({ podObjectWaitMs: 0 });
  const before = machine.dataplane.transactions.length;
  const names = ['a', 'b', 'c', 'd', 'e'];
  const replies = await Promise.all([
    ...names.map((name) => agent.cni.add(request(name))),
    agent.cni.add(request('late', 'c-a', { netns: '/run/netns/c-a' })),
  ]);
  assert.equal(
    replies.map(({ result }) => result),
    [0, 0, 0, 0, 0, CNI.failed],
  );
  assert.is(machine.dataplane.transactions.length, before + 1);
  assert.equal(
    agent.history
      .filter(({ name }) => name === 'CNI ADD')
      .map(({ object, error }) => [object, error === null]),
    [
      ['shop/a, shop/b, shop/c, shop/d, shop/e, shop/late', true],
      ['shop/late', false],
    ],
  );
  await agent.close();
});

test('one of several that the data plane refuses: the others are wired, it leaves nothing', async () => {
  const machine = new Machine();
  const agent = await machine.agent({ podObjectWaitMs: 0 });
  machine.dataplane.refuse = ({ key }) => (key === 'endpoint/shop/b' ? 'no room' : null);
  const replies = await Promise.all(['a', 'b', 'c'].map((name) => agent.cni.add(request(name))));
  assert.equal(
    replies.map(({ result }) => result),
    [0, CNI.failed, 0],
  );
  assert.is(machine.links.pods.size, 2);
  assert.equal([...machine.dataplane.items.keys()].filter((key) => key.startsWith('endpoint/')).sort(), [
    'endpoint/shop/a',
    'endpoint/shop/c',
  ]);
  await agent.close();
});

test('a DEL calls off the ADD that still waits for its pod: nothing is wired behind its back', async () => {
  const machine = new Machine();
  const agent = await machine.agent({ podObjectWaitMs: 5000 });
  const adding = agent.cni.add(request('web'));
  const other = agent.cni.add(request('db'));
  assert.is((await agent.cni.delete(request('web'))).result, 0);
  const conf = { ...BARE_CONF, validAttachments: new Set<string>() };
  assert.is((await agent.cni.gc(request('', '', { conf }))).result, 0);
  await machine.put(pod('web'));
  await machine.put(pod('db'));
  assert.is((await adding).result, CNI.tryAgainLater);
  assert.is((await other).result, CNI.tryAgainLater);
  assert.is(machine.links.pods.size, 0);
  await agent.close();
});

test('STATUS says whether ADD would be served', async () => {
  const machine = new Machine();
  const agent = await machine.agent();
  assert.is((await agent.cni.status(request('web'))).result, 0);
  machine.dataplane.reachable = false;
  machine.dataplane.crash();
  await machine.until((status) => !status.ready);
  assert.is((await agent.cni.status(request('web'))).result, CNI.limited, 'pods that run suffer, too');
  await agent.close();
});

test('GC unwires what the runtime no longer knows, of its network only', async () => {
  const machine = new Machine();
  const agent = await machine.agent();
  const of = (name: string, ...valid: string[]): Partial<CniRequest> => ({
    conf: { ...BARE_CONF, name, validAttachments: new Set(valid.map((id) => `${id}/eth0`)) },
  });
  for (const name of ['a', 'b', 'c']) await agent.cni.add(request(name, `c-${name}`, of('net')));
  await agent.cni.add(request('d', 'c-d', of('other')));
  assert.is((await agent.cni.gc(request('', '', of('net', 'c-b')))).result, 0);
  const left = [...machine.dataplane.items.keys()].filter((key) => key.startsWith('endpoint/'));
  assert.equal(left.sort(), ['endpoint/shop/b', 'endpoint/shop/d']);
  assert.is((await agent.cni.gc(request('', ''))).result, 0);
  assert.ok(machine.dataplane.items.has('endpoint/shop/b'), 'without a list nothing is known to be stale');
  await agent.close();
});

test.after(() => rmSync(directory, { recursive: true, force: true }));
test.run();
