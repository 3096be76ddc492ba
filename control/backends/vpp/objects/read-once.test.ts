import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { VppApi } from '../api/api.js';
import { FakeVpp } from './fake-vpp.js';
import { ReadOnce } from './read-once.js';

test('the same is asked once, until it is forgotten; what changes something passes every time', async () => {
  const asked: string[] = [];
  const api: VppApi = {
    ...new FakeVpp().api,
    request: async (message) => {
      asked.push(message);
      return {};
    },
    dump: async (message, fields) => {
      asked.push(message);
      return [{ ...fields, index: asked.length }];
    },
    cli: async (command) => {
      asked.push(command);
      return `${asked.length}`;
    },
  };
  const once = new ReadOnce(api);
  const [first, second, other] = await Promise.all([
    once.dump('sw_interface_dump', { sw_if_index: 1, size: 2n }),
    once.dump('sw_interface_dump', { sw_if_index: 1, size: 2n }),
    once.dump('sw_interface_dump', { sw_if_index: 2, size: 2n }),
  ]);
  assert.is(first, second);
  assert.is.not(first, other);
  assert.is(await once.cli('show features a'), await once.cli('show features a'));
  await once.cli('set something');
  await once.cli('set something');
  await once.request('acl_del');
  await once.request('acl_del');
  const set = ['set something', 'set something', 'acl_del', 'acl_del'];
  assert.equal(asked, ['sw_interface_dump', 'sw_interface_dump', 'show features a', ...set]);
  once.forget();
  await once.cli('show features a');
  assert.is((await once.dump('sw_interface_dump', { sw_if_index: 1, size: 2n }))[0]?.['index'], asked.length);
  assert.is(asked.length, 9);
});

test.run();
