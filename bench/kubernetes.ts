/** From a write to the API server to its effect on packets, in a cluster with many Services and policies (bench/README.md). */
import { mkdirSync, writeFileSync } from 'node:fs';
import { loadavg, release } from 'node:os';
import { dirname } from 'node:path';
import { fileURLToPath } from 'node:url';
import { collectionPath, kindNamed } from '../control/sim/kubernetes/kinds.js';
import { startCluster } from '../test/kubernetes/support/cluster.js';
import { changes, GATE, SERVER_APP } from './kubernetes/changes.js';
import { crowd } from './kubernetes/crowd.js';
import { effectOf } from './kubernetes/effect.js';
import { benchOptions } from './options.js';

const USAGE = `usage: npm run bench:kubernetes -- [--services N] [--policies N] [--pods N] [--rounds N]

Starts etcd, kube-apiserver, ksr and two nodes; fills the API with N Services (default 1000), N policies (1000) and the objects
of N pods (1000); then makes changes through the API, N rounds of each (40), and measures until new connections show them. Prints p50 and p99
in milliseconds; figures go to bench/results/kubernetes.json. Needs root; three minutes.`;

const RESULTS = fileURLToPath(new URL('../../../bench/results/kubernetes.json', import.meta.url));
const NAMESPACE = 'bench';
const LIMIT_MS = 250;
const WARM_ROUNDS = 3;

const options = benchOptions(USAGE, {
  services: { type: 'string', default: '1000' },
  policies: { type: 'string', default: '1000' },
  pods: { type: 'string', default: '1000' },
  rounds: { type: 'string', default: '40' },
});
const [services, policies, pods, rounds] = [
  options.services,
  options.policies,
  options.pods,
  options.rounds,
].map(Number) as [number, number, number, number];

const at = (values: readonly number[], part: number): number =>
  [...values].sort((a, b) => a - b)[Math.min(values.length - 1, Math.floor(values.length * part))] ??
  Number.NaN;

const running = await startCluster(`x-bench-${process.pid}`);
try {
  const { api, cluster, driver } = running;
  await api.create(collectionPath(kindNamed('Namespace')), {
    apiVersion: 'v1',
    kind: 'Namespace',
    metadata: { name: NAMESPACE },
  });
  const makePod = (name: string, nodeName: string, labels: object, extra: object = {}) =>
    api.create(collectionPath(kindNamed('Pod'), NAMESPACE), {
      apiVersion: 'v1',
      kind: 'Pod',
      metadata: { name, labels },
      spec: {
        nodeName,
        containers: [{ name: 'main', image: 'example.com/x', ports: [{ containerPort: 8080 }] }],
        ...extra,
      },
    });
  const readinessGates = [{ conditionType: GATE }];
  await makePod('client', 'node-1', { role: 'friend' });
  await makePod('server', 'node-2', { app: SERVER_APP }, { readinessGates });
  await cluster.settled();
  const measured = { namespace: NAMESPACE, app: SERVER_APP, policies: Math.floor(policies / 10) };
  let start = performance.now();
  await crowd(api, { namespaces: 20, pods, services, policies, measured });
  process.stdout.write(`the API has all after ${((performance.now() - start) / 1000).toFixed(1)} s\n`);
  start = performance.now();
  await cluster.settled();
  process.stdout.write(`every node has all ${((performance.now() - start) / 1000).toFixed(1)} s later\n`);
  const { state } = cluster;
  const address = state.pods.find(({ pod }) => pod.metadata.name === 'server')?.pod.status.podIPs[0] ?? '';
  const subject = { api, namespace: NAMESPACE, client: 'client', server: 'server', address };
  const figures: Record<string, { p50: number; p99: number; most: number; samples: readonly number[] }> = {};
  const direct: number[] = [];
  for (const { name, played, wire, open, close } of await changes(subject)) {
    await effectOf(driver, wire, 'open', open);
    const samples: number[] = [];
    for (let i = -WARM_ROUNDS; i < rounds; i++) {
      const pair = [
        await effectOf(driver, wire, 'closed', close),
        await effectOf(driver, wire, 'open', open),
      ];
      if (i >= 0) samples.push(...pair);
    }
    if (!played) direct.push(...samples);
    const [p50, p99, most] = [at(samples, 0.5), at(samples, 0.99), Math.max(...samples)];
    figures[name] = { p50, p99, most, samples };
    const cells = [p50, p99, most].map((value) => `${value.toFixed(0).padStart(6)} ms`);
    process.stdout.write(`${name.padEnd(34)} p50 ${cells[0]}  p99 ${cells[1]}  most ${cells[2]}\n`);
  }
  const [p50, p99] = [at(direct, 0.5), at(direct, 0.99)];
  process.stdout.write(
    `API write to effect, ${services} Services, ${policies} policies: p50 ${p50.toFixed(0)} ms, p99 ${p99.toFixed(0)} ms` +
      ` (${direct.length} changes; ${p99 < LIMIT_MS ? 'below' : 'NOT below'} ${LIMIT_MS} ms)\n`,
  );
  const machine = { kernel: release(), node: process.version, load: loadavg() };
  mkdirSync(dirname(RESULTS), { recursive: true });
  writeFileSync(
    RESULTS,
    `${JSON.stringify({ machine, services, policies, pods, rounds, p50, p99, figures }, null, 2)}\n`,
  );
  process.exitCode = p99 < LIMIT_MS ? 0 : 1;
} finally {
  await running.close();
}
