import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { serveRest } from '../agent/http/server.js';
import { InvalidInputError } from '../common/errors.js';
import { checkNode, type Needs } from './checks.js';
import { type NodeFacts, propagationOf, readFacts } from './facts.js';
import { probe } from './probe.js';
import { fillAddress, renderAgentConfig } from './render.js';

const GOOD: NodeFacts = {
  kernel: '6.1.0-18-amd64',
  afXdp: true,
  tun: true,
  lockedMemory: 64 << 20,
  capabilities: (1n << 12n) | (1n << 13n) | (1n << 14n) | (1n << 21n),
  netnsPropagation: true,
  links: new Map([
    ['lo', { mtu: 65536, addresses: ['127.0.0.1'] }],
    ['eth0', { mtu: 1500, addresses: ['10.0.0.5'] }],
    ['eth1', { mtu: 1500, addresses: [] }],
  ]),
  confFiles: ['10-pteropus.conflist'],
};
const NEEDS: Needs = { uplink: 'eth1', underlayMtu: 1500, podFeed: 'afxdp', confDir: '/etc/cni/net.d' };

test('a node that has everything is told nothing', () => {
  assert.equal(checkNode(GOOD, NEEDS), { problems: [], remarks: [] });
});

const missing: readonly [string, Partial<NodeFacts>, Partial<Needs>, RegExp][] = [
  [
    'an old kernel',
    { kernel: '5.4.0', lockedMemory: Number.POSITIVE_INFINITY },
    {},
    /^kernel 5\.4\.0: Linux 5\.10 or newer/,
  ],
  ['no AF_XDP', { afXdp: false }, {}, /^kernel: has no AF_XDP/],
  ['no tun for TAPs', { tun: false }, { podFeed: 'tap' }, /^\/dev\/net\/tun: /],
  ['a capability', { capabilities: GOOD.capabilities & ~(1n << 14n) }, {}, /^capability IPC_LOCK: /],
  ['locked memory, before 5.11', { kernel: '5.10.2' }, {}, /^locked memory: limited to 64 MiB/],
  ['propagation', { netnsPropagation: false }, {}, /^\/run\/netns: /],
  ['the uplink', {}, { uplink: 'eth7' }, /^uplink eth7: no such link; there are eth0, eth1$/],
  ['an uplink of its own', {}, { uplink: 'eth0' }, /^uplink eth0: carries 10\.0\.0\.5 /],
  [
    'its place among configurations',
    { confFiles: ['05-cilium.conflist'] },
    {},
    /05-cilium\.conflist: comes before/,
  ],
];
for (const [what, facts, needs, expected] of missing) {
  test(`one line says that it lacks ${what}`, () => {
    const { problems } = checkNode({ ...GOOD, ...facts }, { ...NEEDS, ...needs });
    assert.is(problems.length, 1);
    assert.match(problems[0] ?? '', expected);
    assert.not.match(problems[0] ?? '', /\n/);
  });
}

test('what does not matter is no problem', () => {
  const facts = {
    ...GOOD,
    tun: false,
    afXdp: null,
    confFiles: ['87-podman.conflist', 'README', '.kubelet-keep'],
  };
  const { problems, remarks } = checkNode(facts, { ...NEEDS, underlayMtu: 9000 });
  assert.equal(problems, []);
  assert.is(remarks.length, 2);
});

test('facts are read from /proc and /sys', () => {
  const root = mkdtempSync(join(tmpdir(), 'pteropus-facts-'));
  const put = (path: string, text: string): void => {
    mkdirSync(join(root, path, '..'), { recursive: true });
    writeFileSync(join(root, path), text);
  };
  try {
    put('proc/sys/kernel/osrelease', '5.15.0-generic\n');
    put('proc/net/protocols', 'protocol  size sockets\nXDP       1088      0\nTCPv6     2400     10\n');
    put(
      'proc/self/limits',
      'Limit                     Soft Limit           Hard Limit           Units\nMax locked memory         8388608              8388608              bytes\n',
    );
    put('proc/self/status', 'Name:\tnode\nCapEff:\t000001ffffffffff\n');
    put('proc/self/mountinfo', '36 25 0:30 /netns /run/netns rw,nosuid master:5 - tmpfs tmpfs rw\n');
    put('sys/class/net/eth1/mtu', '9000\n');
    put('conf/10-a.conflist', '{}');
    const facts = readFacts(join(root, 'conf'), root);
    assert.is(facts.kernel, '5.15.0-generic');
    assert.equal([facts.afXdp, facts.tun, facts.lockedMemory], [true, false, 8388608]);
    assert.is(facts.capabilities, 0x1ffffffffffn);
    assert.is(facts.netnsPropagation, true);
    assert.is(facts.links.get('eth1')?.mtu, 9000);
    assert.equal(facts.confFiles, ['10-a.conflist']);
    assert.is(readFacts(join(root, 'none'), root).confFiles, null);
  } finally {
    rmSync(root, { recursive: true });
  }
});

test('of mounts one over the other the last one counts', () => {
  const line = (options: string) => `36 25 0:30 / /run/netns rw ${options}- tmpfs tmpfs rw`;
  assert.is(propagationOf(line('shared:3 '), '/run/netns'), true);
  assert.is(propagationOf(line(''), '/run/netns'), false);
  assert.is(propagationOf([line('shared:3 '), line('')].join('\n'), '/run/netns'), false);
  assert.is(propagationOf(line('shared:3 '), '/run'), null);
});

const SETTINGS = {
  uplink: 'eth1',
  uplinks: { b: 'ens4' },
  underlayAddresses: { b: ['10.9.0.2'] },
  store: 'https://10.0.0.1:12379',
  dataplane: '/run/pteropus/dataplane.sock',
  rest: { listen: '$ADDRESS:9999', certFile: '/c', keyFile: '/k' },
};

test('each node gets its own configuration', () => {
  const of = (name: string, address: string) =>
    renderAgentConfig(SETTINGS, { vni: 12 }, { name, addresses: [address] }, 'node.json').config;
  const [a, b] = [of('a', '10.0.0.1'), of('b', 'fd00::2')];
  assert.equal([a.node, a.uplink, a.addresses, a.cluster.vni], ['a', 'eth1', null, 12]);
  assert.equal([b.node, b.uplink, b.addresses], ['b', 'ens4', ['10.9.0.2']]);
  assert.equal(a.rest?.listen, { host: '10.0.0.1', port: 9999 });
  assert.equal(b.rest?.listen, { host: 'fd00::2', port: 9999 });
  // A name that objects have by themselves is no node's.
  assert.is(of('toString', '10.0.0.1').uplink, 'eth1');
});

test('wrong settings name the field', () => {
  const refused = (settings: object, pattern: RegExp) =>
    assert.throws(
      () => renderAgentConfig(settings, {}, { name: 'b', addresses: [] }, 'node.json'),
      (error: Error) => error instanceof InvalidInputError && pattern.test(error.message),
    );
  refused({ ...SETTINGS, uplinks: ['eth1'] }, /node\.json: uplinks: /);
  refused({ ...SETTINGS, uplinks: { b: '' } }, /node\.json: uplink: /);
  refused({ ...SETTINGS, uplnk: 'a' }, /node\.json: uplnk: unknown field/);
});

test('fill replaces the address and leaves the rest', () => {
  const text = fillAddress({ rest: { listen: '$ADDRESS:1' }, store: '/s' }, { addresses: ['fd00::1'] }, 'x');
  assert.equal(JSON.parse(text), { store: '/s', rest: { listen: '[fd00::1]:1' } });
  assert.equal(JSON.parse(fillAddress({ rest: null }, { addresses: [] }, 'x')), { rest: null });
});

test('probe tells status and text, and that nobody answers', async () => {
  const listen = { host: '127.0.0.1', port: 0 };
  const server = await serveRest(
    { listen, tls: null, hosts: [] },
    [
      {
        method: 'GET',
        path: '/readyz',
        summary: '',
        query: [],
        handle: () => ({ status: 503, contentType: 'text/plain', text: 'no' }),
      },
    ],
    () => undefined,
  );
  const config = { listen: { host: '127.0.0.1', port: server.port ?? 0 }, tls: null, hosts: [] };
  assert.equal(await probe(config, '/readyz'), { status: 503, text: 'no' });
  await server.close();
  const failed = await probe(config, '/readyz').catch((error: Error) => error);
  assert.match(String(failed), /ProbeError: \/readyz: does not answer/);
});

test.run();
