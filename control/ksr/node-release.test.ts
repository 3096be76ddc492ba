import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { recordOf } from '../agent/node-id.js';
import { fromJson, toJson } from '../objects/json.js';
import { nodeKey, RELEASE_ANNOTATION, STATUS_PREFIX } from '../objects/stored-keys.js';
import type { NodeRecord } from '../objects/types.js';
import { EmbeddedStore } from '../store/embedded.js';
import { LEADER_KEY } from './election.js';
import { LeadershipLostError } from './errors.js';
import { NodeRelease } from './node-release.js';

async function rig(...nodes: readonly string[]) {
  const store = new EmbeddedStore();
  const there = new Set(nodes);
  const log: string[] = [];
  const clock = { now: 0 };
  let released = 0;
  for (const [i, name] of nodes.entries()) {
    await store.put(nodeKey(i + 1), toJson(recordOf(name, i + 1, [`192.168.16.${i + 1}`])));
    await store.put(`${STATUS_PREFIX}${name}`, '{}');
  }
  const revision = await store.put(LEADER_KEY, 'me');
  const release = new NodeRelease({
    store,
    condition: { key: LEADER_KEY, revision },
    exists: (node) => there.has(node),
    released: () => released++,
    log: (line) => log.push(line),
    afterMs: 600,
    answerMs: 60,
    now: () => clock.now,
  });
  const record = async (id: number): Promise<NodeRecord | null> => {
    const entry = await store.get(nodeKey(id));
    return entry === null ? null : (fromJson(entry.value, entry.key) as NodeRecord);
  };
  const look = async (at: number): Promise<string> => {
    clock.now = at;
    await release.look();
    const last = await record(2);
    if (last === null) return 'gone';
    return last.metadata.annotations[RELEASE_ANNOTATION] === undefined ? 'kept' : 'asked';
  };
  return { store, there, log, look, record, count: () => released };
}

test('a node that left is asked after a while, and its id is free when nobody answered', async () => {
  const { store, there, log, look, record, count } = await rig('a', 'b');
  assert.is(await look(0), 'kept');
  there.delete('b');
  assert.is(await look(1000), 'kept', 'not at once: it may be registered anew');
  assert.is(await look(1599), 'kept');
  assert.is(await look(1600), 'asked');
  assert.is(await look(1659), 'asked');
  assert.is(await look(1660), 'gone');
  assert.is(await store.get(`${STATUS_PREFIX}b`), null);
  assert.ok((await record(1)) !== null && (await store.get(`${STATUS_PREFIX}a`)) !== null);
  assert.equal(log, ['node b left the cluster: its id 2 is free again']);
  assert.is(count(), 1);
});

test('an agent that claims its id anew keeps it; it is asked again much later', async () => {
  const { store, there, log, look, record } = await rig('a', 'b');
  there.delete('b');
  await look(0);
  assert.is(await look(600), 'asked');
  await store.put(nodeKey(2), toJson(recordOf('b', 2, ['192.168.16.2'])));
  assert.is(await look(700), 'kept');
  assert.equal(log, ['node b is not in the cluster, but its agent runs: it keeps id 2']);
  assert.is(await look(1299), 'kept');
  assert.is(await look(1300), 'asked');
  there.add('b');
  assert.is(await look(1301), 'kept', 'the node is back: nobody has to answer');
  assert.equal((await record(2))?.addresses, ['192.168.16.2']);
  there.delete('b');
  assert.is(await look(1400), 'kept');
  assert.is(await look(1999), 'kept', 'from the beginning');
});

test('a record that another node has meanwhile is not taken for the old one', async () => {
  const { store, there, look } = await rig('a', 'b');
  there.delete('b');
  await look(0);
  await look(600);
  await look(601);
  there.add('c');
  await store.put(nodeKey(2), toJson(recordOf('c', 2, ['192.168.16.2'])));
  assert.is(await look(700), 'kept');
  there.delete('c');
  assert.is(await look(800), 'kept');
  assert.is(await look(1399), 'kept');
});

test('a ksr that does not lead any more gives nothing back; entries that cannot be read are left', async () => {
  const { store, there, look } = await rig('a', 'b');
  await store.put(nodeKey(7), 'no JSON');
  there.delete('b');
  await look(0);
  await look(600);
  await look(601);
  await store.put(LEADER_KEY, 'other');
  await look(700).then(
    () => assert.unreachable(),
    (error: unknown) => assert.instance(error, LeadershipLostError),
  );
  assert.ok((await store.get(nodeKey(2))) !== null);
  assert.ok((await store.get(nodeKey(7))) !== null);
});

test.run();
