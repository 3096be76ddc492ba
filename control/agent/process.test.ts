/** The agent as its own process, with a real data plane, real links and the real CNI program, on one node. */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { loadNative } from '../../native/index.js';
import { file, program, root, testIf } from '../../test/support/requires.js';
import { DEFAULT_CONFIG } from '../compiler/input.js';
import { toJson } from '../objects/json.js';
import { COMPLETE_KEY } from '../objects/stored-keys.js';
import type { NetworkPolicy, Pod } from '../objects/types.js';
import { EmbeddedStore } from '../store/embedded.js';
import { serveStore } from '../store/server.js';
import { statusThat } from './fixtures.js';
import { keyOf } from './objects.js';

const buildPath = (path: string): string => fileURLToPath(new URL(`../../../${path}`, import.meta.url));
const PTEROPUS = buildPath('../bin/pteropus.mjs');
const CNI = buildPath('native/pteropus-cni');

const directory = mkdtempSync(join(tmpdir(), 'pteropus-A-'));
const name = (label: string): string => `pteropusA${process.pid}${label}`;
const NODE = name('node');
const PODS = ['web', 'db'] as const;
const path = (netns: string): string => `/run/netns/${netns}`;
const configPath = join(directory, 'agent.json');
const config = {
  node: 'n1',
  store: join(directory, 'store.sock'),
  dataplane: join(directory, 'dataplane.sock'),
  cni: join(directory, 'cni.sock'),
  journal: join(directory, 'journal.json'),
  netns: path(NODE),
  uplink: 'uplink',
  cluster: { defaultGateway: DEFAULT_CONFIG.defaultGateway },
  dieWithStdin: true,
};

const children = new Set<ChildProcess>();

/** Starts a verb inside the node; resolves when `ready` says so of a line of its output. */
async function start(ready: RegExp, ...argv: string[]): Promise<ChildProcess> {
  const child = spawn('nsenter', [`--net=${path(NODE)}`, '--', process.execPath, PTEROPUS, ...argv], {
    stdio: ['pipe', 'pipe', 'pipe'],
  });
  children.add(child);
  child.once('exit', () => children.delete(child));
  const log: string[] = [];
  await new Promise<void>((resolve, reject) => {
    for (const output of [child.stdout, child.stderr]) {
      createInterface({ input: output }).on('line', (line) => {
        log.push(line);
        if (ready.test(line)) resolve();
      });
    }
    child.once('exit', (code) => reject(new Error(`${argv[0]} ended with ${code}:\n${log.join('\n')}`)));
  });
  return child;
}

async function kill(child: ChildProcess): Promise<void> {
  const gone = once(child, 'exit');
  child.kill('SIGKILL');
  await gone;
}

const startAgent = (): Promise<ChildProcess> => start(/"ready":true/, 'agent', '--config', configPath);
const startDataplane = (): Promise<ChildProcess> =>
  start(/listening on/, 'dataplane', '--socket', config.dataplane, '--feed', 'afxdp', '--die-with-stdin');

/** Runs the CNI program as a runtime does. */
function cni(command: string, pod: string, stdin: object = {}): { status: number | null; out: string } {
  const done = spawnSync(CNI, {
    encoding: 'utf8',
    input: JSON.stringify({
      cniVersion: '1.0.0',
      name: 'net',
      type: 'pteropus',
      socket: config.cni,
      ...stdin,
    }),
    env: {
      CNI_COMMAND: command,
      CNI_CONTAINERID: `container-${pod}`,
      CNI_NETNS: path(name(pod)),
      CNI_IFNAME: 'eth0',
      CNI_PATH: '/opt/cni/bin',
      CNI_ARGS: `IgnoreUnknown=1;K8S_POD_NAMESPACE=shop;K8S_POD_NAME=${pod}`,
    },
  });
  assert.is(done.stderr, '');
  return { status: done.status, out: done.stdout };
}

function ping(from: string, address: string): boolean {
  return spawnSync('ip', ['netns', 'exec', name(from), 'ping', '-c', '1', '-W', '1', address]).status === 0;
}

function podObject(pod: string): Pod {
  return {
    kind: 'Pod',
    metadata: { name: pod, namespace: 'shop', uid: null, labels: { app: pod }, annotations: {} },
    spec: {
      nodeName: 'n1',
      hostNetwork: false,
      hostname: null,
      subdomain: null,
      nodeSelector: {},
      containers: [],
    },
    status: { phase: 'Running', podIPs: [], ready: true, terminating: false },
  };
}

const CLOSED: NetworkPolicy = {
  kind: 'NetworkPolicy',
  metadata: { name: 'closed', namespace: 'shop', uid: null, labels: {}, annotations: {} },
  spec: {
    podSelector: { matchLabels: { app: 'db' }, matchExpressions: [] },
    policyTypes: ['Ingress'],
    ingress: [],
    egress: undefined,
  },
};

const complete = testIf(
  test,
  root(),
  program('ping'),
  program('nsenter'),
  file(CNI),
  file(buildPath('native/pteropus.node')),
  file(buildPath('dataplane.wasm')),
);

complete('pods are wired, policies hold, and agent and data plane may die', async () => {
  const native = loadNative();
  const node = native.createNetns(NODE);
  node.createVeth({ name: 'uplink' }, { name: 'wire' });
  node.setLink('wire', { up: true });
  for (const pod of PODS) native.createNetns(name(pod)).close();
  const store = new EmbeddedStore();
  await store.put(COMPLETE_KEY, '{}');
  const server = await serveStore(store, config.store);
  writeFileSync(configPath, JSON.stringify(config));
  try {
    for (const pod of PODS) await store.put(keyOf(podObject(pod)), toJson(podObject(pod)));
    let [dataplane, agent] = await Promise.all([startDataplane(), startAgent()]);
    assert.is(statSync(config.cni).mode & 0o777, 0o600);

    const results = PODS.map((pod) => cni('ADD', pod));
    for (const { status: code, out } of results) assert.is(code, 0, out);
    const addresses = results.map(({ out }) => {
      const result = JSON.parse(out) as { ips: { address: string }[] };
      return result.ips[0]?.address.replace('/32', '') ?? '';
    });
    const [web = '', db = ''] = addresses;
    assert.equal(addresses, ['10.1.1.2', '10.1.1.3']);
    assert.ok(ping('web', '10.1.1.1'), 'the gateway answers');
    assert.ok(ping('web', db));
    assert.ok(ping('node', web), 'the node reaches its pods');

    const revision = await store.put(keyOf(CLOSED), toJson(CLOSED));
    await statusThat(store, (s) => s.revision >= revision);
    assert.not(ping('web', db), 'the policy holds');
    assert.ok(ping('db', web));
    assert.ok(ping('node', db), 'the node reaches its own pods, whatever the policies');

    await kill(agent);
    assert.ok(ping('db', web), 'traffic goes on without the agent');
    agent = await startAgent();
    assert.is(cni('ADD', 'web').out, results[0]?.out, 'the same sandbox again, the same answer');
    assert.equal(cni('CHECK', 'web', { prevResult: {} }), { status: 0, out: '' });
    assert.not(ping('web', db));

    await kill(dataplane);
    await statusThat(store, ({ ready }) => !ready);
    dataplane = await startDataplane();
    await statusThat(store, ({ ready }) => ready);
    assert.ok(ping('db', web), 'refilled');
    assert.not(ping('web', db));

    for (const pod of [...PODS, ...PODS]) assert.equal(cni('DEL', pod), { status: 0, out: '' });
    assert.not(node.links().some(({ name: link }) => link.startsWith('pt') && link.length === 15));
    const ended = once(agent, 'exit');
    agent.kill('SIGTERM');
    agent.stdin?.end();
    await ended;
  } finally {
    for (const child of children) await kill(child);
    await server.close();
    await store.close();
    node.close();
    for (const netns of [NODE, ...PODS.map(name)]) native.deleteNetns(netns);
  }
});

test.after(() => rmSync(directory, { recursive: true, force: true }));
test.run();
