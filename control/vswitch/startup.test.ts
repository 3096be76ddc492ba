import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { parseVppConfig } from '../agent/vpp/config.js';
import { fingerprint } from './record.js';
import { renderStartup, segmentFiles } from './startup.js';

const render = (vpp: unknown, pluginDir: string | null = null, version: string | null = null) =>
  renderStartup(parseVppConfig(vpp, 'f'), { pluginDir, version });

/** Lines of one section, without their indentation. */
function section(text: string, name: string): readonly string[] | null {
  const body = new RegExp(`^${name} \\{\\n((?: {2}.*\\n)*)\\}$`, 'm').exec(text)?.[1];
  return body === undefined
    ? null
    : body
        .trimEnd()
        .split('\n')
        .map((line) => line.trim());
}

test('a node without NIC, hugepages and workers', () => {
  const { config, commands } = render({});
  assert.equal(section(config, 'unix'), [
    'nodaemon',
    'nosyslog',
    'runtime-dir /run/vpp',
    'cli-listen /run/vpp/cli.sock',
  ]);
  assert.equal(section(config, 'socksvr'), ['socket-name /run/vpp/api.sock']);
  assert.equal(section(config, 'statseg'), [
    'socket-name /run/vpp/stats.sock',
    'size 128M',
    'page-size default',
  ]);
  assert.equal(section(config, 'memory'), ['main-heap-size 1G', 'main-heap-page-size default']);
  assert.equal(section(config, 'buffers'), [
    'buffers-per-numa 32768',
    'default data-size 2048',
    'page-size default',
  ]);
  assert.equal(section(config, 'api-segment'), ['prefix pteropus']);
  for (const absent of ['cpu', 'dpdk']) assert.is(section(config, absent), null, absent);
  assert.is(commands, '');
});

test('only what we use is loaded, and what is asked for besides', () => {
  const lines = section(render({ startup: { plugins: ['dns', 'acl'] } }, '/p').config, 'plugins') ?? [];
  assert.equal(lines.slice(0, 3), [
    'path /p',
    'plugin default { disable }',
    'plugin abf_plugin.so { enable }',
  ]);
  assert.ok(lines.includes('plugin dns_plugin.so { enable }'));
  assert.not(lines.some((line) => line.includes('dpdk')));
  assert.is(new Set(lines).size, lines.length);
});

test('a NIC by its PCI address, with workers and hugepages', () => {
  const { config, commands } = render({
    uplink: { pci: '0000:00:08.0', driver: 'vfio-pci', rxQueues: 2, txDescriptors: 512 },
    startup: {
      mainCore: 1,
      workerCores: '2-3',
      hugepages: '2M',
      rxMode: 'adaptive',
      sleepMicros: 50,
      group: 'vpp',
      coreDump: true,
      statsBytes: '64M',
      extra: 'dns { }',
    },
  });
  assert.equal(section(config, 'dpdk'), [
    'uio-driver vfio-pci',
    'dev 0000:00:08.0 { name uplink num-rx-queues 2 num-tx-desc 512 }',
  ]);
  assert.equal(section(config, 'cpu'), ['main-core 1', 'corelist-workers 2,3']);
  assert.equal(section(config, 'memory'), ['main-heap-size 1G', 'main-heap-page-size 2M']);
  assert.ok(section(config, 'plugins')?.includes('plugin dpdk_plugin.so { enable }'));
  assert.equal(section(config, 'unix')?.slice(4), [
    'startup-config /run/vpp/startup.cli',
    'gid vpp',
    'full-coredump',
    'coredump-size unlimited',
    'poll-sleep-usec 50',
  ]);
  assert.match(config, /\ndns \{ \}\n$/);
  assert.is(commands, 'set interface rx-mode uplink adaptive\n');
});

test('a virtual device leaves the NICs of the host alone', () => {
  const { config } = render({ uplink: { vdev: 'net_af_packet0,iface=eth1', name: 'Ethernet0' } });
  assert.equal(section(config, 'dpdk'), [
    'no-hugetlb',
    'socket-mem 256',
    'no-pci',
    'vdev net_af_packet0,iface=eth1',
  ]);
});

test('the same configuration gives the same text, another one another', () => {
  assert.is(fingerprint(render({})), fingerprint(render({})));
  assert.is.not(fingerprint(render({})), fingerprint(render({ startup: { buffers: 16_384 } })));
  const adaptive = { uplink: { pci: '0000:00:08.0' }, startup: { rxMode: 'adaptive' } };
  const polling = { uplink: { pci: '0000:00:08.0' } };
  assert.is.not(fingerprint(render(adaptive)), fingerprint(render(polling)));
});

test('room for connections, said as the release understands it', () => {
  const of = (version: string | null): unknown =>
    section(render({ startup: { sessions: 100_000 } }, null, version).config, 'cnat');
  const of2602 = ['session-max 200000', 'session-cleanup-timeout 0.01', 'tcp-max-age 10800'];
  assert.equal(of('26.02'), of2602);
  assert.equal(of('26.06'), [...of2602, 'session-max-port-retries 0']);
  assert.equal(of('23.02'), [
    'session-db-buckets 65536',
    'session-db-memory 49M',
    'session-cleanup-timeout 0.01',
    'tcp-max-age 10800',
  ]);
  assert.is(of('24.10'), null);
  assert.is(of(null), null);
  assert.equal(section(render({}).config, 'acl-plugin'), ['connection count max 262144']);
});

test('no statistics, no section', () => {
  assert.is(section(render({ stats: null }).config, 'statseg'), null);
  assert.equal(segmentFiles({ segment: 'x' }), ['/dev/shm/x-global_vm', '/dev/shm/x-vpe-api']);
});

test.run();
