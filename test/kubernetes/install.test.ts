/**
 * What the manifests start, started as they say: etcd with its flags and the certificates that certificates.sh makes, ksr with its
 * configuration and the rights of its account.
 */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { request } from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { OBJECTS_PREFIX } from '../../control/objects/stored-keys.js';
import { EtcdStore } from '../../control/store/etcd.js';
import { etcd, etcdProgram, freePort } from '../support/etcd.js';
import { eventually } from '../support/eventually.js';
import { helm, kubernetes, startKubernetes, type TestKubernetes } from '../support/kubernetes/start.js';
import { program, testIf } from '../support/requires.js';
import { applierFor } from './support/apply.js';
import { helmTemplate, K8S, type Manifest, NAMESPACE, readManifests } from './support/chart.js';

const PTEROPUS = fileURLToPath(new URL('../../../../bin/pteropus.mjs', import.meta.url));
const KSR = `system:serviceaccount:${NAMESPACE}:pteropus-ksr`;
const needs = [kubernetes(), helm(), etcd(), program('openssl')];
const check = testIf(test, ...needs);

let folder: string;
let cluster: TestKubernetes;
let manifests: readonly Manifest[];
const HOSTS = ['127.0.0.1', '127.0.0.2', '127.0.0.3'];
const ports = { client: 0, peer: 0, metrics: 0, ksr: 0 };
const children: ChildProcess[] = [];

test.before(async () => {
  if (needs.some((need) => need !== null)) return;
  folder = mkdtempSync(join(tmpdir(), 'pteropus-install-'));
  const groups = ['system:serviceaccounts', `system:serviceaccounts:${NAMESPACE}`];
  cluster = await startKubernetes({ users: [{ name: KSR, groups }] });
  for (const name of ['client', 'peer', 'metrics', 'ksr'] as const) ports[name] = await freePort();
  manifests = helmTemplate([
    ...[`etcd.hosts={${HOSTS.join()}}`, `etcd.clientPort=${ports.client}`, `etcd.peerPort=${ports.peer}`],
    ...[`etcd.metricsPort=${ports.metrics}`, `ports.ksr=${ports.ksr}`, 'metrics.enabled=true'],
    'namespace.create=true',
  ]);
  const secrets = certificates(...HOSTS);
  const applier = applierFor(cluster.api);
  for (const manifest of [...manifests, ...secrets]) await applier.apply(manifest, { dryRun: false });
});

test.after(async () => {
  for (const child of children) {
    if (child.exitCode !== null || child.signalCode !== null) continue;
    const gone = once(child, 'exit');
    child.kill('SIGKILL');
    await gone;
  }
  if (needs.some((need) => need !== null)) return;
  await cluster.close();
  rmSync(folder, { recursive: true });
});

/** Runs the script; its Secrets, which are also files in folders of their names. */
function certificates(...addresses: readonly string[]): readonly Manifest[] {
  const env = { ...process.env, DIR: join(folder, 'authority'), NAMESPACE };
  const made = spawnSync(join(K8S, 'certificates.sh'), addresses, { env, encoding: 'utf8' });
  assert.is(made.status, 0, made.stderr);
  const secrets = readManifests(made.stdout);
  for (const { metadata, ['data']: data } of secrets) {
    mkdirSync(join(folder, metadata.name), { recursive: true });
    for (const [name, value] of Object.entries(data as Record<string, string>))
      writeFileSync(join(folder, metadata.name, name), Buffer.from(value, 'base64'));
  }
  return secrets;
}

const secret = (name: string, file: string): string => join(folder, name, file);

interface Container {
  readonly name: string;
  readonly command: readonly string[];
  readonly env: readonly { readonly name: string; readonly value?: string }[];
  readonly readinessProbe: { readonly exec: { readonly command: readonly string[] } };
}

function container(kind: string, name: string): Container {
  const spec = manifests.find((one) => one.kind === kind && one.metadata.name === name)?.spec as {
    readonly template: { readonly spec: { readonly containers: readonly Container[] } };
  };
  const [first] = spec.template.spec.containers;
  assert.ok(first !== undefined);
  return first;
}

/** Paths inside of the container -> those of this test. */
function outside(text: string, name: string): string {
  return text
    .replaceAll('/etc/etcd/tls', join(folder, 'pteropus-etcd'))
    .replaceAll('/etc/pteropus/store', join(folder, `pteropus-store-${name}`))
    .replaceAll('/etc/pteropus/rest', join(folder, 'pteropus-rest'))
    .replaceAll('/opt/pteropus/bin/pteropus.mjs', PTEROPUS)
    .replaceAll('/run/ksr', folder);
}

function start(
  command: string,
  args: readonly string[],
  env: NodeJS.ProcessEnv,
  said: RegExp,
): Promise<void> {
  const child = spawn(command, args, { env: { ...process.env, ...env }, stdio: ['ignore', 'pipe', 'pipe'] });
  children.push(child);
  return new Promise((resolve, reject) => {
    let log = '';
    setTimeout(() => reject(new Error(`${command} is not ready: ${log.slice(-3000)}`)), 60_000).unref();
    const look = (chunk: Buffer): void => {
      log = (log + chunk.toString('utf8')).slice(-20_000);
      if (said.test(log)) resolve();
    };
    child.stdout?.on('data', look);
    child.stderr?.on('data', look);
    child.once('exit', () => reject(new Error(`${command} ended: ${log.slice(-3000)}`)));
  });
}

const vswitchStore = (): EtcdStore =>
  new EtcdStore({
    endpoints: HOSTS.map((host) => `https://${host}:${ports.client}`),
    caFile: secret('pteropus-store-vswitch', 'ca.crt'),
    certFile: secret('pteropus-store-vswitch', 'tls.crt'),
    keyFile: secret('pteropus-store-vswitch', 'tls.key'),
  });

check(
  'three members of etcd run with the flags of their StatefulSet, for clients with a certificate alone',
  async () => {
    const [, ...flags] = container('StatefulSet', 'pteropus-etcd').command.map((arg) => outside(arg, ''));
    // 3.5 and 3.4.
    const ready = /ready to serve client requests|serving client (requests|traffic) securely/;
    await Promise.all(
      HOSTS.map(async (host) => {
        const own = flags.map((flag) =>
          flag.replaceAll('$(HOST_IP)', host).replace('/var/lib/etcd', join(folder, `etcd-${host}`)),
        );
        // On one machine they cannot all have this port of 127.0.0.1.
        const metrics = `--listen-metrics-urls=http://${host}:${ports.metrics}`;
        const args = own.map((flag) => (flag.startsWith('--listen-metrics-urls') ? metrics : flag));
        await start(etcdProgram(), args, {}, ready);
      }),
    );
    const store = vswitchStore();
    await store.put('/pteropus/test', 'a');
    await store.close();
    for (const host of HOSTS) assert.is((await fetch(`http://${host}:${ports.metrics}/health`)).status, 200);
    const refused = await status(ports.client, '/health', {}).catch((error: Error) => error);
    assert.instance(refused, Error);
  },
);

check('ksr runs with its configuration and its rights, reflects, and tells events', async () => {
  const config = manifests.find(({ kind }) => kind === 'ConfigMap')?.['data'] as Record<string, string>;
  const settings = join(folder, 'settings.json');
  writeFileSync(settings, outside(config['ksr.json'] ?? '', 'ksr'));
  const file = join(folder, 'ksr.json');
  const env = { HOST_IPS: '127.0.0.1' };
  const filled = spawnSync(
    process.execPath,
    [PTEROPUS, 'node', 'fill', `--settings=${settings}`, `--out=${file}`],
    { env: { ...process.env, ...env }, encoding: 'utf8' },
  );
  assert.is(filled.status, 0, filled.stderr);
  const { readinessProbe, env: given } = container('Deployment', 'pteropus-ksr');
  assert.ok(given.some(({ name, value }) => name === 'KUBERNETES_SERVICE_HOST' && value === '127.0.0.1'));
  // Outside of a pod there is no token in its place: the same account by a kubeconfig.
  const access = { KUBECONFIG: cluster.kubeconfigOf(KSR) };
  await start(process.execPath, [PTEROPUS, 'ksr', '--config', file], access, /"ready":true/);
  const [, ...probe] = readinessProbe.exec.command.map((arg) => outside(arg, 'ksr'));
  const ready = (): boolean => spawnSync(process.execPath, probe).status === 0;
  await eventually('ksr is ready', async () => ready());

  const store = vswitchStore();
  const { entries } = await store.list(`${OBJECTS_PREFIX}Namespace/`);
  await store.close();
  assert.ok(
    entries.some(({ key }) => key.endsWith(`/${NAMESPACE}`)),
    'the namespace is in the store',
  );

  // Not honoured: outside of externalIPCIDRs.
  await cluster.api.create('/api/v1/namespaces/default/services', {
    metadata: { name: 'outside' },
    spec: { ports: [{ port: 80 }], externalIPs: ['203.0.113.9'] },
  });
  const events = '/apis/events.k8s.io/v1/namespaces/default/events';
  await eventually('an Event tells of it', async () => {
    const { items } = await cluster.api.get(events);
    return (items as { regarding?: { name?: string } }[]).some(
      ({ regarding }) => regarding?.name === 'outside',
    );
  });
});

check('metrics are for clients with a certificate of the same authority', async () => {
  const metrics = (cert: object): Promise<number> => status(ports.ksr, '/metrics', cert);
  const pair = (name: string): object => ({
    cert: readFileSync(secret(name, 'tls.crt')),
    key: readFileSync(secret(name, 'tls.key')),
    ca: readFileSync(secret(name, 'ca.crt')),
    servername: 'pteropus',
  });
  assert.is(await metrics(pair('pteropus-metrics-client')), 200);
  const stranger = await metrics({ rejectUnauthorized: false }).catch((error: Error) => error);
  assert.instance(stranger, Error);
});

check('renewed certificates are of the same authority; wrong arguments make nothing', () => {
  const before = readFileSync(secret('pteropus-etcd', 'ca.crt'), 'utf8');
  const old = readFileSync(secret('pteropus-store-ksr', 'tls.crt'), 'utf8');
  certificates('127.0.0.1', '10.0.0.11');
  assert.is(readFileSync(secret('pteropus-etcd', 'ca.crt'), 'utf8'), before);
  assert.is.not(readFileSync(secret('pteropus-store-ksr', 'tls.crt'), 'utf8'), old);
  for (const args of [[], ['master-1'], ['10.0.0.1,DNS:evil']]) {
    const env = { ...process.env, DIR: join(folder, 'none') };
    const { status: code, stdout } = spawnSync(join(K8S, 'certificates.sh'), args, { env, encoding: 'utf8' });
    assert.equal([code, stdout], [2, '']);
  }
});

/** HTTP status of an HTTPS request. */
function status(port: number, path: string, tls: object): Promise<number> {
  return new Promise((resolve, reject) => {
    const call = request({ host: '127.0.0.1', port, path, agent: false, ...tls }, (response) => {
      response.resume();
      response.on('end', () => resolve(response.statusCode ?? 0));
    });
    call.on('error', reject);
    call.end();
  });
}

test.run();
