/** What a node's record tells the other nodes, and who may have which id. */
import { rmSync } from 'node:fs';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { eventually } from '../../test/support/eventually.js';
import { fromJson, toJson } from '../objects/json.js';
import { DATAPLANE_ANNOTATION, RELEASE_ANNOTATION } from '../objects/stored-keys.js';
import { EmbeddedStore } from '../store/embedded.js';
import { NodeIdTakenError } from './errors.js';
import { directory, Machine, wired } from './fixtures.js';
import { claimNodeId, recordOf } from './node-id.js';

test('a node that changes to VPP and back says so, and keeps its id', async () => {
  const store = new EmbeddedStore();
  const claim = { node: 'a', journaled: null, largest: 9, addresses: () => ['192.168.16.1'] };
  const told = async (dataplane?: 'vpp'): Promise<readonly [number, string | undefined]> => {
    await claimNodeId(store, { ...claim, ...(dataplane === undefined ? {} : { dataplane }) });
    const [entry] = (await store.list('/pteropus/nodes/')).entries;
    const record = fromJson(entry?.value ?? '', 'record');
    if (record.kind !== 'NodeRecord') throw new Error(record.kind);
    return [record.id, record.metadata.annotations[DATAPLANE_ANNOTATION]];
  };
  assert.equal(await told(), [1, undefined]);
  assert.equal(await told('vpp'), [1, 'vpp']);
  assert.equal(await told(), [1, undefined]);
  await store.close();
});

test('a node that was given up while it was away takes another id once no pod runs there', async () => {
  const machine = new Machine();
  let agent = await machine.agent();
  await wired(agent, 'web');
  await agent.close();
  await machine.put(recordOf('newcomer', 1, ['192.168.16.1']));
  await machine.agent().then(
    () => assert.unreachable(),
    (error: unknown) => assert.instance(error, NodeIdTakenError),
  );
  machine.links.pods.clear();
  agent = await machine.agent();
  assert.is(agent.id, 2);
  assert.match(
    machine.lines.join('\n'),
    /its id 1 is claimed by node newcomer, and no pod runs here: taking/,
  );
  assert.is(await wired(agent, 'db'), '10.1.2.2');
  await agent.close();
  agent = await machine.agent();
  assert.is(agent.id, 2);
  await agent.close();
});

test('an agent whose id went to another node while the store was away asks to be started anew, once its pods are gone', async () => {
  const machine = new Machine();
  let asked = 0;
  const agent = await machine.agent({ startAnew: () => asked++ });
  await wired(agent, 'web');
  await machine.put(recordOf('newcomer', 1, ['192.168.16.1']));
  await machine.until(({ ready, problem }) => !ready && /claimed by node newcomer/.test(problem ?? ''));
  assert.is(asked, 0);
  machine.links.pods.clear();
  await agent.audit();
  await eventually('it asks to be started anew', () => asked > 0);
  await agent.close();
});

test('an agent that is asked whether it lives claims its id anew', async () => {
  const machine = new Machine();
  const agent = await machine.agent();
  const key = '/pteropus/nodes/1';
  const { value = '' } = (await machine.store.get(key)) ?? {};
  const record = recordOf('n1', 1, agent.state.identity.record.addresses);
  assert.is(value, toJson(record));
  const annotations = { [RELEASE_ANNOTATION]: 'asked' };
  await machine.store.put(key, toJson({ ...record, metadata: { ...record.metadata, annotations } }));
  while ((await machine.store.get(key))?.value !== value) await new Promise((done) => setImmediate(done));
  assert.ok(agent.status().ready);
  await agent.close();
});

test.after(() => rmSync(directory, { recursive: true, force: true }));
test.run();
