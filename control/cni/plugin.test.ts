import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { file, testIf } from '../../test/support/requires.js';
import { type CniServer, serveCni } from '../agent/cni-server.js';
import { CNI } from './codes.js';
import { type CniReply, type CniRequest, failureReply } from './messages.js';
import { runPlugin } from './plugin.js';

const directory = mkdtempSync(join(tmpdir(), 'pteropus-cni-'));
const socket = join(directory, 'cni.sock');
const BUNDLE = fileURLToPath(new URL('../../../cni.mjs', import.meta.url));

const REPLY: CniReply = {
  result: 0,
  error: '',
  interfaces: [
    {
      name: 'eth0',
      mac: '02:fe:00:00:00:01',
      sandbox: '/run/netns/x',
      ipAddresses: [
        { version: 'IPV4', address: '10.1.1.2/32', gateway: '10.1.1.1' },
        { version: 'IPV6', address: 'fd00::2/128', gateway: 'fd00::1' },
      ],
      mtu: 1450,
    },
    { name: 'pt123', mac: '02:fe:00:00:00:02', sandbox: '', ipAddresses: [], mtu: 1450 },
  ],
  routes: [{ dst: '0.0.0.0/0', gw: '10.1.1.1' }],
  dns: [],
};

/** What the server saw, and what it answers. */
let seen: [string, CniRequest][] = [];
let answer: () => Promise<CniReply> = () => Promise.resolve(REPLY);
let server: CniServer;

const take =
  (method: string) =>
  (request: CniRequest): Promise<CniReply> => {
    seen.push([method, request]);
    return answer();
  };

test.before(async () => {
  server = await serveCni(
    {
      add: take('add'),
      delete: take('delete'),
      check: take('check'),
      status: take('status'),
      gc: take('gc'),
    },
    socket,
  );
});
test.before.each(() => {
  seen = [];
  answer = () => Promise.resolve(REPLY);
});

const ENV = {
  CNI_CONTAINERID: 'abc-123_x.y',
  CNI_NETNS: '/run/netns/x',
  CNI_IFNAME: 'eth0',
  CNI_PATH: '/opt/cni/bin',
  CNI_ARGS: 'IgnoreUnknown=1;K8S_POD_NAMESPACE=shop;K8S_POD_NAME=web',
};
const conf = (change: object = {}): string =>
  JSON.stringify({ cniVersion: '1.0.0', name: 'k8s-pod-network', type: 'pteropus', socket, ...change });

type Result = { readonly code?: number; readonly msg?: string; readonly [key: string]: unknown };

async function run(
  command: string,
  stdin = conf(),
  env: Readonly<Record<string, string>> = {},
): Promise<{ readonly exitCode: number; readonly stdout: string; readonly result: Result }> {
  const outcome = await runPlugin({ ...ENV, CNI_COMMAND: command, ...env }, () => Promise.resolve(stdin));
  const result = outcome.stdout === '' ? {} : (JSON.parse(outcome.stdout) as Result);
  return { ...outcome, result };
}

test('VERSION needs nothing but the command', async () => {
  const { exitCode, stdout } = await runPlugin({ CNI_COMMAND: 'VERSION' }, () =>
    Promise.reject(new Error('not read')),
  );
  assert.is(exitCode, 0);
  assert.equal(JSON.parse(stdout), {
    cniVersion: '1.1.0',
    supportedVersions: ['0.3.1', '0.4.0', '1.0.0', '1.1.0'],
  });
});

test('ADD: the result has the shape of each version', async () => {
  const old = [
    { version: '4', interface: 1, address: '10.1.1.2/32', gateway: '10.1.1.1' },
    { version: '6', interface: 1, address: 'fd00::2/128', gateway: 'fd00::1' },
  ];
  const recent = old.map(({ version: _, ...rest }) => rest);
  const links = [
    { name: 'pt123', mac: '02:fe:00:00:00:02' },
    { name: 'eth0', mac: '02:fe:00:00:00:01', sandbox: '/run/netns/x' },
  ];
  const routes = [{ dst: '0.0.0.0/0', gw: '10.1.1.1' }];
  const withMtu = [
    { name: 'pt123', mac: '02:fe:00:00:00:02', mtu: 1450 },
    { name: 'eth0', mac: '02:fe:00:00:00:01', mtu: 1450, sandbox: '/run/netns/x' },
  ];
  for (const [cniVersion, interfaces, ips] of [
    ['0.3.1', links, old],
    ['0.4.0', links, old],
    ['1.0.0', links, recent],
    ['1.1.0', withMtu, recent],
  ] as const) {
    const { exitCode, result } = await run('ADD', conf({ cniVersion }));
    assert.is(exitCode, 0);
    assert.equal(result, { cniVersion, interfaces, ips, routes, dns: {} });
  }
});

test('ADD passes on all the agent has to know', async () => {
  const stdin = conf({ extra: 'ü' });
  await run('ADD', stdin);
  assert.equal(seen, [
    [
      'add',
      {
        version: '1.0.0',
        containerId: 'abc-123_x.y',
        networkNamespace: '/run/netns/x',
        interfaceName: 'eth0',
        extraNwConfig: stdin,
        extraArguments: ENV.CNI_ARGS,
        ipamType: '',
        ipamData: '',
      },
    ],
  ]);
});

test('a plugin before us in the chain: its result is kept, ours added', async () => {
  const prevResult = {
    cniVersion: '1.0.0',
    interfaces: [{ name: 'dummy0' }],
    ips: [{ interface: 0, address: '192.0.2.1/24' }],
    dns: { nameservers: ['192.0.2.53'] },
  };
  const { result } = await run('ADD', conf({ prevResult }));
  assert.equal(
    (result['interfaces'] as { name: string }[]).map(({ name }) => name),
    ['dummy0', 'pt123', 'eth0'],
  );
  assert.equal(
    (result['ips'] as { interface: number }[]).map((ip) => ip.interface),
    [0, 2, 2],
  );
  assert.equal(result['dns'], { nameservers: ['192.0.2.53'] });
});

test('DEL and CHECK print nothing; DEL works without a namespace', async () => {
  const del = await run('DEL', conf(), { CNI_NETNS: '' });
  assert.equal([del.exitCode, del.stdout], [0, '']);
  const check = await run('CHECK', conf({ prevResult: {} }));
  assert.equal([check.exitCode, check.stdout], [0, '']);
  assert.equal(
    seen.map(([method, { networkNamespace }]) => [method, networkNamespace]),
    [
      ['delete', ''],
      ['check', '/run/netns/x'],
    ],
  );
});

test('STATUS and GC, of 1.1.0, need no sandbox', async () => {
  const bare = { CNI_CONTAINERID: '', CNI_IFNAME: '', CNI_NETNS: '', CNI_ARGS: '' };
  const stdin = conf({ cniVersion: '1.1.0', 'cni.dev/valid-attachments': [] });
  for (const command of ['STATUS', 'GC']) {
    const { exitCode, stdout } = await run(command, stdin, bare);
    assert.equal([exitCode, stdout], [0, '']);
    assert.is((await run(command, conf(), bare)).result.code, CNI.incompatibleVersion);
  }
  assert.equal(
    seen.map(([method, { extraNwConfig }]) => [method, extraNwConfig]),
    [
      ['status', stdin],
      ['gc', stdin],
    ],
  );
  const away = await run('STATUS', conf({ cniVersion: '1.1.0', socket: join(directory, 'none') }), bare);
  assert.is(away.result.code, CNI.unavailable);
});

test('all missing variables are named at once, code 4', async () => {
  const cases: [Record<string, string>, string][] = [
    [{}, '[CNI_COMMAND,CNI_CONTAINERID,CNI_NETNS,CNI_IFNAME,CNI_PATH]'],
    [{ CNI_COMMAND: 'ADD' }, '[CNI_CONTAINERID,CNI_NETNS,CNI_IFNAME,CNI_PATH]'],
    [{ CNI_COMMAND: 'CHECK', CNI_IFNAME: 'eth0' }, '[CNI_CONTAINERID,CNI_NETNS,CNI_PATH]'],
    [{ CNI_COMMAND: 'DEL' }, '[CNI_CONTAINERID,CNI_IFNAME,CNI_PATH]'],
  ];
  for (const [env, names] of cases) {
    const { exitCode, stdout } = await runPlugin(env, () => Promise.resolve(conf()));
    const result = JSON.parse(stdout) as Result;
    assert.is(exitCode, 1);
    assert.is(result.code, CNI.invalidEnvironment);
    assert.ok(result.msg?.includes(names), result.msg);
  }
});

test('what is wrong in the environment or the configuration has its code, and the agent is not asked', async () => {
  const cases: [string, string, Record<string, string>, number, RegExp][] = [
    ['MEND', conf(), {}, 4, /unknown CNI_COMMAND: MEND/],
    ['ADD', conf(), { CNI_CONTAINERID: '../../etc' }, 4, /CNI_CONTAINERID/],
    ['ADD', conf(), { CNI_CONTAINERID: '-x' }, 4, /CNI_CONTAINERID/],
    ['ADD', conf(), { CNI_IFNAME: 'much-too-long-name' }, 4, /CNI_IFNAME/],
    ['ADD', conf(), { CNI_IFNAME: '..' }, 4, /CNI_IFNAME/],
    ['ADD', conf(), { CNI_IFNAME: 'a:b' }, 4, /CNI_IFNAME/],
    ['ADD', conf(), { CNI_IFNAME: 'a b' }, 4, /CNI_IFNAME/],
    ['ADD', conf(), { CNI_ARGS: 'K8S_POD_NAME' }, 4, /CNI_ARGS/],
    ['ADD', '', {}, 6, /not JSON/],
    ['ADD', '[]', {}, 6, /not a JSON object/],
    ['ADD', conf({ cniVersion: '0.2.0' }), {}, 1, /supported are 0\.3\.1, 0\.4\.0, 1\.0\.0, 1\.1\.0/],
    ['ADD', conf({ cniVersion: undefined }), {}, 1, /"0\.1\.0"/],
    ['ADD', conf({ cniVersion: '2.0.0' }), {}, 1, /"2\.0\.0"/],
    ['CHECK', conf({ cniVersion: '0.3.1', prevResult: {} }), {}, 1, /CHECK came with/],
    ['CHECK', conf(), {}, 7, /prevResult/],
    ['ADD', conf({ name: undefined }), {}, 7, /name is missing/],
    ['ADD', conf({ name: '../x' }), {}, 7, /name has invalid/],
    ['ADD', conf({ socket: 'here' }), {}, 7, /socket/],
    ['ADD', conf({ timeoutMs: '5' }), {}, 7, /timeoutMs/],
    ['ADD', conf({ prevResult: [] }), {}, 7, /prevResult/],
    ['ADD', conf({ ipam: [] }), {}, 7, /ipam/],
    ['ADD', conf({ dns: 'x' }), {}, 7, /dns/],
  ];
  for (const [command, stdin, env, code, pattern] of cases) {
    const { exitCode, result } = await run(command, stdin, env);
    assert.is(exitCode, 1, stdin);
    assert.is(result.code, code, `${command} ${stdin} ${JSON.stringify(env)}: ${result.msg}`);
    assert.match(result.msg ?? '', pattern);
  }
  assert.equal(seen, []);
});

test('an error is in the version of the configuration', async () => {
  const { result } = await run('ADD', conf({ cniVersion: '0.4.0', name: '' }));
  assert.is(result['cniVersion'], '0.4.0');
});

test('the agent says no: its code and text', async () => {
  answer = () => Promise.resolve(failureReply(CNI.tryAgainLater, 'not ready'));
  const { exitCode, stdout, result } = await run('ADD');
  assert.is(exitCode, 1);
  assert.equal(result, { cniVersion: '1.0.0', code: 11, msg: 'not ready' });
  assert.ok(stdout.endsWith('\n'));
});

test('the agent throws: an error, not a hang', async () => {
  answer = () => Promise.reject(new Error('a fault'));
  assert.equal((await run('ADD')).result, { cniVersion: '1.0.0', code: CNI.failed, msg: 'a fault' });
});

test('no agent, an agent that does not answer, and something else on the socket: try again later', async () => {
  const none = await run('ADD', conf({ socket: join(directory, 'none') }));
  assert.is(none.result.code, CNI.tryAgainLater);
  assert.match(none.result.msg ?? '', /cannot be reached: .*ENOENT/);
  let release = (): void => undefined;
  answer = () =>
    new Promise((resolve) => {
      release = () => resolve(REPLY);
    });
  const slow = await run('ADD', conf({ timeoutMs: 50 }));
  release();
  assert.is(slow.result.code, CNI.tryAgainLater);
  assert.match(slow.result.msg ?? '', /did not answer within 50 ms|refuses the call/);
  const rude = createServer((connection) => connection.end('HTTP/1.1 400 Bad Request\r\n\r\n'));
  const path = join(directory, 'rude.sock');
  await new Promise<void>((resolve) => rude.listen(path, resolve));
  assert.is((await run('ADD', conf({ socket: path }))).result.code, CNI.tryAgainLater);
  rude.close();
});

testIf(test, file(BUNDLE))('the bundled program does the same, and starts fast', async () => {
  const env = { ...ENV, CNI_COMMAND: 'VERSION', PATH: process.env['PATH'] ?? '' };
  const times = Array.from({ length: 5 }, () => {
    const start = performance.now();
    const done = spawnSync(process.execPath, [BUNDLE], { env, encoding: 'utf8' });
    assert.is(done.status, 0, done.stderr);
    assert.match(done.stdout, /supportedVersions/);
    return performance.now() - start;
  });
  const bare = Array.from({ length: 5 }, () => {
    const start = performance.now();
    spawnSync(process.execPath, ['-e', '0']);
    return performance.now() - start;
  });
  const [ours, node] = [Math.min(...times), Math.min(...bare)];
  // A ratio, since the machine may be busy: the program may not cost more than Node.js itself again.
  assert.ok(ours < 2.5 * node, `${ours.toFixed(0)} ms against ${node.toFixed(0)} ms of an empty program`);
});

test.after(async () => {
  await server.close();
  rmSync(directory, { recursive: true, force: true });
});
test.run();
