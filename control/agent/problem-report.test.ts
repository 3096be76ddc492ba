import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { Model } from '../model/model.js';
import { parseApiObject } from '../objects/manifest.js';
import type { KubeObject, ObjectEvent } from '../objects/types.js';
import { ProblemReport } from './problem-report.js';

const policy = (name: string, priority: number) =>
  parseApiObject({
    apiVersion: 'policy.networking.k8s.io/v1alpha2',
    kind: 'ClusterNetworkPolicy',
    metadata: { name },
    spec: { tier: 'Admin', priority, subject: { namespaces: {} } },
  });

const put = (object: KubeObject): ObjectEvent => ({ type: 'put', object });

test('each problem is told once, and again after it was put right', () => {
  const lines: string[] = [];
  const report = new ProblemReport([], (line) => lines.push(line));
  const [a, b, other] = [policy('a', 1), policy('b', 1), policy('b', 2)];
  report.changed([put(a)], Model.of([a]));
  assert.equal(lines, []);
  report.changed([put(b)], Model.of([a, b]));
  assert.is(lines.length, 1);
  assert.match(lines[0] ?? '', /^ClusterNetworkPolicy b: spec\.priority: 1 is that of a too/);
  report.all([a, b]);
  report.changed([put(a)], Model.of([a, b]));
  assert.is(lines.length, 1);
  report.all([a, other]);
  report.all([a, b]);
  assert.is(lines.length, 2);
});

test('the list has what is wrong now: objects, and entries that cannot be read until they are put right', () => {
  const report = new ProblemReport([], () => undefined);
  const [a, b] = [policy('a', 1), policy('b', 1)];
  report.unreadable('/pteropus/k8s/ClusterNetworkPolicy//a', 'no JSON');
  report.unreadable('/pteropus/k8s/Pod/shop/web', 'no JSON');
  report.changed([put(a)], Model.of([a]));
  assert.equal(
    report.list(Model.of([a, b])).map(({ source, object, field }) => [source, object, field]),
    [
      ['store', '/pteropus/k8s/Pod/shop/web', null],
      ['object', 'ClusterNetworkPolicy b', 'spec.priority'],
    ],
  );
  report.changed([{ type: 'delete', kind: 'Pod', namespace: 'shop', name: 'web' }], Model.of([a]));
  assert.equal(report.list(Model.of([a])), []);
});

test.run();
