import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { eventually } from '../../test/support/eventually.js';
import { CNI } from '../cni/codes.js';
import { type ClusterConfig, DEFAULT_CONFIG, DEFAULT_IPV6 } from '../compiler/input.js';
import { toJson } from '../objects/json.js';
import type { EndpointItem, PolicyItem } from '../ruleset/types.js';
import { openStoreClient } from '../store/client.js';
import { EmbeddedStore } from '../store/embedded.js';
import { serveStore } from '../store/server.js';
import type { Agent } from './agent.js';
import { ClusterRangesError, NodeIdConflictError } from './errors.js';
import { FakeLinks } from './fakes.js';
import { denyAll, directory, Machine, markComplete, NAMESPACE, pod, request, wired } from './fixtures.js';
import { recordOf } from './node-id.js';
import { keyOf, OBJECTS_PREFIX } from './objects.js';

test('a restart keeps node id and addresses, and touches no traffic', async () => {
  const machine = new Machine();
  let agent = await machine.agent();
  const first = await wired(agent, 'web');
  await wired(agent, 'db');
  await agent.close();
  const transactions = machine.dataplane.transactions.length;
  agent = await machine.agent();
  assert.is(machine.dataplane.transactions.length, transactions, 'nothing was sent');
  assert.is(await wired(agent, 'web'), first);
  assert.is(await wired(agent, 'late'), '10.1.1.4');
  await agent.close();
});

test('after a restart: pods whose link is gone are forgotten, links no pod has are removed', async () => {
  const machine = new Machine();
  let agent = await machine.agent();
  await wired(agent, 'web');
  await wired(agent, 'db');
  await agent.close();
  const [web] = [...machine.links.pods].find(([, spec]) => spec.netns.endsWith('c-web')) ?? [''];
  const spec = machine.links.pods.get(web);
  machine.links.pods.delete(web);
  if (spec !== undefined) machine.links.pods.set('pt0123456789abc', { ...spec, link: 'pt0123456789abc' });
  agent = await machine.agent();
  assert.is(machine.links.pods.size, 1);
  assert.not(machine.dataplane.items.has('interface/pod/shop/web'));
  assert.ok(machine.dataplane.items.has('interface/pod/shop/db'));
  await agent.close();
});

test('memory is given back once after each time that all objects were read, when nothing else is to be done', async () => {
  const machine = new Machine();
  let released = 0;
  let told: () => void = () => undefined;
  const once = (): Promise<void> => new Promise((resolve) => (told = resolve));
  const first = once();
  const agent = await machine.agent({
    releaseMemory: () => {
      released++;
      told();
    },
  });
  await first;
  await wired(agent, 'web');
  await agent.resync('downstream');
  assert.is(released, 1);
  const second = once();
  await agent.resync('full');
  await second;
  assert.is(released, 2);
  await agent.close();
});

test('a pod that ended without a DEL frees its address, and a stray link goes, while the agent runs', async () => {
  const machine = new Machine();
  const agent = await machine.agent({ auditIntervalMs: 0 });
  await wired(agent, 'web');
  await wired(agent, 'db');
  const [web] = [...machine.links.pods].find(([, spec]) => spec.netns.endsWith('c-web')) ?? [''];
  const spec = machine.links.pods.get(web);
  machine.links.pods.delete(web);
  if (spec !== undefined) machine.links.pods.set('pt0123456789abc', { ...spec, link: 'pt0123456789abc' });
  await agent.audit();
  assert.is(machine.links.pods.size, 1);
  assert.not(machine.dataplane.items.has('interface/pod/shop/web'));
  assert.not.match(readFileSync(machine.journal, 'utf8'), 'c-web');
  assert.is((await agent.cni.delete(request('web'))).result, 0, 'the late DEL finds nothing to do');
  await agent.close();
});

test('audits and downstream resyncs come by themselves', async () => {
  const machine = new Machine();
  const agent = await machine.agent({ auditIntervalMs: 1, resyncIntervalMs: 1 });
  await wired(agent, 'web');
  machine.links.pods.clear();
  machine.dataplane.items.delete('snat');
  await eventually(
    'the pod whose link is gone is removed',
    () => !machine.dataplane.items.has('interface/pod/shop/web'),
  );
  await eventually('what somebody took away is put back', () => machine.dataplane.items.has('snat'));
  await agent.close();
});

test('a damaged journal is set aside; id and pods are found in the store and the data plane', async () => {
  const machine = new Machine();
  let agent = await machine.agent();
  const address = await wired(agent, 'web');
  await agent.close();
  writeFileSync(machine.journal, `${readFileSync(machine.journal, 'utf8').slice(0, -20)}`);
  agent = await machine.agent();
  assert.match(machine.lines.join('\n'), /its checksum is wrong; kept as .*\.damaged/);
  assert.ok(machine.dataplane.items.has('interface/pod/shop/web'));
  assert.is.not(await wired(agent, 'other'), address);
  assert.is((await agent.cni.delete(request('web'))).result, 0);
  assert.not(machine.dataplane.items.has('interface/pod/shop/web'));
  await agent.close();
});

test('a journal that was removed under running pods: they stay wired, and keep their addresses', async () => {
  const machine = new Machine();
  let agent = await machine.agent();
  const address = await wired(agent, 'web');
  await agent.close();
  rmSync(machine.journal);
  agent = await machine.agent();
  assert.equal(machine.lines.join('\n').match(/removing link/g), null);
  assert.ok(machine.dataplane.items.has('interface/pod/shop/web'));
  assert.is.not(await wired(agent, 'other'), address);
  assert.is((await agent.cni.delete(request('web'))).result, 0);
  await agent.close();
});

test('a lost data plane is opened again and refilled', async () => {
  const machine = new Machine();
  const agent = await machine.agent();
  await wired(agent, 'web');
  const before = new Map(machine.dataplane.items);
  machine.dataplane.reachable = false;
  machine.dataplane.crash();
  await machine.until((status) => !status.ready);
  assert.is((await agent.cni.add(request('db'))).result, CNI.tryAgainLater);
  machine.dataplane.reachable = true;
  await machine.until((status) => status.ready);
  assert.equal(machine.dataplane.items, before);
  assert.is(machine.dataplane.opens, 2);
  const told = machine.lines.filter((line) => /data plane (lost|is complete again after \d)/.test(line));
  assert.is(told.length, 2, machine.lines.join('\n'));
  await agent.close();
});

test('tampering is repaired by a downstream resync', async () => {
  const machine = new Machine();
  const agent = await machine.agent();
  await wired(agent, 'web');
  const before = new Map(machine.dataplane.items);
  machine.dataplane.items.delete('endpoint/shop/web');
  await agent.resync('upstream');
  assert.not(machine.dataplane.items.has('endpoint/shop/web'), 'upstream trusts what was applied');
  await agent.resync('downstream');
  assert.equal(machine.dataplane.items, before);
  await agent.close();
});

test('objects take effect, many at once as one transaction, and the status tells the revision', async () => {
  const machine = new Machine();
  await machine.put(pod('web', { app: 'web' }));
  const agent = await machine.agent();
  await wired(agent, 'web');
  const transactions = machine.dataplane.transactions.length;
  const revisions = await Promise.all([
    machine.put(denyAll('a', { app: 'web' })),
    machine.put(denyAll('b', { app: 'web' })),
    machine.put(pod('web', { app: 'web', version: '2' })),
  ]);
  await machine.settled(Math.max(...revisions));
  assert.is(machine.dataplane.transactions.length, transactions + 1);
  const endpoint = machine.dataplane.items.get('endpoint/shop/web') as EndpointItem;
  assert.is((machine.dataplane.items.get(endpoint.ingress ?? '') as PolicyItem).isolatedBy.length, 2);
  await machine.store.delete(keyOf(denyAll('a')));
  const last = (await machine.store.list('/')).revision;
  await machine.store.delete(keyOf(denyAll('b')));
  await machine.settled(last + 1);
  assert.is((machine.dataplane.items.get('endpoint/shop/web') as EndpointItem).ingress, null);
  await agent.close();
});

test('what the data plane refuses is left out, told, and healed; the rest is in force', async () => {
  const machine = new Machine();
  await machine.put(pod('web', { app: 'web' }));
  await machine.put(pod('db', { app: 'db' }));
  await machine.put(pod('unrelated', { app: 'other' }));
  const agent = await machine.agent();
  await wired(agent, 'web');
  await wired(agent, 'db');
  let full = true;
  const isBig = (item: { rules: readonly unknown[]; isolatedBy: readonly { name: string }[] }): boolean =>
    item.isolatedBy.some(({ name }) => name === 'big');
  machine.dataplane.refuse = (change) =>
    full && change.type === 'add' && change.item.kind === 'policy' && isBig(change.item) ? 'no room' : null;
  await machine.put(denyAll('big', { app: 'web' }));
  const revision = await machine.put(denyAll('small', { app: 'db' }));
  await machine.settled(revision, false);
  assert.match(agent.status().problem ?? '', 'no room');
  assert.ok((machine.dataplane.items.get('endpoint/shop/db') as EndpointItem).ingress !== null);
  assert.is((machine.dataplane.items.get('endpoint/shop/web') as EndpointItem).ingress, null);
  await wired(agent, 'unrelated');
  full = false;
  await machine.until((status) => status.ready);
  assert.ok((machine.dataplane.items.get('endpoint/shop/web') as EndpointItem).ingress !== null);
  await agent.close();
});

test('what is in force but less than asked for is told, and no reason to be unwell', async () => {
  const machine = new Machine();
  machine.dataplane.shortfalls = ({ kind }) => (kind === 'policy' ? ['egress: half of it'] : []);
  await machine.put(pod('web', { app: 'web' }));
  const agent = await machine.agent();
  await wired(agent, 'web');
  await machine.settled(await machine.put(denyAll('small', { app: 'web' })));
  const told = agent.problems().filter(({ source }) => source === 'dataplane');
  assert.is(told.length, 1);
  assert.match(told[0]?.object ?? '', /^policy\//);
  assert.is(told[0]?.message, 'egress: half of it');
  assert.is(
    machine.lines.filter((line) => line.includes('is in force but for this: egress: half')).length,
    1,
  );
  assert.is(agent.status().ready, true);
  await agent.close();
});

test('what is in force but less than asked for is logged once, however often the item changes', async () => {
  const machine = new Machine();
  machine.dataplane.shortfalls = (item) =>
    item.kind === 'endpoint' && item.ingress !== null ? ['half'] : [];
  await machine.put(pod('web', { app: 'web' }));
  const agent = await machine.agent();
  await wired(agent, 'web');
  const told = (): number => machine.lines.filter((line) => line.includes('web is in force but')).length;
  for (const [count, name] of ['small', 'large', 'larger'].entries()) {
    await machine.settled(await machine.put(denyAll(name, { app: 'web' })));
    const updates = machine.dataplane.transactions.flat().filter(({ type }) => type === 'update');
    assert.ok(updates.filter(({ key }) => key === 'endpoint/shop/web').length > count);
    assert.is(told(), 1);
  }
  await agent.close();
});

test('an object that cannot be read is told and skipped', async () => {
  const machine = new Machine();
  const agent = await machine.agent();
  await machine.store.put('/pteropus/k8s/NetworkPolicy/shop/bad', '{"kind":"NetworkPolicy"}');
  await machine.store.put('/pteropus/k8s/Pod/shop/bad', 'not JSON');
  await machine.settled(await machine.put(pod('web')));
  assert.is(machine.lines.filter((line) => line.includes('cannot be used')).length, 2);
  await agent.close();
});

test('a store replaced by another one: listed anew, the node’s id claimed there too', async () => {
  const machine = new Machine();
  await machine.put(pod('web', { app: 'web' }));
  await machine.put(denyAll('old', { app: 'web' }));
  await machine.fill();
  const socket = join(directory, 'replaced.sock');
  let server = await serveStore(machine.store, socket);
  const client = await openStoreClient(socket);
  const agent = await machine.agent({ store: client });
  await wired(agent, 'web');
  await server.close();
  const other = new Machine();
  await other.put(pod('web', { app: 'web' }));
  await other.put(denyAll('new', { app: 'web' }));
  await other.fill();
  server = await serveStore(other.store, socket);
  await other.until((status) => status.ready);
  const endpoint = machine.dataplane.items.get('endpoint/shop/web') as EndpointItem;
  const policy = machine.dataplane.items.get(endpoint.ingress ?? '') as PolicyItem;
  assert.equal(
    policy.isolatedBy.map(({ name }) => name),
    ['new'],
  );
  assert.match((await other.store.get('/pteropus/nodes/1'))?.value ?? '', '"n1"');
  await agent.close();
  await client.close();
  await server.close();
});

test('a store that comes back empty opens nothing: what is in force stays until it is filled', async () => {
  const machine = new Machine();
  await machine.put(pod('web', { app: 'web' }));
  await machine.put(denyAll('closed', { app: 'web' }));
  let agent = await machine.agent();
  await wired(agent, 'web');
  const before = new Map(machine.dataplane.items);
  await agent.close();
  const empty = new Machine();
  let started = false;
  const starting = machine.agent({ store: empty.store }).then((again) => {
    started = true;
    return again;
  });
  await eventually('it says why it waits', () =>
    machine.lines.some((line) => line.includes('the store is not complete')),
  );
  assert.not(started);
  assert.equal(machine.dataplane.items, before);
  await empty.put(pod('web', { app: 'web' }));
  await new Promise((resolve) => setTimeout(resolve, 50));
  assert.not(started, 'half full is not full');
  await empty.put(denyAll('closed', { app: 'web' }));
  await empty.fill();
  agent = await starting;
  assert.equal(machine.dataplane.items, before);
  await agent.close();
});

test('a store that loses its objects and not its mark opens nothing', async () => {
  const machine = new Machine();
  await machine.put(pod('web', { app: 'web' }));
  await machine.put(denyAll('closed', { app: 'web' }));
  const agent = await machine.agent();
  await wired(agent, 'web');
  const before = new Map(machine.dataplane.items);
  const { entries } = await machine.store.list(OBJECTS_PREFIX);
  await machine.store.transact(
    [],
    entries.map(({ key }) => ({ type: 'delete', key }) as const),
  );
  await machine.until(({ ready, problem }) => !ready && /not complete/.test(problem ?? ''));
  assert.equal(machine.dataplane.items, before);
  await machine.put(denyAll('closed', { app: 'web' }));
  await machine.put(NAMESPACE);
  await machine.put(pod('web', { app: 'web' }));
  await machine.until(({ ready }) => ready);
  await agent.resync('full');
  assert.equal(machine.dataplane.items, before);
  await agent.close();
});

test('a store that loses everything under a running agent opens nothing; what is removed by itself is', async () => {
  const machine = new Machine();
  await machine.put(pod('web', { app: 'web' }));
  await machine.put(denyAll('closed', { app: 'web' }));
  await machine.put(denyAll('other', { app: 'web' }));
  const agent = await machine.agent();
  await wired(agent, 'web');
  await machine.store.delete(keyOf(denyAll('other')));
  await machine.settled((await machine.store.list('/')).revision - 1);
  const before = new Map(machine.dataplane.items);
  const { entries } = await machine.store.list('/');
  await machine.store.transact(
    [],
    entries.map(({ key }) => ({ type: 'delete', key }) as const),
  );
  await machine.until(({ ready, problem }) => !ready && /not complete/.test(problem ?? ''));
  assert.equal(machine.dataplane.items, before);
  await machine.put(pod('web', { app: 'web' }));
  await machine.put(denyAll('closed', { app: 'web' }));
  await machine.fill();
  await machine.until(({ ready }) => ready);
  assert.equal(machine.dataplane.items, before);
  assert.equal(agent.drifts, 0);
  await agent.close();
});

test('node ids: lowest free, kept by the journal through a lost store, conflicts refused', async () => {
  const machine = new Machine();
  await machine.put(recordOf('other', 1, ['192.168.16.1']));
  let agent = await machine.agent();
  assert.is(agent.id, 2);
  await machine.store.delete('/pteropus/nodes/2');
  await agent.resync('upstream');
  assert.match((await machine.store.get('/pteropus/nodes/2'))?.value ?? '', '"n1"');
  await agent.close();
  // A new, empty store: the id is claimed again, though 1 is free.
  const store = new EmbeddedStore();
  await markComplete(store);
  agent = await machine.agent({ store });
  assert.is(agent.id, 2);
  await wired(agent, 'web');
  await agent.close();
  await store.put('/pteropus/nodes/2', toJson(recordOf('thief', 2, [])));
  const refused = async (): Promise<void> => {
    await machine.agent({ store }).then(
      () => assert.unreachable(),
      (error: Error) => assert.instance(error, NodeIdConflictError),
    );
  };
  await refused();
  await store.delete('/pteropus/nodes/2');
  await store.put('/pteropus/nodes/5', toJson(recordOf('n1', 5, [])));
  await refused();
  await store.put('/pteropus/nodes/2', toJson(recordOf('n1', 2, [])));
  await refused();
});

test('a record taken away while running is claimed again by itself; a thief makes the node unready', async () => {
  const machine = new Machine();
  const agent = await machine.agent();
  await machine.store.delete('/pteropus/nodes/1');
  await machine.settled((await machine.store.list('/')).revision);
  await eventually(
    'it is claimed again',
    async () => (await machine.store.get('/pteropus/nodes/1')) !== null,
  );
  await machine.store.put('/pteropus/nodes/1', toJson(recordOf('thief', 1, [])));
  await machine.until((status) => !status.ready && /claimed by node thief/.test(status.problem ?? ''));
  await agent.close();
});

test('an underlay address that two nodes claim is refused at the start, and told while running', async () => {
  const machine = new Machine();
  await machine.put(recordOf('other', 7, ['192.168.16.1']));
  await machine.agent().then(
    () => assert.unreachable(),
    (error: Error) =>
      assert.match(error.message, /its address 192\.168\.16\.1 is claimed by node other, id 7/),
  );
  await machine.store.delete('/pteropus/nodes/7');
  const agent = await machine.agent();
  await machine.put(recordOf('other', 7, ['192.168.16.1']));
  await machine.until(({ ready, problem }) => !ready && /claimed by node other/.test(problem ?? ''));
  const status = await agent.cni.status(request('any'));
  assert.is(status.result, CNI.unavailable);
  assert.match(status.error, /claimed by node other/);
  await machine.store.delete('/pteropus/nodes/7');
  await machine.until(({ ready }) => ready);
  await agent.close();
});

test('a node of another cluster’s ranges is refused, with what differs; a second family may be added', async () => {
  const machine = new Machine();
  await (await machine.agent()).close();
  const other = (config: ClusterConfig): Promise<Agent> =>
    machine.agent({ node: 'n2', journal: null, links: new FakeLinks(), config });
  await other({ ...DEFAULT_CONFIG, podSubnetCIDR: '10.7.0.0/16', vni: 11 }).then(
    () => assert.unreachable(),
    (error: Error) => {
      assert.instance(error, ClusterRangesError);
      assert.match(
        error.message,
        /node n2: .*podSubnetCIDR is 10\.7\.0\.0\/16, the cluster's 10\.1\.0\.0\/16; vni is 11/,
      );
    },
  );
  assert.is((await machine.store.list('/pteropus/nodes/')).entries.length, 1, 'it claimed no id');
  await (await other({ ...DEFAULT_CONFIG, ipv6: DEFAULT_IPV6, underlayMtu: 9000 })).close();
  const ipv6 = { ...DEFAULT_IPV6, serviceCIDR: 'fd00:97::/112' };
  await other({ ...DEFAULT_CONFIG, ipv6 }).then(
    () => assert.unreachable(),
    (error: Error) => assert.match(error.message, /ipv6\.serviceCIDR is fd00:97::\/112/),
  );
  await (await machine.agent()).close();
  await machine.store.delete('/pteropus/cluster/ranges');
  const agent = await machine.agent();
  await machine.store.delete('/pteropus/cluster/ranges');
  await agent.resync('full');
  assert.match((await machine.store.get('/pteropus/cluster/ranges'))?.value ?? '', '10.1.0.0/16');
  await agent.close();
});

test('many agents that start together get different ids', async () => {
  const machine = new Machine();
  const agents = await Promise.all(
    Array.from({ length: 5 }, (_, i) => {
      const other = new Machine();
      const { dataplane, links, journal } = other;
      return machine.agent({ node: `n${i}`, openBackend: dataplane.open, links, journal });
    }),
  );
  assert.equal(agents.map(({ id }) => id).sort(), [1, 2, 3, 4, 5]);
  await Promise.all(agents.map((agent) => agent.close()));
});

test('an agent that waits for its data plane starts when that is up', async () => {
  const machine = new Machine();
  machine.dataplane.reachable = false;
  const reasons: string[] = [];
  const agent = await machine.agent({
    waiting: (reason) => {
      reasons.push(reason);
      machine.dataplane.reachable = reasons.length === 2;
    },
  });
  assert.match(reasons.join('; '), /connection refused.*; .*connection refused/);
  assert.ok(agent.status().ready);
  await agent.close();
});

test.after(() => rmSync(directory, { recursive: true, force: true }));
test.run();
