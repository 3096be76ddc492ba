import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { CNI } from '../cni/codes.js';
import type { CniRequest } from '../cni/messages.js';
import { DEFAULT_CONFIG } from '../compiler/input.js';
import { toJson } from '../objects/json.js';
import type { KubeObject, NetworkPolicy, Pod } from '../objects/types.js';
import type { EndpointItem, InterfaceItem, PolicyItem } from '../ruleset/types.js';
import { EmbeddedStore } from '../store/embedded.js';
import { Agent, type AgentOptions } from './agent.js';
import { NodeIdConflictError } from './errors.js';
import { FakeDataplane, FakeLinks } from './fakes.js';
import { recordOf } from './node-id.js';
import { keyOf } from './objects.js';
import type { AgentStatus } from './status.js';

const directory = mkdtempSync(join(tmpdir(), 'pteropus-agent-'));
let count = 0;

/** A node without its agent: what stays when agents come and go. */
class Machine {
  readonly store = new EmbeddedStore();
  readonly dataplane = new FakeDataplane();
  readonly links = new FakeLinks();
  readonly journal = join(directory, `${count++}.json`);
  readonly lines: string[] = [];

  agent(change: Partial<AgentOptions> = {}): Promise<Agent> {
    return Agent.start({
      node: 'n1',
      config: DEFAULT_CONFIG,
      store: this.store,
      openBackend: this.dataplane.open,
      links: this.links,
      journal: this.journal,
      podObjectWaitMs: 1,
      log: (line) => this.lines.push(line),
      ...change,
    });
  }

  put(object: KubeObject): Promise<number> {
    return this.store.put(keyOf(object), toJson(object));
  }

  /** Resolves when the agent has told the store that this revision is in force. */
  async settled(revision: number, ready = true): Promise<void> {
    await this.until((status) => status.revision >= revision && status.ready === ready);
  }

  async until(condition: (status: AgentStatus) => boolean): Promise<void> {
    const key = '/pteropus/status/n1';
    const { entries, revision } = await this.store.list(key);
    const holds = (value: string | undefined): boolean =>
      value !== undefined && condition(JSON.parse(value) as AgentStatus);
    if (holds(entries[0]?.value)) return;
    await new Promise<void>((resolve) => {
      const watch = this.store.watch(key, revision, {
        events: (events) => {
          const last = events.at(-1);
          if (last?.type !== 'put' || !holds(last.entry.value)) return;
          watch.close();
          resolve();
        },
        lost: () => undefined,
      });
    });
  }
}

function pod(name: string, labels: Record<string, string> = {}, podIPs: string[] = []): Pod {
  return {
    kind: 'Pod',
    metadata: { name, namespace: 'shop', uid: null, labels, annotations: {} },
    spec: {
      nodeName: 'n1',
      hostNetwork: false,
      hostname: null,
      subdomain: null,
      nodeSelector: {},
      containers: [],
    },
    status: { phase: 'Pending', podIPs, ready: false, terminating: false },
  };
}

function denyAll(name: string, matchLabels: Record<string, string> = {}): NetworkPolicy {
  return {
    kind: 'NetworkPolicy',
    metadata: { name, namespace: 'shop', uid: null, labels: {}, annotations: {} },
    spec: {
      podSelector: { matchLabels, matchExpressions: [] },
      policyTypes: ['Ingress'],
      ingress: [],
      egress: undefined,
    },
  };
}

function request(name: string, containerId = `c-${name}`, change: Partial<CniRequest> = {}): CniRequest {
  return {
    version: '1.0.0',
    containerId,
    networkNamespace: `/run/netns/${containerId}`,
    interfaceName: 'eth0',
    extraNwConfig: '',
    extraArguments: `IgnoreUnknown=1;K8S_POD_NAMESPACE=shop;K8S_POD_NAME=${name}`,
    ipamType: '',
    ipamData: '',
    ...change,
  };
}

async function wired(agent: Agent, name: string, containerId?: string): Promise<string> {
  const reply = await agent.cni.add(request(name, containerId));
  assert.is(reply.error, '');
  return reply.interfaces[0]?.ipAddresses[0]?.address.replace('/32', '') ?? '';
}

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
    dns: [],
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
  assert.is((await hasty.cni.add(request('web', 'c1', { extraArguments: args }))).result, CNI.tryAgainLater);
  await hasty.close();
  const agent = await machine.agent({ podObjectWaitMs: 5000 });
  const adding = agent.cni.add(request('web', 'c1', { extraArguments: args }));
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

test('DEL frees everything, twice is fine, unknown is fine', async () => {
  const machine = new Machine();
  const agent = await machine.agent();
  const before = new Map(machine.dataplane.items);
  await wired(agent, 'web');
  for (const name of ['web', 'web', 'never']) {
    assert.is((await agent.cni.delete(request(name, undefined, { networkNamespace: '' }))).result, 0);
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

test('an object that cannot be read is told and skipped', async () => {
  const machine = new Machine();
  const agent = await machine.agent();
  await machine.store.put('/pteropus/k8s/NetworkPolicy/shop/bad', '{"kind":"NetworkPolicy"}');
  await machine.store.put('/pteropus/k8s/Pod/shop/bad', 'not JSON');
  await machine.settled(await machine.put(pod('web')));
  assert.is(machine.lines.filter((line) => line.includes('cannot be used')).length, 2);
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
  agent = await machine.agent({ store });
  assert.is(agent.id, 2);
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
  while ((await machine.store.get('/pteropus/nodes/1')) === null)
    await new Promise((resolve) => setImmediate(resolve));
  await machine.store.put('/pteropus/nodes/1', toJson(recordOf('thief', 1, [])));
  await machine.until((status) => !status.ready && /claimed by node thief/.test(status.problem ?? ''));
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

test('requests that cannot be right are refused with the code of the specification', async () => {
  const machine = new Machine();
  const agent = await machine.agent();
  const code = async (change: Partial<CniRequest>): Promise<number> =>
    (await agent.cni.add(request('web', 'c1', change))).result;
  assert.is(await code({ containerId: '../x' }), CNI.invalidEnvironment);
  assert.is(await code({ interfaceName: 'a/b' }), CNI.invalidEnvironment);
  assert.is(await code({ extraArguments: 'K8S_POD_NAME=web' }), CNI.invalidEnvironment);
  assert.is(await code({ extraArguments: 'nonsense' }), CNI.invalidEnvironment);
  assert.is(await code({ networkNamespace: '' }), CNI.invalidEnvironment);
  assert.is(await code({ ipamType: 'host-local' }), CNI.invalidConfig);
  assert.is(await code({}), 0);
  assert.is(await code({ interfaceName: 'net1' }), CNI.invalidConfig, 'a second interface');
  assert.is(await code({ extraArguments: '' }), CNI.failed, 'the sandbox has an interface of that name');
  assert.is(
    (await agent.cni.add(request('', 'bare', { extraArguments: '' }))).result,
    0,
    'no Kubernetes at all',
  );
  await agent.close();
});

test('STATUS says whether ADD would be served', async () => {
  const machine = new Machine();
  const agent = await machine.agent();
  assert.is((await agent.cni.status(request('web'))).result, 0);
  machine.dataplane.reachable = false;
  machine.dataplane.crash();
  await machine.until((status) => !status.ready);
  assert.is((await agent.cni.status(request('web'))).result, CNI.unavailable);
  await agent.close();
});

test('GC unwires what the runtime no longer knows, of its network only', async () => {
  const machine = new Machine();
  const agent = await machine.agent();
  const of = (network: string, ...valid: string[]): Partial<CniRequest> => ({
    extraNwConfig: JSON.stringify({
      name: network,
      'cni.dev/valid-attachments': valid.map((containerID) => ({ containerID, ifname: 'eth0' })),
    }),
  });
  for (const name of ['a', 'b', 'c']) await agent.cni.add(request(name, `c-${name}`, of('net')));
  await agent.cni.add(request('d', 'c-d', of('other')));
  assert.is((await agent.cni.gc(request('', '', of('net', 'c-b')))).result, 0);
  const left = [...machine.dataplane.items.keys()].filter((key) => key.startsWith('endpoint/'));
  assert.equal(left.sort(), ['endpoint/shop/b', 'endpoint/shop/d']);
  assert.is(
    (await agent.cni.gc(request('', '', { extraNwConfig: '{"name":"net"}' }))).result,
    CNI.invalidConfig,
  );
  await agent.close();
});

test('an agent that waits for its data plane starts when that is up', async () => {
  const machine = new Machine();
  machine.dataplane.reachable = false;
  const starting = machine.agent();
  setTimeout(() => {
    machine.dataplane.reachable = true;
  }, 20);
  const agent = await starting;
  assert.ok(agent.status().ready);
  await agent.close();
});

test.after(() => rmSync(directory, { recursive: true, force: true }));
test.run();
