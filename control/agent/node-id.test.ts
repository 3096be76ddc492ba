/** What a node's record tells the other nodes. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { fromJson } from '../objects/json.js';
import { DATAPLANE_ANNOTATION } from '../objects/stored-keys.js';
import { EmbeddedStore } from '../store/embedded.js';
import { claimNodeId } from './node-id.js';

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

test.run();
