import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { parseAgentConfig } from '../../agent/agent-config.js';
import type { VppConfig } from '../../agent/vpp/config.js';
import { checkMachine, memoryNeeded } from './check-machine.js';
import { checkNic, type NicFacts } from './check-nic.js';
import { checkVpp } from './check-vpp.js';
import { cutOff, hostUseOf } from './host-use.js';
import { listOf, type MachineFacts, readMachine } from './machine.js';
import { renderChecks } from './run.js';
import type { Check } from './types.js';
import { readVpp, type VppFacts } from './vpp-facts.js';

const root = mkdtempSync(join(tmpdir(), 'pteropus-preflight-'));
test.after(() => rmSync(root, { recursive: true }));

function put(path: string, text: string): void {
  mkdirSync(dirname(join(root, path)), { recursive: true });
  writeFileSync(join(root, path), text);
}

function configOf(
  vpp: object,
  others: object = {},
): { config: ReturnType<typeof parseAgentConfig>; vpp: VppConfig } {
  const raw = { node: 'n', store: '/s', backend: 'vpp', uplink: 'eth1', vpp, ...others };
  const config = parseAgentConfig(raw, 'f', false);
  if (config.vpp === null) throw new Error('no vpp');
  return { config, vpp: config.vpp };
}

const ALL_RIGHTS = (1n << 41n) - 1n;
const MACHINE: MachineFacts = {
  architecture: 'x64',
  cpuFlags: new Set(['sse4_2', 'avx2']),
  cores: [0, 1, 2, 3],
  isolated: [2, 3],
  memoryAvailable: 8 * 2 ** 30,
  hugepages: new Map([['2M', { total: 100, free: 60 }]]),
  capabilities: ALL_RIGHTS,
  vhostNet: true,
  tun: true,
  pciDrivers: ['e1000', 'vfio-pci'],
  iommu: true,
  pci: new Map([
    ['0000:00:08.0', { driver: 'e1000', links: ['eth1'], iommuGroup: true, class: '0x020000' }],
    ['0000:00:09.0', { driver: null, links: [], iommuGroup: false, class: '0x020000' }],
    ['0000:00:0a.0', { driver: 'mlx5_core', links: [], iommuGroup: true, class: '0x020000' }],
  ]),
  classifiers: true,
};
const UNUSED = { addresses: [], routes: 0, defaultRoute: false, sshPeer: null };
const NIC: NicFacts = {
  machine: MACHINE,
  links: new Map([['eth1', { mtu: 1500, addresses: [] }]]),
  use: () => UNUSED,
  afXdp: true,
};
const VPP: VppFacts = {
  version: '26.06',
  plugins: new Set(['abf', 'acl', 'af_packet', 'af_xdp', 'cnat', 'nat', 'urpf', 'dpdk']),
  messages: 1000,
  missing: [],
  has: () => true,
};

const worst = (checks: readonly Check[]): string =>
  checks.some(({ state }) => state === 'fail')
    ? 'fail'
    : checks.some(({ state }) => state === 'warn')
      ? 'warn'
      : 'ok';

test('a machine that has everything', () => {
  const { config, vpp } = configOf({});
  assert.is(worst(checkMachine(MACHINE, config, vpp)), 'ok');
  assert.is(worst(checkNic(NIC, config, vpp)), 'ok');
  assert.is(worst(checkVpp(VPP, vpp, false)), 'ok');
});

test('each thing the machine lacks is one line that says how to mend it', () => {
  const cases: [string, Partial<MachineFacts>, object, object, string, RegExp][] = [
    ['no SSE4.2', { cpuFlags: new Set() }, {}, {}, 'fail', /CPU .*no SSE4\.2/],
    ['no AVX2', { cpuFlags: new Set(['sse4_2']) }, {}, {}, 'warn', /CPU .*no AVX2/],
    ['another CPU', { architecture: 'riscv64' }, {}, {}, 'warn', /CPU .*riscv64/],
    [
      'a core that is not there',
      {},
      { startup: { mainCore: 1, workerCores: '2-5' } },
      {},
      'fail',
      /no core 4, 5/,
    ],
    [
      'cores that others get as well',
      { isolated: [2] },
      { startup: { mainCore: 1, workerCores: '2-3' } },
      {},
      'warn',
      /worker cores 3 are not isolated.*isolcpus=3/s,
    ],
    [
      'one core to poll on',
      { cores: [0] },
      { uplink: { pci: '0000:00:09.0' } },
      {},
      'warn',
      /polls its NIC on the only core/,
    ],
    ['little memory', { memoryAvailable: 2 ** 29 }, {}, {}, 'fail', /memory .*512 MiB available/],
    ['few hugepages', {}, { startup: { hugepages: '2M' } }, {}, 'fail', /60 free of 100, .*nr_hugepages/s],
    [
      'no hugepages of a size',
      {},
      { startup: { hugepages: '1G' } },
      {},
      'fail',
      /hugepages of 1G: 0 free of 0/,
    ],
    [
      'no rights',
      { capabilities: 0n },
      {},
      {},
      'fail',
      /NET_ADMIN, NET_RAW, IPC_LOCK, SYS_ADMIN are missing/,
    ],
    ['no vhost-net', { vhostNet: false }, {}, {}, 'warn', /\/dev\/vhost-net is not there: pods get a veth/],
    [
      'no vhost-net, and TAPs wanted',
      { vhostNet: false },
      {},
      { podFeed: 'tap' },
      'fail',
      /modprobe -a vhost_net\n/,
    ],
    [
      'no TAP for the host',
      { vhostNet: false, tun: false },
      { host: 'tap' },
      {},
      'fail',
      /modprobe -a vhost_net tun\n/,
    ],
    ['no classifiers', { classifiers: false }, {}, {}, 'fail', /CONFIG_NET_CLS_BPF/],
    ['unknown classifiers', { classifiers: null }, {}, {}, 'warn', /cannot be seen/],
  ];
  for (const [what, facts, vppPart, others, state, pattern] of cases) {
    const { config, vpp } = configOf(vppPart, others);
    const checks = checkMachine({ ...MACHINE, ...facts }, config, vpp);
    assert.is(worst(checks), state, what);
    assert.match(renderChecks(checks.filter((check) => check.state !== 'ok')), pattern, what);
  }
  const noPackets = { uplink: 'af_xdp', host: 'af_xdp', pods: 'af_xdp' };
  const { config, vpp } = configOf(noPackets);
  assert.is(
    worst(checkMachine({ ...MACHINE, classifiers: false }, config, vpp)),
    'ok',
    'no link is read by af_packet',
  );
  const workers = configOf({ startup: { mainCore: 1, workerCores: '2-3' } });
  assert.is(worst(checkMachine(MACHINE, workers.config, workers.vpp)), 'ok', 'isolated cores');
});

test('the NIC: there, free, with a driver', () => {
  const busy = { addresses: ['10.0.0.5'], routes: 2, defaultRoute: true, sshPeer: '10.0.0.9' };
  const pci = (address: string, more: object = {}): object => ({ uplink: { pci: address, ...more } });
  const cases: [string, Partial<NicFacts>, object, string, RegExp][] = [
    [
      'no such link',
      { links: new Map([['eth0', { mtu: 1500, addresses: [] }]]) },
      {},
      'fail',
      /no link eth1; there are eth0/,
    ],
    [
      'in use',
      { use: () => busy },
      {},
      'fail',
      /addresses 10\.0\.0\.5, 2 routes \(the default route among them\), your ssh session from 10\.0\.0\.9 would be cut off/,
    ],
    [
      'small MTU',
      { links: new Map([['eth1', { mtu: 1400, addresses: [] }]]) },
      {},
      'warn',
      /MTU of eth1 is 1400/,
    ],
    ['no AF_XDP', { afXdp: false }, { uplink: 'af_xdp' }, 'fail', /no AF_XDP sockets/],
    ['a NIC the kernel has', {}, pci('0000:00:08.0'), 'ok', /bound to e1000 as eth1/],
    ['a NIC in use', { use: () => busy }, pci('0000:00:08.0'), 'fail', /eth1 is in use/],
    ['no such device', {}, pci('0000:00:1f.0'), 'fail', /NICs are 0000:00:08\.0, 0000:00:09\.0/],
    ['no IOMMU', {}, pci('0000:00:09.0'), 'warn', /the device has no IOMMU/],
    ['driver not loaded', {}, pci('0000:00:08.0', { driver: 'igb_uio' }), 'fail', /modprobe igb_uio/],
    [
      'a driver the device stays with',
      {},
      pci('0000:00:0a.0'),
      'ok',
      /mlx5_core, which the device stays with/,
    ],
    ['a device of DPDK', {}, { uplink: { vdev: 'net_null0', name: 'x' } }, 'ok', /DPDK makes net_null0/],
    ['an interface of VPP', {}, { uplink: { interface: 'x' } }, 'warn', /must already have an interface x/],
  ];
  for (const [what, facts, vppPart, state, pattern] of cases) {
    const { config, vpp } = configOf(vppPart);
    const checks = checkNic({ ...NIC, ...facts }, config, vpp);
    assert.is(worst(checks), state, what);
    assert.match(renderChecks(checks), pattern, what);
  }
});

test('VPP: its version, plugins, and messages', () => {
  const missing = [{ kind: 'nat44-mapping', messages: ['nat44_x'] }];
  const cases: [string, Partial<VppFacts>, object, string, RegExp][] = [
    ['old', { version: '22.10' }, {}, 'warn', /22\.10 .*oldest that was tested is 23\.02/],
    ['new', { version: '27.02' }, {}, 'warn', /newest that was tested/],
    ['of no version', { version: null }, {}, 'warn', /of unknown version/],
    ['no API files', { messages: 'no *.api.json files' }, {}, 'fail', /API files/],
    [
      'no plugin',
      { plugins: new Set(['abf', 'af_packet', 'urpf', 'cnat']) },
      {},
      'fail',
      /acl is not there.*vpp-plugin-core/s,
    ],
    [
      'no dpdk',
      { plugins: new Set(['abf', 'acl', 'cnat', 'urpf', 'af_packet']) },
      { uplink: { pci: '0000:00:08.0' } },
      'fail',
      /dpdk is not there.*vpp-plugin-dpdk/s,
    ],
    ['messages nobody needs', { missing }, {}, 'warn', /lacks nat44_x; this configuration makes none/],
    ['messages that are needed', { missing }, { services: 'nat44' }, 'fail', /lacks nat44_x/],
    [
      'messages of links',
      { missing: [{ kind: 'route', messages: ['ip_route_add_del'] }] },
      {},
      'fail',
      /route cannot be made/,
    ],
  ];
  for (const [what, facts, vppPart, state, pattern] of cases) {
    const { vpp } = configOf(vppPart);
    const checks = checkVpp({ ...VPP, ...facts }, vpp, false);
    assert.is(worst(checks), state, what);
    assert.match(renderChecks(checks), pattern, what);
  }
});

test('what a release does not do is named, a line each', () => {
  const { vpp } = configOf({});
  const named = (has: VppFacts['has'], config = vpp): string =>
    renderChecks(checkVpp({ ...VPP, has }, config, false).filter(({ state }) => state === 'note'));
  const [old, recent] = [named((message) => message !== 'feature_cnat_enable_disable'), named(() => true)];
  assert.match(old, /^note +not done +session affinity over IPv4: .*NAT44 has it$/m);
  assert.not.match(recent, /affinity/);
  assert.match(recent, /the address of clients outside/);
  for (const text of [old, recent]) assert.match(text, /source ranges for clients inside/);
  assert.match(
    named(() => true, configOf({ services: 'nat44' }).vpp),
    /consistent hashing/,
  );
});

test('facts are read from /proc and /sys', () => {
  put('proc/cpuinfo', 'processor\t: 0\nflags\t\t: fpu sse4_2 avx2\n\nprocessor\t: 1\nflags\t\t: fpu\n');
  put('proc/meminfo', 'MemTotal: 100 kB\nMemAvailable:   2048 kB\n');
  put('proc/self/status', 'CapEff:\t0000000000003000\n');
  put('proc/sys/kernel/osrelease', '6.1.0\n');
  put('boot/config-6.1.0', 'CONFIG_NET_CLS_BPF=m\n');
  put('sys/devices/system/cpu/online', '0-2,5\n');
  put('sys/devices/system/cpu/isolated', '5\n');
  put('sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages', '8\n');
  put('sys/kernel/mm/hugepages/hugepages-2048kB/free_hugepages', '3\n');
  put('sys/kernel/mm/hugepages/hugepages-64kB/nr_hugepages', '1\n');
  put('sys/bus/pci/drivers/vfio-pci/new_id', '');
  put('sys/bus/pci/devices/0000:00:08.0/class', '0x020000\n');
  put('sys/bus/pci/devices/0000:00:08.0/net/eth7/mtu', '1500');
  symlinkSync(
    join(root, 'sys/bus/pci/drivers/vfio-pci'),
    join(root, 'sys/bus/pci/devices/0000:00:08.0/driver'),
  );
  put('dev/vhost-net', '');
  const facts = readMachine(root, 'x64');
  assert.equal([...facts.cpuFlags], ['fpu', 'sse4_2', 'avx2']);
  assert.equal([facts.cores, facts.isolated], [[0, 1, 2, 5], [5]]);
  assert.is(facts.memoryAvailable, 2 << 20);
  assert.equal([...facts.hugepages], [['2M', { total: 8, free: 3 }]]);
  assert.is(facts.capabilities, 0x3000n);
  assert.equal([facts.vhostNet, facts.tun, facts.iommu, facts.classifiers], [true, false, false, true]);
  assert.equal(
    [...facts.pci],
    [['0000:00:08.0', { driver: 'vfio-pci', links: ['eth7'], iommuGroup: false, class: '0x020000' }]],
  );
  assert.equal(listOf(''), []);
});

test('a machine that tells nothing has nothing', () => {
  const facts = readMachine(join(root, 'nowhere'), 'x64');
  assert.equal([facts.cores, facts.memoryAvailable, facts.classifiers], [[], 0, null]);
});

test('what the host does with a link', () => {
  put(
    'proc/net/route',
    [
      'Iface\tDestination\tGateway\tFlags\tRefCnt\tUse\tMetric\tMask\tMTU\tWindow\tIRTT',
      'eth0\t00000000\t010200C0\t0003\t0\t0\t0\t00000000\t0\t0\t0',
      'eth0\t000200C0\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0',
      'eth1\t0000000A\t00000000\t0001\t0\t0\t0\t000000FF\t0\t0\t0',
    ].join('\n'),
  );
  const six = (destination: string, length: string, link: string): string =>
    `${destination} ${length} ${'0'.repeat(32)} 00 ${'0'.repeat(32)} 00000100 00000001 00000000 00000001     ${link}`;
  put(
    'proc/net/ipv6_route',
    [six('0'.repeat(32), '00', 'eth1'), six(`fe80${'0'.repeat(28)}`, '40', 'eth0')].join('\n'),
  );
  const source = { root, ssh: '10.1.1.1 5000 10.0.0.5 22' };
  const use = hostUseOf('eth0', { ...source, addresses: () => ['10.0.0.5'] });
  assert.equal(use, { addresses: ['10.0.0.5'], routes: 2, defaultRoute: true, sshPeer: '10.1.1.1' });
  const other = hostUseOf('eth1', { ...source, addresses: () => [] });
  assert.equal(other, { addresses: [], routes: 2, defaultRoute: true, sshPeer: null });
  assert.is(cutOff(UNUSED), null);
  assert.is(cutOff({ ...UNUSED, routes: 1 }), '1 route');
  assert.equal(hostUseOf('eth9', { root, ssh: undefined, addresses: () => [] }), UNUSED);
});

test('an installed VPP is looked at without starting it', () => {
  const prefix = join(root, 'vpp');
  put('vpp/bin/vpp', '');
  put('vpp/lib/x86_64-linux-gnu/libvlib.so.23.02', '');
  put('vpp/lib/x86_64-linux-gnu/vpp_plugins/acl_plugin.so', '');
  put(
    'vpp/share/vpp/api/core/x.api.json',
    JSON.stringify({
      types: [],
      messages: [],
      unions: [],
      enums: [],
      enumflags: [],
      services: {},
      aliases: {},
      vl_api_version: '0x0',
    }),
  );
  const pluginDir = join(prefix, 'lib/x86_64-linux-gnu/vpp_plugins');
  const facts = readVpp({
    prefix,
    binary: join(prefix, 'bin/vpp'),
    apiDir: join(prefix, 'share/vpp/api'),
    pluginDir,
  });
  assert.equal([facts.version, [...facts.plugins], facts.messages], ['23.02', ['acl'], 0]);
  assert.ok(facts.missing.some(({ kind }) => kind === 'route'));
  const none = readVpp({ prefix, binary: '', apiDir: join(prefix, 'no'), pluginDir });
  assert.type(none.messages, 'string');
});

test('memory counts heap, buffers and statistics', () => {
  const { vpp } = configOf({ startup: { heap: '64M', statsBytes: '1M', buffers: 1024, bufferBytes: 2048 } });
  assert.is(memoryNeeded(vpp), (65 << 20) + 1024 * (2048 + 320));
});

test.run();
