import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { toJson } from '../objects/json.js';
import { COMPLETE_KEY } from '../objects/stored-keys.js';
import type { Namespace } from '../objects/types.js';
import { EmbeddedStore } from '../store/embedded.js';
import { recordOf } from './node-id.js';
import { keyOf, ObjectFeed } from './objects.js';

const namespace = (name: string, labels: Record<string, string> = {}): Namespace => ({
  kind: 'Namespace',
  metadata: { name, namespace: null, uid: null, labels, annotations: {} },
});

function rig(): {
  readonly store: EmbeddedStore;
  readonly feed: ObjectFeed;
  readonly calls: string[];
  put(object: Parameters<typeof keyOf>[0]): Promise<number>;
} {
  const store = new EmbeddedStore();
  const calls: string[] = [];
  const feed = new ObjectFeed(store, {
    pending: () => calls.push('pending'),
    lost: (reason) => calls.push(`lost: ${reason.message}`),
    unreadable: (key) => calls.push(`unreadable ${key}`),
  });
  return { store, feed, calls, put: (object) => store.put(keyOf(object), toJson(object)) };
}

test('keys: KIND/NS/NAME, and the id for a node record', () => {
  assert.is(keyOf(namespace('a')), '/pteropus/k8s/Namespace//a');
  assert.is(keyOf(recordOf('n', 7, [])), '/pteropus/nodes/7');
});

test('a listing, then all that changed, gathered until it is taken', async () => {
  const { store, feed, calls, put } = rig();
  await put(namespace('a'));
  await put(recordOf('n1', 1, []));
  const listing = await feed.list();
  assert.equal(
    listing.objects.map(({ metadata }) => metadata.name),
    ['a', 'n1'],
  );
  assert.is(listing.revision, 2);
  await put(namespace('b'));
  await store.delete(keyOf(namespace('a')));
  await store.delete('/pteropus/nodes/1');
  assert.equal(calls, ['pending'], 'told once');
  assert.equal(feed.take(), {
    events: [
      { type: 'put', object: namespace('b') },
      { type: 'delete', kind: 'Namespace', namespace: null, name: 'a' },
      { type: 'delete', kind: 'NodeRecord', namespace: null, name: 'n1' },
    ],
    revision: 5,
    nodeIdsGone: [1],
  });
  await put(namespace('c'));
  assert.equal(calls, ['pending', 'pending']);
  feed.stop();
});

test('what cannot be read is told and left out; a wrong key counts as that', async () => {
  const { store, feed, calls } = rig();
  await store.put('/pteropus/k8s/Namespace//a', toJson(namespace('b')));
  await store.put('/pteropus/k8s/Namespace//c', '{}');
  assert.equal((await feed.list()).objects, []);
  assert.equal(calls, ['unreadable /pteropus/k8s/Namespace//a', 'unreadable /pteropus/k8s/Namespace//c']);
  feed.stop();
});

test('a store that was emptied and filled again is not taken for one that lost single objects', async () => {
  const { store, feed, put } = rig();
  await put(namespace('a'));
  assert.not(await feed.stillComplete());
  await store.put(COMPLETE_KEY, '{}');
  assert.ok((await feed.list()).complete);
  assert.ok(await feed.stillComplete());
  await store.put(COMPLETE_KEY, '{"time":"later"}');
  assert.ok(await feed.stillComplete(), 'the same mark, written again');
  await store.delete(keyOf(namespace('a')));
  await store.delete(COMPLETE_KEY);
  assert.not(await feed.stillComplete());
  await put(namespace('a'));
  await store.put(COMPLETE_KEY, '{}');
  assert.not(await feed.stillComplete(), 'what is taken now may end before what fills it');
  assert.ok((await feed.list()).complete);
  assert.ok(await feed.stillComplete());
  feed.stop();
});

test.run();
