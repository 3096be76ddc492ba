import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { serveRest } from '../agent/http/server.js';
import { InvalidInputError } from '../common/errors.js';
import { DEFAULT_CONFIG, DEFAULT_IPV6 } from '../compiler/input.js';
import { checkNode, type Needs } from './checks.js';
import { type NodeFacts, propagationOf, readFacts, routes4, routes6 } from './facts.js';
import { checkOverlaps } from './overlaps.js';
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
  routes: [],
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
  [
    'jumbo packets',
    { kernel: '6.1.0-13-amd64' },
    { underlayMtu: 1800 },
    /^kernel 6\.1\.0-13-amd64: underlayMtu 1800 needs Linux 6\.6 .* 1774 /,
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
    kernel: '6.6.0',
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

const DUAL = { ...DEFAULT_CONFIG, ipv6: DEFAULT_IPV6 };

test('an address of the host inside a range of the cluster would be cut off', () => {
  const on = (name: string, ...addresses: readonly string[]) =>
    checkOverlaps({ links: new Map([[name, { mtu: 1500, addresses }]]), routes: [] }, DUAL).problems;
  assert.equal(on('eth0', '10.0.0.5', '192.168.16.200', 'fd00:10:2::1'), []);
  const [first, second, ...more] = on('eth0', '10.1.5.5', '10.0.0.5', 'fd00:10:96::1');
  assert.match(first ?? '', /^link eth0: its address 10\.1\.5\.5 lies inside podSubnetCIDR 10\.1\.0\.0\/16/);
  assert.match(second ?? '', /fd00:10:96::1 lies inside serviceCIDR fd00:10:96::\/112/);
  assert.equal(more, []);
  for (const name of ['ptero0', 'pt0123456789abc', 'kube-ipvs0', 'nodelocaldns'])
    assert.equal(on(name, '10.96.0.10', '172.30.1.2'), [], name);
});

test('routes of the host into a range of the cluster are told, wider ones are not', () => {
  const routes = [
    { link: 'eth0', destination: '10.0.0.0/8' },
    { link: 'flannel.1', destination: '10.1.7.0/24' },
    { link: 'ptero0', destination: '10.1.0.0/16' },
  ];
  const { problems, remarks } = checkOverlaps({ links: new Map(), routes }, DUAL);
  assert.equal(problems, []);
  assert.is(remarks.length, 1);
  assert.match(
    remarks[0] ?? '',
    /^link flannel\.1: the host's route to 10\.1\.7\.0\/24 lies inside podSubnetCIDR/,
  );
});

test('routes are read as the kernel writes them, without default, link-local and multicast ones', () => {
  const table4 = [
    'Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT',
    'eth0\t00000000\t010200C0\t0003\t0\t0\t0\t00000000\t0\t0\t0',
    'eth0\t000200C0\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0',
    'eth1\t0500010A\t00000000\t0005\t0\t0\t0\tFFFFFFFF\t0\t0\t0',
  ].join('\n');
  assert.equal(routes4(table4), [
    { link: 'eth0', destination: '192.0.2.0/24' },
    { link: 'eth1', destination: '10.1.0.5/32' },
  ]);
  const zero = '0'.repeat(32);
  const route6 = (destination: string, bits: string) =>
    `${destination} ${bits} ${zero} 00 ${zero} 00000100 00000001 00000000 00000001     eth0`;
  const table6 = [
    route6(`fd00${'0'.repeat(28)}`, '40'),
    route6(`fe80${'0'.repeat(28)}`, '40'),
    route6(`ff00${'0'.repeat(28)}`, '08'),
    route6(zero, '00'),
  ].join('\n');
  assert.equal(routes6(table6), [{ link: 'eth0', destination: 'fd00::/64' }]);
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
