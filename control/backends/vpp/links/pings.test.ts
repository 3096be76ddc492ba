/** IPv6 pings led apart: when, which, and what VPP is told and tells of it. */
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import * as items from '../../../../test/backends/items.js';
import type { Item, SnatItem } from '../../../ruleset/types.js';
import type { ObjectKey, VppObject, VppOptions } from '../objects/types.js';
import { renderersOf } from '../registry.js';
import { renderAll } from '../services/fixtures.js';
import { classifiers } from './classifiers.js';
import { contextOf, FakeApi } from './fake-api.js';
import { classifier } from './objects.js';
import type { ClassifierSpec, RouteSpec } from './specs.js';

const test = suite('pings led apart');

const CLUSTER: readonly Item[] = [
  ...items.nodeItems(1),
  ...items.peerItems(1, 2),
  ...items.podItems(1, 1, 'a'),
];
const APART: Partial<VppOptions> = { pingsApart: true };
const OWN = 'fd000016000000000000000000000001';

function render(list: readonly Item[], options = APART): ReadonlyMap<ObjectKey, VppObject> {
  const full = { ...options, services: 'cnat', policies: 'acl' } as VppOptions;
  return renderAll(renderersOf(full), list, full);
}

function pingsOf(objects: ReadonlyMap<ObjectKey, VppObject>, name: string): readonly string[] {
  const spec = objects.get(`classifier/${name}`)?.spec as ClassifierSpec | undefined;
  return (spec?.matches ?? []).flatMap(({ bytes, verdict }) => (verdict === 'ping' ? [bytes] : []));
}

test('requests at the pods, answers at the uplink', () => {
  const objects = render(CLUSTER);
  assert.equal(pingsOf(objects, 'nested'), ['3a80']);
  assert.equal(pingsOf(objects, 'discovery'), [`3a${OWN}81`]);
  assert.ok(objects.get('classifier/nested')?.needs.includes('table/6/4'));
  assert.equal(objects.get('cnat-interface/ping')?.spec, {
    ...{ interface: 'if/ping', families: [6], input: false, output: false, remember: false, pings: true },
    lists: ['include-v6', 'k8s'],
  });
});

test('what leaves by the uplink goes round by the loopback, all else where pods look', () => {
  const objects = render(CLUSTER);
  const pathTo = (prefix: string) => (objects.get(`route/4/${prefix}`)?.spec as RouteSpec | undefined)?.path;
  const round = { type: 'interface', interface: 'if/ping', nextHop: 'fe80::fe:4' };
  for (const prefix of ['::/0', 'fd00:16::/64', 'fd00:16::1/128'])
    assert.equal(pathTo(prefix), round, prefix);
  for (const prefix of ['fd00:1::/48', 'fd00:96::/112', 'fd00:1:0:2::/64', 'fd00:16::2/128'])
    assert.equal(pathTo(prefix), { type: 'lookup', table: 1 }, prefix);
  assert.is(pathTo(`${items.podAddress6(1, 1)}/128`), undefined, 'one route for all pods');
  assert.not([...objects.keys()].some((key) => /^route\/4\/\d+\.\d+\./.test(key)));
});

test('nowhere but where CNAT needs it, and changes the sources of all pods', () => {
  const partsOf = (list: readonly Item[], options?: Partial<VppOptions>): readonly ObjectKey[] => {
    const objects = render(list, options);
    const parts = [...objects.keys()].filter((key) =>
      /^(route\/4\/|table\/6\/4|if\/ping|cnat-interface\/ping)/.test(key),
    );
    return [...parts, ...pingsOf(objects, 'nested')];
  };
  const withSnat = (change: Partial<SnatItem>): readonly Item[] =>
    CLUSTER.map((item) => (item.kind === 'snat' ? { ...item, ...change } : item));
  assert.ok(partsOf(CLUSTER).length > 0);
  assert.equal(partsOf(CLUSTER, {}), []);
  assert.equal(partsOf(withSnat({ sources: ['10.1.0.0/16'] })), [], 'IPv6 keeps its sources');
  assert.equal(partsOf(withSnat({ sources: ['fd00:1:0:1::/64'] })), [], 'some pods keep theirs');
  assert.ok(partsOf(withSnat({ sources: ['fd00::/16'] })).length > 0);
  assert.equal(partsOf(CLUSTER.filter(({ key }) => key !== 'snat')), []);
});

test('VPP does not tell which table a classifier looks into: it is known all the same', async () => {
  const api = new FakeApi('26.06');
  const vpp = contextOf(api);
  api.replies.set('classify_add_del_table', { new_table_index: 7 });
  const discovery = classifier({
    name: 'discovery',
    matches: [
      { bytes: `3a${OWN}81`, verdict: 'ping' },
      { bytes: `3a${OWN}87`, verdict: 'own' },
    ],
  });
  await classifiers.create(vpp, discovery);
  const [made, ...sessions] = api.asked;
  assert.equal(sessions.map(({ fields }) => fields['metadata']).sort(), [3, 4]);
  api.replies.set('classify_table_ids', { ids: [7] });
  api.replies.set('classify_table_info', { mask: made?.fields['mask'] as Uint8Array });
  const told = sessions.map(({ fields: { hit_next_index, opaque_index, match } }) => ({
    hit_next_index,
    opaque_index,
    match,
  }));
  api.dumps.set('classify_session_dump', told as never);
  assert.equal(await classifiers.read(vpp), [discovery]);
});

test.run();
