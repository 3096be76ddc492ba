/** How fast ksr reflects: many pods into an empty store, into one that has them, and as they are made (bench/README.md). */
import { mkdirSync, writeFileSync } from 'node:fs';
import { loadavg, release } from 'node:os';
import { dirname } from 'node:path';
import { fileURLToPath } from 'node:url';
import { kubeAccess } from '../control/ksr/access.js';
import { KubeApi } from '../control/ksr/api.js';
import { eventually, KsrProcess } from '../control/ksr/fixtures.js';
import { RESOURCES } from '../control/ksr/resources.js';
import { COMPLETE_KEY, OBJECTS_PREFIX } from '../control/objects/stored-keys.js';
import { EtcdStore } from '../control/store/etcd.js';
import { startEtcd } from '../test/support/etcd.js';
import { startKubernetes } from '../test/support/kubernetes/start.js';
import { benchOptions } from './options.js';
import { figures } from './statistics.js';

const USAGE = `usage: npm run bench:ksr -- [--pods N] [--rounds N]

Starts etcd and kube-apiserver, makes N pods (default 10000) through the API while a ksr runs, then, N rounds of each (3): ksr
begins with an empty store; ksr begins with a store that holds everything. Beside it, in the same rounds, the time to list the
pods from the API alone: what no reflector can go below. Figures go to bench/results/ksr.json. About two minutes.`;

const RESULTS = fileURLToPath(new URL('../../../bench/results/ksr.json', import.meta.url));
const PARALLEL = 24;

const options = benchOptions(USAGE, {
  pods: { type: 'string', default: '10000' },
  rounds: { type: 'string', default: '3' },
});
const [pods, rounds] = [Number(options.pods), Number(options.rounds)];

const cluster = await startKubernetes();
const etcd = await startEtcd();
const store = new EtcdStore(etcd.config);
const seconds = (since: number): number => (performance.now() - since) / 1000;
const reflected = async (): Promise<number> => (await store.list(`${OBJECTS_PREFIX}Pod/`)).entries.length;
const start = (identity: string): Promise<KsrProcess> =>
  KsrProcess.start({ identity, store: etcd.config, kubeconfig: cluster.kubeconfig, leaseSeconds: 30 });
const until = (so: () => Promise<boolean>): Promise<void> => eventually(() => 'not reflected', so, 600_000);
try {
  await cluster.api.create('/api/v1/namespaces', { metadata: { name: 'bench' } });
  const pod = (i: number): object => ({
    metadata: { name: `p-${i}`, labels: { app: `a-${i % 100}`, tier: 'web' } },
    spec: {
      nodeName: `node-${i % 100}`,
      automountServiceAccountToken: false,
      containers: [{ name: 'main', image: 'example.com/x', ports: [{ name: 'http', containerPort: 8080 }] }],
    },
  });
  await cluster.api.create('/api/v1/namespaces/bench/serviceaccounts', { metadata: { name: 'default' } });
  const live = await start('live');
  await until(async () => (await live.status()).ready);
  let began = performance.now();
  let next = 0;
  const maker = async (): Promise<void> => {
    while (next < pods) await cluster.api.create('/api/v1/namespaces/bench/pods', pod(next++));
  };
  await Promise.all(Array.from({ length: PARALLEL }, maker));
  const made = seconds(began);
  await until(async () => (await reflected()) === pods);
  const behind = seconds(began) - made;
  await live.end();

  const api = new KubeApi(kubeAccess(cluster.kubeconfig));
  const resource = RESOURCES.find(({ kind }) => kind === 'Pod');
  if (resource === undefined) throw new Error('no pods');
  const [list, empty, full]: [number[], number[], number[]] = [[], [], []];
  for (let round = 0; round < rounds; round++) {
    began = performance.now();
    await api.list(resource, () => undefined);
    list.push(seconds(began));
    await etcd.stop('SIGTERM');
    etcd.empty();
    await etcd.start();
    for (const [name, times] of [
      ['empty', empty],
      ['full', full],
    ] as const) {
      const ksr = await start(`${name}-${round}`);
      began = performance.now();
      await until(async () => (await ksr.status()).ready && (await store.get(COMPLETE_KEY)) !== null);
      times.push(seconds(began));
      await ksr.end();
    }
  }
  const [l, e, f] = [figures(list), figures(empty), figures(full)];
  process.stdout.write(
    [
      `${pods} pods were made in ${made.toFixed(1)} s (${Math.round(pods / made)}/s); all were reflected ${(behind * 1000).toFixed(0)} ms after the last`,
      `list from the API alone        ${l.median.toFixed(2)} s`,
      `into an empty store            ${e.median.toFixed(2)} s   ${Math.round(pods / e.median)} objects/s   ${(e.median / l.median).toFixed(1)} x the list`,
      `into a store that has them     ${f.median.toFixed(2)} s   ${Math.round(pods / f.median)} objects/s   ${(f.median / l.median).toFixed(1)} x the list`,
      '',
    ].join('\n'),
  );
  mkdirSync(dirname(RESULTS), { recursive: true });
  const machine = { kernel: release(), load: loadavg() };
  const raw = { list, empty, full };
  const result = {
    pods,
    rounds,
    made,
    behind,
    seconds: raw,
    median: { list: l.median, empty: e.median, full: f.median },
    machine,
  };
  writeFileSync(RESULTS, `${JSON.stringify(result, null, 1)}\n`);
} finally {
  await store.close();
  await etcd.close();
  await cluster.close();
}
