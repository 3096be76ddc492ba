import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { AddressSetItem, Change, Item, Ruleset } from '../ruleset/types.js';
import { Dataplane } from './dataplane.js';
import { ApplyError, DataplaneUnavailableError } from './errors.js';
import { FakeDataplane } from './fakes.js';

const set = (name: string, ...addresses: string[]): AddressSetItem => {
  return { kind: 'addressset', key: `addressset/${name}`, addresses, blocks: [] };
};
const rules = (...items: Item[]): Ruleset => new Map(items.map((item) => [item.key, item]));

function rig(): { readonly plane: FakeDataplane; readonly dataplane: Dataplane; readonly lost: string[] } {
  const plane = new FakeDataplane();
  const lost: string[] = [];
  return { plane, lost, dataplane: new Dataplane(plane.open, (reason) => lost.push(reason.message)) };
}

test('what is there already is read first: only the difference is sent', async () => {
  const { plane, dataplane } = rig();
  plane.items = new Map(rules(set('a'), set('old')));
  const { changes } = await dataplane.apply(rules(set('a'), set('b')));
  assert.equal(
    changes.map(({ type, key }) => `${type} ${key}`),
    ['add addressset/b', 'remove addressset/old'],
  );
  assert.is((await dataplane.apply(rules(set('a'), set('b')))).changes.length, 0);
  assert.is(plane.transactions.length, 1, 'no difference, nothing sent');
  await dataplane.close();
});

test('refused items are left out and tried again with the next ruleset', async () => {
  const { plane, dataplane } = rig();
  plane.refuse = ({ key }) => (key === 'addressset/b' ? 'no room' : null);
  const wanted = rules(set('a'), set('b'), set('c'));
  assert.equal([...(await dataplane.apply(wanted)).refused.keys()], ['addressset/b']);
  assert.equal([...plane.items.keys()].sort(), ['addressset/a', 'addressset/c']);
  plane.refuse = () => null;
  assert.equal(
    (await dataplane.apply(wanted)).changes.map(({ key }) => key),
    ['addressset/b'],
  );
  await dataplane.close();
});

test('told what changed, it compares no more, keeps deltas, and comes back to what was refused', async () => {
  const { plane, dataplane } = rig();
  const a1 = set('a', '10.0.0.1');
  const a2 = set('a', '10.0.0.1', '10.0.0.2');
  const step: Change = {
    type: 'update',
    key: a1.key,
    item: a2,
    old: a1,
    delta: { added: ['10.0.0.2'], removed: [] },
  };
  await dataplane.apply(rules(a1));
  assert.equal((await dataplane.apply(rules(a2), undefined, [step])).changes, [step]);
  // What nobody speaks of is not looked at.
  assert.is((await dataplane.apply(rules(a2, set('b')), undefined, [])).changes.length, 0);
  const add: Change = { type: 'add', key: 'addressset/b', item: set('b') };
  plane.refuse = ({ key }) => (key === 'addressset/b' ? 'no room' : null);
  await dataplane.apply(rules(a2, set('b')), undefined, [add]);
  plane.refuse = () => null;
  assert.equal((await dataplane.apply(rules(a2, set('b')), undefined, [])).changes, [add]);
  // Lost and filled again: nothing that was told before is missed.
  plane.crash();
  await new Promise((resolve) => setImmediate(resolve));
  await dataplane.apply(rules(a2, set('b')), undefined, []);
  assert.equal([...plane.items.keys()].sort(), ['addressset/a', 'addressset/b']);
  await dataplane.close();
});

test('a refused item that must be in force: ApplyError, and nothing is changed', async () => {
  const { plane, dataplane } = rig();
  plane.refuse = ({ key }) => (key === 'addressset/b' ? 'no room' : null);
  await dataplane.apply(rules(set('a'), set('b')), new Set(['addressset/b'])).then(
    () => assert.unreachable(),
    (error: Error) => {
      assert.instance(error, ApplyError);
      assert.match(error.message, 'addressset/b: TableFullError: no room');
    },
  );
  assert.is(plane.items.size, 0);
  assert.equal([...(await dataplane.apply(rules(set('a')))).changes.map(({ key }) => key)], ['addressset/a']);
  await dataplane.close();
});

test('an apply whose outcome is unknown: read back before the next', async () => {
  const { plane, dataplane } = rig();
  await dataplane.apply(rules(set('a')));
  plane.before = () => {
    plane.items.set('addressset/b', set('b'));
    return Promise.reject(new Error('timed out'));
  };
  await dataplane.apply(rules(set('a'), set('b'))).then(
    () => assert.unreachable(),
    (error: Error) => assert.ok(error instanceof DataplaneUnavailableError && error.retryable),
  );
  plane.before = () => Promise.resolve();
  assert.is((await dataplane.apply(rules(set('a'), set('b')))).changes.length, 0, 'it had happened');
  await dataplane.close();
});

test('a loss is told once; the next apply opens and refills', async () => {
  const { plane, dataplane, lost } = rig();
  await dataplane.apply(rules(set('a')));
  plane.crash();
  await new Promise((resolve) => setImmediate(resolve));
  assert.equal(lost, ['process ended']);
  assert.not(dataplane.up);
  plane.reachable = false;
  await dataplane.apply(rules(set('a'))).then(
    () => assert.unreachable(),
    (error: Error) => assert.instance(error, DataplaneUnavailableError),
  );
  plane.reachable = true;
  assert.is((await dataplane.apply(rules(set('a')))).changes.length, 1);
  assert.is(dataplane.opened, 2);
  await dataplane.close();
  plane.crash();
  await new Promise((resolve) => setImmediate(resolve));
  assert.is(lost.length, 1, 'a loss after closing is none');
});

test.run();
