import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { Model } from '../model/model.js';
import { parseApiObject } from '../objects/manifest.js';
import { ProblemReport } from './problem-report.js';

const policy = (name: string, priority: number) =>
  parseApiObject({
    apiVersion: 'policy.networking.k8s.io/v1alpha2',
    kind: 'ClusterNetworkPolicy',
    metadata: { name },
    spec: { tier: 'Admin', priority, subject: { namespaces: {} } },
  });

test('each problem is told once, and again after it was put right', () => {
  const lines: string[] = [];
  const report = new ProblemReport([], (line) => lines.push(line));
  const [a, b, other] = [policy('a', 1), policy('b', 1), policy('b', 2)];
  report.changed([a], Model.of([a]));
  assert.equal(lines, []);
  report.changed([b], Model.of([a, b]));
  assert.is(lines.length, 1);
  assert.match(lines[0] ?? '', /^ClusterNetworkPolicy b: spec\.priority: 1 is that of a too/);
  report.all([a, b]);
  report.changed([a], Model.of([a, b]));
  assert.is(lines.length, 1);
  report.all([a, other]);
  report.all([a, b]);
  assert.is(lines.length, 2);
});

test.run();
