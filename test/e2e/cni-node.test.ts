/** What ADD promises, with real links and packets on one node: refusals, host ports, limits, the configuration's coming and going. */
import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { CNI } from '../../control/cni/codes.js';
import { CONFLIST_NAME, conflistText } from '../../control/cni/conflist.js';
import { runExecutable } from '../cni/executable.js';
import { CniNode, type CniSandbox, NODE_ADDRESS, nodeRequirements } from '../cni/node.js';
import { program, testIf } from '../support/requires.js';

const needs = [...nodeRequirements(), program('curl'), program('iperf3')];
const real = testIf(test, ...needs);
let node: CniNode;

test.before(async () => {
  if (needs.some((need) => need !== null)) return;
  node = await CniNode.start();
});
test.after(() => node?.close());

type Result = {
  readonly code?: number;
  readonly msg?: string;
  readonly ips?: { readonly address: string }[];
};

async function cni(command: string, sandbox: CniSandbox, change: object = {}): Promise<Result> {
  const { stdout } = await node.cni(command, sandbox, change);
  return stdout === '' ? {} : (JSON.parse(stdout) as Result);
}

async function wired(sandbox: CniSandbox, change: object = {}): Promise<string> {
  const result = await cni('ADD', sandbox, change);
  assert.is(result.code, undefined, result.msg);
  return result.ips?.[0]?.address.replace('/32', '') ?? '';
}

/** What answers there, '' = nobody. */
function ask(namespace: string, address: string, port: number): string {
  const argv = [`--net=/run/netns/${namespace}`, 'curl', '-s', '-m', '2', `http://${address}:${port}/`];
  return spawnSync('nsenter', argv, { encoding: 'utf8' }).stdout;
}

const mapped = (...portMappings: readonly object[]): object => ({ runtimeConfig: { portMappings } });

real('the node’s own namespace is refused, and a name that the sandbox has', async () => {
  const box = await node.sandbox();
  const env = node.environment('ADD', box);
  for (const netns of [`/run/netns/${node.namespace}`, '/run/netns/pteropusN-never-there', '/etc/hostname']) {
    const { exit, stdout } = await runExecutable({ ...env, CNI_NETNS: netns }, node.conf());
    assert.is(exit, 1, netns);
    assert.ok((JSON.parse(stdout) as Result).code, stdout);
  }
  const { stdout } = await runExecutable({ ...env, CNI_IFNAME: 'lo' }, node.conf());
  assert.match((JSON.parse(stdout) as Result).msg ?? '', /already/);
  assert.is(node.links().filter((name) => name.startsWith('pt') && name.length === 15).length, 0);
});

real(
  'a host port leads to its pod from outside and from inside, on the node’s address alone, until DEL',
  async () => {
    const [web, other, client] = [
      await node.sandbox('web'),
      await node.sandbox('other'),
      await node.sandbox('client'),
    ];
    const change = mapped({ hostPort: 8080, containerPort: 80, protocol: 'tcp' });
    await wired(web, change);
    const address = await wired(other);
    await wired(client);
    await node.serve(web, 80);
    await node.serve(other, 8080);
    assert.match(ask(node.outside, NODE_ADDRESS, 8080), 'shop/web');
    assert.match(ask(client.namespace, NODE_ADDRESS, 8080), 'shop/web');
    // CVE-2025-67499: what is not for the node is not taken, whatever its port.
    assert.match(ask(node.outside, address, 8080), 'shop/other');
    assert.match(ask(client.namespace, address, 8080), 'shop/other');
    assert.is(ask(client.namespace, '198.51.100.9', 8080), '');
    const taken = await cni('ADD', await node.sandbox(), change);
    assert.is(taken.code, CNI.tryAgainLater);
    assert.match(taken.msg ?? '', /belongs to pod shop\/web/);
    assert.is((await cni('CHECK', web, { ...change, prevResult: {} })).code, undefined);
    // The pod's policies judge it as any other connection, and a restart of the agent does not lose it.
    await node.put({
      kind: 'NetworkPolicy',
      metadata: { name: 'closed', namespace: 'shop', uid: null, labels: {}, annotations: {} },
      spec: {
        podSelector: { matchLabels: {}, matchExpressions: [] },
        policyTypes: ['Ingress'],
        ingress: [],
        egress: undefined,
      },
    });
    await node.stop(node.agent);
    await node.startAgent();
    assert.is(ask(node.outside, NODE_ADDRESS, 8080), '');
    await node.store.delete('/pteropus/k8s/NetworkPolicy/shop/closed');
    for (let tries = 0; ask(node.outside, NODE_ADDRESS, 8080) === ''; tries++) {
      assert.ok(tries < 10);
      // The store is in this process, and has to answer meanwhile.
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
    await cni('DEL', web, change);
    assert.is(ask(node.outside, NODE_ADDRESS, 8080), '');
    const next = await node.sandbox();
    await wired(next, change);
    for (const box of [next, other, client]) await cni('DEL', box);
  },
);

real('limits hold in both directions', async () => {
  const bits = 20e6;
  const limit = { ingressRate: bits, ingressBurst: 1e6, egressRate: bits / 2, egressBurst: 1e6 };
  const [slow, fast] = [await node.sandbox('slow'), await node.sandbox('fast')];
  const address = await wired(slow, { runtimeConfig: { bandwidth: limit } });
  await wired(fast);
  const inside = (box: CniSandbox, ...argv: string[]): { readonly stdout: string } =>
    spawnSync('nsenter', [`--net=/run/netns/${box.namespace}`, ...argv], { encoding: 'utf8' });
  inside(slow, 'iperf3', '-s', '-D', '-I', join(node.directory, 'iperf3.pid'));
  try {
    const received = (...flags: string[]): number => {
      const argv = ['iperf3', '-c', address, '-u', '-b', '60M', '-l', '1200', '-t', '2', '-J', ...flags];
      const report = JSON.parse(inside(fast, ...argv).stdout) as {
        readonly end: { readonly sum: { readonly bits_per_second: number; readonly lost_percent: number } };
      };
      const { bits_per_second, lost_percent } = report.end.sum;
      return bits_per_second * (1 - lost_percent / 100);
    };
    const [toPod, fromPod] = [received(), received('-R')];
    // 2 s of the rate and one burst, less headers.
    assert.ok(toPod > bits * 0.7 && toPod < bits * 1.15, `${(toPod / 1e6).toFixed(1)} Mbit/s to the pod`);
    assert.ok(fromPod > bits * 0.35 && fromPod < bits * 0.6, `${(fromPod / 1e6).toFixed(1)} Mbit/s from it`);
  } finally {
    process.kill(Number(readFileSync(join(node.directory, 'iperf3.pid'), 'utf8').replaceAll('\0', '')));
  }
  for (const box of [slow, fast]) await cni('DEL', box);
});

real(
  'the configuration is there when pods can be wired, goes with the data plane, and comes back',
  async () => {
    const confDir = `${node.directory}-net.d`;
    const own = await CniNode.start({
      label: 'c',
      agent: { cniConfDir: confDir, cniBinDir: `${confDir}/bin` },
    });
    const path = join(confDir, CONFLIST_NAME);
    const until = async (there: boolean): Promise<void> => {
      for (let tries = 0; existsSync(path) !== there; tries++) {
        assert.ok(tries < 300, `${path} ${there ? 'does not come' : 'does not go'}`);
        await new Promise((resolve) => setTimeout(resolve, 50));
      }
    };
    try {
      await until(true);
      assert.is(readFileSync(path, 'utf8'), conflistText(own.socket));
      const version = await runExecutable({ CNI_COMMAND: 'VERSION' }, '', `${confDir}/bin/pteropus`);
      assert.is(version.exit, 0);
      await own.stop(own.dataplane);
      await until(false);
      await own.startDataplane();
      await until(true);
    } finally {
      await own.close();
      spawnSync('rm', ['-r', confDir]);
    }
  },
);

test.run();
