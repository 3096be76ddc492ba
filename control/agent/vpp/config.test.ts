import { readFileSync } from 'node:fs';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { InvalidInputError } from '../../common/errors.js';
import { parseAgentConfig } from '../agent-config.js';
import { parseVppConfig, VPP_DEFAULTS, vppOptions } from './config.js';
import { STARTUP_DEFAULTS } from './startup-config.js';

const LEAST = { node: 'n1', store: '/run/store', uplink: 'eth0', backend: 'vpp' };

test('what is absent has its default', () => {
  assert.equal(parseVppConfig(undefined, 'f'), VPP_DEFAULTS);
  assert.equal(parseVppConfig({}, 'f'), VPP_DEFAULTS);
  assert.equal(vppOptions(VPP_DEFAULTS, false), {
    uplink: { type: 'af_packet' },
    host: { type: 'af_packet' },
    pod: { type: 'af_packet' },
    policies: 'acl',
    services: 'cnat',
    cutSegments: false,
  });
});

test('sockets follow the folder they are in', () => {
  const { socket, stats } = parseVppConfig({ runDir: '/run/other' }, 'f');
  assert.equal([socket, stats], ['/run/other/api.sock', '/run/other/stats.sock']);
  assert.is(parseVppConfig({ stats: null }, 'f').stats, null);
});

test('a NIC that VPP drives is an interface it has already', () => {
  const pci = parseVppConfig({ uplink: { pci: '0000:00:08.0', driver: 'vfio-pci', rxQueues: 2 } }, 'f');
  assert.equal(pci.uplink, {
    type: 'pci',
    address: '0000:00:08.0',
    driver: 'vfio-pci',
    queues: { rxQueues: 2, txQueues: null, rxDescriptors: null, txDescriptors: null },
    name: 'uplink',
  });
  assert.equal(vppOptions(pci, false).uplink, { type: 'existing', name: 'uplink' });
  const vdev = parseVppConfig({ uplink: { vdev: 'net_null0,copy=1', name: 'null0' } }, 'f');
  assert.equal(vppOptions(vdev, false).uplink, { type: 'existing', name: 'null0' });
  const there = parseVppConfig({ uplink: { interface: 'GigabitEthernet0/8/0' } }, 'f');
  assert.equal(vppOptions(there, false).uplink, { type: 'existing', name: 'GigabitEthernet0/8/0' });
});

test('the agent on VPP needs neither a data plane process nor a Linux link', () => {
  const { uplink: _, ...least } = LEAST;
  const config = parseAgentConfig({ ...least, vpp: { uplink: { pci: '0000:00:08.0' } } }, 'f', false);
  assert.is(config.uplink, 'uplink');
  assert.is(config.dataplane, '');
  assert.is(config.resyncIntervalSeconds, 60, 'others can change VPP');
  assert.throws(() => parseAgentConfig(least, 'f', false), /uplink: must be text/);
});

test('pods get TAPs where VPP can make them, unless the configuration says otherwise', () => {
  assert.is(parseAgentConfig(LEAST, 'f', true).podFeed, 'tap');
  assert.is(parseAgentConfig(LEAST, 'f', false).podFeed, 'afxdp');
  assert.is(parseAgentConfig({ ...LEAST, podFeed: 'afxdp' }, 'f', true).podFeed, 'afxdp');
});

test('cores are a list or as the kernel writes them; sizes have units', () => {
  const { startup } = parseVppConfig(
    { startup: { mainCore: 1, workerCores: '4-6,2', heap: '2G', statsBytes: '64M', hugepages: '2M' } },
    'f',
  );
  assert.equal(startup.workerCores, [2, 4, 5, 6]);
  assert.is(startup.heap, 2 ** 31);
  assert.is(startup.statsBytes, 64 << 20);
  assert.equal(parseVppConfig({ startup: { mainCore: 0, workerCores: [3] } }, 'f').startup.workerCores, [3]);
});

test('what is wrong names the file and the field', () => {
  const cases: [unknown, RegExp][] = [
    [{ sockets: '/x' }, /f: vpp\.sockets: unknown field/],
    [{ prefix: 'usr' }, /vpp\.prefix: must be an absolute path/],
    [{ runDir: '/run/a b' }, /vpp\.runDir: must be an absolute path without spaces/],
    [{ socket: `/${'x'.repeat(107)}` }, /vpp\.socket: is longer than 107 bytes/],
    [{ uplink: 'dpdk' }, /vpp\.uplink: must be af_packet, af_xdp, or a mapping/],
    [{ uplink: {} }, /vpp\.uplink: must have exactly one of/],
    [{ uplink: { pci: '0000:00:08.0', vdev: 'x' } }, /vpp\.uplink: must have exactly one of/],
    [{ uplink: { pci: '00:08.0' } }, /vpp\.uplink\.pci: must match/],
    [{ uplink: { pci: '0000:00:08.0', rxQueues: 0 } }, /vpp\.uplink\.rxQueues: must be a whole number/],
    [{ uplink: { pci: '0000:00:08.0', mtu: 1 } }, /vpp\.uplink\.mtu: unknown field/],
    [{ uplink: { vdev: 'net_null0' } }, /vpp\.uplink\.name: must match/],
    [{ uplink: { vdev: 'net_null0 } unix {', name: 'x' } }, /vpp\.uplink\.vdev: must match/],
    [{ host: 'memif' }, /vpp\.host: must be af_packet, af_xdp or tap/],
    [{ pods: 'tap' }, /vpp\.pods: must be af_packet or af_xdp/],
    [{ policies: 'nft' }, /vpp\.policies: must be acl/],
    [{ policies: 'npol' }, /vpp\.policies: the npol plugin holds policies but judges no packet/],
    [{ services: 'lb' }, /vpp\.services: must be cnat or nat44/],
    [{ stuckSeconds: -1 }, /vpp\.stuckSeconds: must be a whole number/],
    [{ startup: { cores: 2 } }, /vpp\.startup\.cores: unknown field/],
    [{ startup: { rxMode: 'busy' } }, /vpp\.startup\.rxMode: must be poll, interrupt or adaptive/],
    [{ startup: { workerCores: [2] } }, /vpp\.startup\.mainCore: is needed/],
    [{ startup: { mainCore: 2, workerCores: '1-3' } }, /workerCores: holds the core of the main thread/],
    [{ startup: { workerCores: '' } }, /workerCores: must be/],
    [{ startup: { workerCores: [1, 1] } }, /workerCores: must be a list of different cores/],
    [{ startup: { heap: '1T' } }, /vpp\.startup\.heap: must be a size/],
    [{ startup: { heap: '65M', hugepages: '2M' } }, /vpp\.startup\.heap: must be a multiple/],
    [{ startup: { segment: '../x' } }, /vpp\.startup\.segment: must match/],
    [{ startup: { plugins: ['a b'] } }, /vpp\.startup\.plugins\[0\]: must be the name/],
    [{ startup: { extra: 'dns { } }' } }, /vpp\.startup\.extra: has braces/],
    [[], /vpp: must be a mapping/],
  ];
  for (const [value, pattern] of cases) {
    assert.throws(
      () => parseVppConfig(value, 'f'),
      (e: Error) => e instanceof InvalidInputError && pattern.test(e.message),
      JSON.stringify(value),
    );
  }
  const vpp = { node: 'n', store: '/s', dataplane: '/d', uplink: 'eth0', vpp: {} };
  assert.throws(() => parseAgentConfig(vpp, 'f'), /vpp: is for the backend vpp/);
  assert.throws(() => parseAgentConfig({ ...vpp, backend: 'dpdk' }, 'f'), /backend: must be wasm or vpp/);
});

/** Rows `| field | default | …` of the table that follows a line of docs/vpp.md. */
function documented(before: RegExp): Record<string, string> {
  const text = readFileSync(new URL('../../../../../docs/vpp.md', import.meta.url), 'utf8');
  const after = text.slice(text.search(before));
  const table = /\n\| field \|[^\n]*\n\|[-|]*\n((?:\|[^\n]*\n)+)/.exec(after)?.[1] ?? '';
  const rows = [...table.matchAll(/^\| `(\w+)` \|([^|]*)\|/gm)];
  return Object.fromEntries(
    rows.map(([, name = '', value = '']) => [name, value.trim().replace(/^`|`$/g, '')]),
  );
}

test('docs/vpp.md lists every field with its default, and no other', () => {
  const fields = documented(/^Fields of `vpp`;/m);
  assert.equal(Object.keys(fields).sort(), Object.keys(VPP_DEFAULTS).sort());
  const { uplink: _, startup: _startup, ...plain } = VPP_DEFAULTS;
  for (const [name, value] of Object.entries(plain)) assert.is(fields[name], JSON.stringify(value), name);
  assert.is(fields['uplink'], '"af_packet"');
  const startup = documented(/^Fields of `vpp\.startup`;/m);
  assert.equal(Object.keys(startup).sort(), Object.keys(STARTUP_DEFAULTS).sort());
  // Sizes are written as people write them.
  const { startup: parsed } = parseVppConfig(
    { startup: Object.fromEntries(Object.entries(startup).map(([name, text]) => [name, JSON.parse(text)])) },
    'docs/vpp.md',
  );
  assert.equal(parsed, STARTUP_DEFAULTS);
});

test('docs/vpp.md shows uplinks that are taken', () => {
  const text = readFileSync(new URL('../../../../../docs/vpp.md', import.meta.url), 'utf8');
  const shown = [...text.matchAll(/^\| `((?:"|\{).*?)` \|/gm)].map(
    ([, json = '']) => JSON.parse(json) as unknown,
  );
  assert.is(shown.length, 5);
  for (const uplink of shown) parseVppConfig({ uplink }, 'docs/vpp.md');
});

test.run();
