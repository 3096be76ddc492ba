/** The CNI executable under containernetworking's own runtime library (cnitool), alone and chained with Debian's plugins. */
import { execFile } from 'node:child_process';
import { copyFileSync, mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { CONFLIST_NAME, conflistText, NETWORK_NAME } from '../../control/cni/conflist.js';
import { EXECUTABLE } from '../../control/cni/install.js';
import { findProgram } from '../../control/sim/kubernetes/programs.js';
import { CniNode, type CniSandbox, NODE_ADDRESS, nodeRequirements } from '../cni/node.js';
import { cnitool } from '../support/kubernetes/start.js';
import { file, program, testIf } from '../support/requires.js';

const PEERS = '/usr/lib/cni';
const CHAINED = ['portmap', 'bandwidth', 'tuning'];
const needs = [
  ...nodeRequirements(),
  cnitool(),
  ...['curl', 'iptables', 'tc'].map(program),
  ...CHAINED.map((name) => file(join(PEERS, name))),
];
const real = testIf(test, ...needs);
let node: CniNode;

test.before(async () => {
  if (needs.some((need) => need !== null)) return;
  node = await CniNode.start();
  const bin = join(node.directory, 'bin');
  mkdirSync(bin);
  copyFileSync(EXECUTABLE, join(bin, 'pteropus'));
  for (const name of CHAINED) symlinkSync(join(PEERS, name), join(bin, name));
});
test.after(() => node?.close());

const execute = promisify(execFile);

/** Writes a configuration list and returns cnitool for one sandbox in it. */
function tool(list: string, network: string, { namespace, pod }: CniSandbox, capabilities: object = {}) {
  const confDir = join(node.directory, `net.d-${pod}`);
  mkdirSync(confDir, { recursive: true });
  writeFileSync(join(confDir, CONFLIST_NAME), list);
  const env = {
    PATH: process.env['PATH'] ?? '',
    NETCONFPATH: confDir,
    CNI_PATH: join(node.directory, 'bin'),
    CNI_IFNAME: 'eth0',
    CNI_ARGS: `IgnoreUnknown=1;K8S_POD_NAMESPACE=shop;K8S_POD_NAME=${pod}`,
    CAP_ARGS: JSON.stringify(capabilities),
  };
  const program = findProgram('cnitool') ?? '';
  return async (command: string): Promise<string> => {
    const inside = [
      `--net=/run/netns/${node.namespace}`,
      program,
      command,
      network,
      `/run/netns/${namespace}`,
    ];
    return (await execute('nsenter', inside, { env })).stdout;
  };
}

async function inside(namespace: string, ...argv: readonly string[]): Promise<string> {
  const done = execute('nsenter', [`--net=/run/netns/${namespace}`, ...argv]);
  return (await done.catch((error: { stdout?: string }) => ({ stdout: error.stdout ?? '' }))).stdout;
}

interface Result {
  readonly cniVersion: string;
  readonly interfaces: readonly { readonly name: string; readonly sandbox?: string; readonly mtu?: number }[];
  readonly ips: readonly { readonly address: string; readonly interface: number }[];
}

real('the configuration as it is installed: add, check, status, del, gc', async () => {
  const box = await node.sandbox('plain');
  const call = tool(conflistText(node.socket), NETWORK_NAME, box);
  await call('status');
  const result = JSON.parse(await call('add')) as Result;
  assert.is(result.cniVersion, '1.1.0', 'the newest that both know');
  assert.is(result.interfaces[1]?.mtu, 1450);
  assert.is(result.ips[0]?.interface, 1);
  assert.match(await inside(box.namespace, 'ping', '-c', '1', '-W', '2', '10.1.1.1'), ' 0% packet loss');
  await call('check');
  await inside(box.namespace, 'ip', 'address', 'flush', 'dev', 'eth0');
  const broken = await call('check').then(
    () => '',
    (error: { stdout: string; stderr: string }) => error.stdout + error.stderr,
  );
  assert.match(broken, /eth0 has lost its address 10\.1\.1\.\d+/);
  await call('del');
  await call('del');
  await call('add');
  // cnitool's gc names no attachment as valid.
  await call('gc');
  assert.not.match(await inside(box.namespace, 'ip', 'link'), 'eth0');
  node.forget(box);
});

real('behind us portmap, bandwidth and tuning do their work, and ours is undone with theirs', async () => {
  const box = await node.sandbox('chained');
  const list = {
    cniVersion: '1.0.0',
    name: 'chained',
    plugins: [
      { type: 'pteropus', socket: node.socket },
      { type: 'portmap', capabilities: { portMappings: true }, snat: true },
      { type: 'bandwidth', capabilities: { bandwidth: true } },
      { type: 'tuning', sysctl: { 'net.ipv4.conf.eth0.log_martians': '1' } },
    ],
  };
  const bandwidth = { ingressRate: 8e6, ingressBurst: 8e6, egressRate: 8e6, egressBurst: 8e6 };
  const portMappings = [{ hostPort: 8081, containerPort: 80, protocol: 'tcp' }];
  const call = tool(JSON.stringify(list), 'chained', box, { portMappings, bandwidth });
  const result = JSON.parse(await call('add')) as Result;
  const link = result.interfaces[0]?.name ?? '';
  assert.match(link, /^pt[0-9a-f]{13}$/);
  assert.is(result.interfaces[1]?.sandbox, `/run/netns/${box.namespace}`);
  assert.match(await inside(node.namespace, 'tc', 'qdisc', 'show', 'dev', link), 'tbf');
  const address = result.ips[0]?.address.replace('/32', '') ?? '';
  assert.match(await inside(node.namespace, 'iptables', '-t', 'nat', '-S'), `--to-destination ${address}:80`);
  assert.match(await inside(box.namespace, 'sysctl', 'net.ipv4.conf.eth0.log_martians'), '= 1');
  // Debian's portmap looks for the IPv6 rules of a pod without IPv6, and we come before it.
  const checked = await call('check').catch((error: { stderr: string }) => error.stderr);
  assert.ok(checked === '' || checked.includes('could not check ipv6 dnat'), checked);
  await node.serve(box, 80);
  // The host's own stack, where portmap works, reaches the pod through the data plane.
  assert.match(
    await inside(node.namespace, 'curl', '-s', '-m', '3', `http://${NODE_ADDRESS}:8081/`),
    'shop/chained',
  );
  await call('del');
  assert.not.match(await inside(node.namespace, 'iptables', '-t', 'nat', '-S'), address);
  assert.not(node.links().includes(link));
  await call('del');
});

test.run();
