/** The backend over the protocol: real descriptors and client, and a peer that plays a VPP with access lists and faults. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { Change, Item, Key, PolicyItem, ServiceItem } from '../../ruleset/types.js';
import type { Fields } from './api/api.js';
import { openVppApi } from './api/open.js';
import { schemaOf } from './api/testing/recording.js';
import { type PeerOptions, type ScriptedPeer, scriptedPeer } from './api/testing/scripted-peer.js';
import { openObserver } from './observer.js';
import { type OpenedVppBackend, openOver } from './open.js';
import { DEFAULT_OPTIONS } from './options.js';
import { DESCRIPTORS, renderersOf } from './registry.js';

const schema = schemaOf('26.06');

function policy(name: string, port: number): PolicyItem {
  const origin = { kind: 'NetworkPolicy', namespace: 'shop', name, field: null };
  const ports = [{ protocol: 'TCP' as const, from: port, to: port }];
  const rules = [{ tier: 'network', action: 'allow', peers: null, ports, origin }] as const;
  return { kind: 'policy', key: `policy/${name}`, direction: 'ingress', rules, isolatedBy: [origin] };
}

const SERVICE: ServiceItem = {
  ...{ kind: 'service', key: 'service/shop/web/TCP/80/internal', namespace: 'shop', name: 'web' },
  ...{ portName: null, protocol: 'TCP', scope: 'internal', algorithm: 'random' },
  frontends: [{ address: '10.96.0.10', port: 80, type: 'ClusterIP' }],
  backends: [{ address: '10.1.1.2', port: 80, weight: 1, pod: null, node: null }],
  ...{ affinitySeconds: null, sourceRanges: null, outsideBackends: null },
};

/** Lists by index, as the ACL plugin keeps them. */
function keepLists(peer: ScriptedPeer, lists = new Map<number, Fields>()): Map<number, Fields> {
  peer.on('acl_add_replace', ({ fields, reply }) => {
    const asked = Number(fields['acl_index']);
    const index = asked === 0xffff_ffff ? lists.size : asked;
    lists.set(index, fields);
    reply({ acl_index: index });
  });
  peer.on('acl_del', ({ fields, reply }) => {
    reply({ retval: lists.delete(Number(fields['acl_index'])) ? 0 : -6 });
  });
  peer.on('acl_dump', ({ details }) => {
    for (const [acl_index, { tag, count, r }] of lists) {
      details({ acl_index, tag: tag ?? '', count: count ?? 0, r: r ?? [] });
    }
  });
  return lists;
}

interface Opened {
  readonly backend: OpenedVppBackend;
  readonly lines: readonly string[];
}

async function open(peer: ScriptedPeer, keepFile: string | null = null): Promise<Opened> {
  const timeoutMilliseconds = 300;
  const api = await openVppApi({ socket: peer.socket, schema, name: 'test', timeoutMilliseconds });
  const lines: string[] = [];
  const backend = await openOver(api, {
    ...{ options: DEFAULT_OPTIONS, renderers: renderersOf(DEFAULT_OPTIONS), descriptors: DESCRIPTORS },
    ...{ observer: openObserver(null), keepFile, log: (line: string) => lines.push(line) },
  });
  return { backend, lines };
}

async function withPeer(
  options: Partial<PeerOptions>,
  work: (peer: ScriptedPeer, lists: Map<number, Fields>) => Promise<void>,
): Promise<void> {
  const peer = await scriptedPeer({ schema, ...options });
  peer.on('cli_inband', ({ reply }) => reply({ reply: 'Time now 100.0, Sat, 21 Nov 2026 12:00:00 GMT' }));
  try {
    await work(peer, keepLists(peer));
  } finally {
    await peer.close();
  }
}

const add = (item: Item): Change => ({ type: 'add', key: item.key, item });
const tags = (lists: ReadonlyMap<number, Fields>): string[] =>
  [...lists.values()].map(({ tag }) => String(tag));
const keys = (dump: ReadonlyMap<Key, Item>): Key[] => [...dump.keys()].sort();

test('what VPP lacks is named when it is opened, refused by name, and all else works', () =>
  withPeer({ without: ['cnat_translation_update'] }, async (peer, lists) => {
    const { backend, lines } = await open(peer);
    assert.ok(backend.missing.some(({ messages }) => messages.includes('cnat_translation_update')));
    assert.match(lines.join('\n'), 'it lacks cnat_translation_update');
    const [refused, fine] = await backend.apply([add(SERVICE), add(policy('web', 80))]);
    assert.match(refused?.error?.message ?? '', 'it lacks cnat_translation_update');
    assert.is(fine?.error, null);
    assert.is(lists.size, 0, 'nothing is in force when something is refused');
    await backend.apply([add(policy('web', 80))]);
    assert.equal(keys(await backend.dump()), ['policy/web']);
    await backend.close();
  }));

test('a retval in the middle takes back what was done', () =>
  withPeer({}, async (peer, lists) => {
    const { backend } = await open(peer);
    await backend.apply([add(policy('old', 1))]);
    const before = tags(lists);
    keepLists(peer, lists);
    let count = 0;
    peer.on('acl_add_replace', ({ fields, reply }) => {
      const index = 10 + count++;
      if (index === 11) return reply({ acl_index: 0xffff_ffff, retval: -1 });
      lists.set(index, fields);
      reply({ acl_index: index });
    });
    const results = await backend.apply([2, 3, 4].map((port) => add(policy(`new-${port}`, port))));
    assert.equal(
      results.map(({ error }) => error?.name ?? null),
      [null, 'ObjectRefusedError', null],
    );
    assert.equal(tags(lists), before);
    assert.equal(keys(await backend.dump()), ['policy/old']);
    await backend.close();
  }));

test('a request without an answer is looked up: what was done all the same is not done again', () =>
  withPeer({}, async (peer, lists) => {
    const { backend } = await open(peer);
    let silent = true;
    peer.on('acl_add_replace', ({ fields, reply }) => {
      const index = lists.size;
      lists.set(index, fields);
      if (silent) silent = false;
      else reply({ acl_index: index });
    });
    const [result] = await backend.apply([add(policy('web', 80))]);
    assert.is(result?.error, null);
    assert.is(lists.size, 1);
    await backend.close();
  }));

test('a connection lost in mid-transaction fails it; the next backend finds VPP empty and fills it', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'pteropus-keep-'));
  const file = join(folder, 'items');
  try {
    await withPeer({ pid: 1 }, async (peer, lists) => {
      const { backend } = await open(peer, file);
      await backend.apply([add(policy('old', 1))]);
      assert.is(lists.size, 1);
      peer.on('acl_add_replace', () => peer.drop());
      const error = await backend.apply([add(policy('new', 2))]).catch((reason: unknown) => reason);
      assert.instance(error, Error);
      assert.ok((await backend.lost) instanceof Error);
      await backend.close();
    });
    await withPeer({ pid: 2 }, async (peer, lists) => {
      const { backend, lines } = await open(peer, file);
      assert.match(lines.join(), 'started anew');
      assert.is((await backend.dump()).size, 0);
      await backend.apply([add(policy('old', 1)), add(policy('new', 2))]);
      assert.is(lists.size, 2);
      await backend.close();
      // The same run of VPP, another agent.
      const sent = peer.asked('acl_add_replace').length;
      const second = await open(peer, file);
      assert.equal(keys(await second.backend.dump()), ['policy/new', 'policy/old']);
      assert.is(peer.asked('acl_add_replace').length, sent);
      await second.backend.close();
    });
  } finally {
    rmSync(folder, { recursive: true });
  }
});

test.run();
