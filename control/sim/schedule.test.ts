import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { Planned } from './expand.js';
import { podObject } from './fixtures.js';
import { schedule } from './schedule.js';

const NODES = ['node-1', 'node-2', 'node-3'].map((name) => ({
  name,
  labels: { 'kubernetes.io/hostname': name },
}));
const planned = (name: string, workload = name, spec: object = {}): Planned => ({
  pod: podObject(name, { spec }),
  workload,
  workloadKind: 'Deployment',
});
const where = (pods: readonly Planned[], placed?: ReadonlyMap<string, string>) =>
  schedule(pods, NODES, placed).pods.map(({ pod }) => pod.spec.nodeName);

test('replicas of one workload spread before nodes fill up', () => {
  const pods = [
    ...[1, 2, 3].map((i) => planned(`a/web-${i}`, 'a/web')),
    ...[1, 2].map((i) => planned(`a/db-${i}`, 'a/db')),
  ];
  const nodes = where(pods);
  assert.equal([...nodes.slice(0, 3)].sort(), ['node-1', 'node-2', 'node-3']);
  assert.is(new Set(nodes.slice(3)).size, 2);
});

test('nodeName and nodeSelector are respected', () => {
  assert.equal(where([planned('a/x', 'a/x', { nodeName: 'node-3' })]), ['node-3']);
  assert.equal(where([planned('a/y', 'a/y', { nodeSelector: { 'kubernetes.io/hostname': 'node-2' } })]), [
    'node-2',
  ]);
});

test('a cordoned node keeps what it has and gets nothing new', () => {
  const pods = [planned('a/web-1', 'a/web'), planned('a/web-2', 'a/web')];
  const nodes = NODES.map((node) => ({ ...node, cordoned: node.name !== 'node-2' }));
  const placed = new Map([['a/web-1', 'node-1']]);
  const out = schedule([...pods, planned('a/db', 'a/db')], nodes, placed).pods;
  assert.equal(
    out.map(({ pod }) => pod.spec.nodeName),
    ['node-1', 'node-2', 'node-2'],
  );
});

test('replicas that have a node count, wherever they stand in the list', () => {
  const bound = { nodeName: 'node-1' };
  const pods = [planned('a/web-1', 'a/web'), planned('a/web-2', 'a/web'), planned('a/web-3', 'a/web', bound)];
  assert.equal([...where(pods)].sort(), ['node-1', 'node-2', 'node-3']);
});

test('nodes of a real cluster are mapped to ours, hardware we lack is a remark', () => {
  const foreign = schedule(
    [planned('a/x', 'a/x', { nodeName: 'ip-10-0-0-9' }), planned('a/y', 'a/y', { nodeName: 'ip-10-0-0-8' })],
    NODES,
  );
  assert.equal(
    foreign.pods.map(({ pod }) => pod.spec.nodeName),
    ['node-2', 'node-1'],
  );
  assert.is(foreign.warnings.length, 2);
  const gpu = schedule([planned('a/z', 'a/z', { nodeSelector: { gpu: 'yes' } })], NODES);
  assert.ok(gpu.pods[0]?.pod.spec.nodeName);
  assert.match(gpu.warnings[0] ?? '', /nodeSelector/);
});

test('what runs stays where it is, and newcomers go where there is room', () => {
  const placed = new Map([
    ['a/web-1', 'node-2'],
    ['a/web-2', 'node-2'],
  ]);
  const nodes = where(
    [planned('a/new', 'a/new'), planned('a/web-1', 'a/web'), planned('a/web-2', 'a/web')],
    placed,
  );
  assert.equal(nodes, ['node-1', 'node-2', 'node-2']);
});

test.run();
