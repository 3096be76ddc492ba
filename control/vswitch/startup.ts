/**
 * VPP's startup configuration from ours. Pure: the same configuration gives the same text, so that one can see whether a VPP that runs
 * was started as it would be now.
 */
import { join } from 'node:path';
import type { DeviceQueues, UplinkConfig, VppConfig } from '../agent/vpp/config.js';
import type { StartupConfig } from '../agent/vpp/startup-config.js';

export interface StartupFiles {
  readonly config: string;
  /** Commands of the debug CLI that VPP runs when it has started. */
  readonly commands: string;
  readonly log: string;
  readonly cli: string;
  /** Our notes about the VPP that runs. */
  readonly record: string;
}

export function startupFiles({ runDir }: Pick<VppConfig, 'runDir'>): StartupFiles {
  return {
    config: join(runDir, 'startup.conf'),
    commands: join(runDir, 'startup.cli'),
    log: join(runDir, 'vpp.log'),
    cli: join(runDir, 'cli.sock'),
    record: join(runDir, 'vswitch.json'),
  };
}

export interface Startup {
  readonly config: string;
  readonly commands: string;
}

/** What the backend uses. A VPP whose core has one of them built in passes over its name. */
const BACKEND_PLUGINS = [
  'abf',
  'acl',
  'af_packet',
  'af_xdp',
  'arping',
  'cnat',
  'memif',
  'nat',
  'ping',
  'policer',
  'tap',
  'tracedump',
  'urpf',
  'vxlan',
] as const;

/** What DPDK takes of ordinary pages where it has no hugepages, mebibytes. */
const DPDK_MEMORY = 256;
const MEBIBYTE = 1 << 20;

/** The VPP that is installed, as far as its startup configuration depends on it. */
export interface StartupTarget {
  /** null = where VPP itself looks. */
  readonly pluginDir: string | null;
  /** `26.06`; null = not known. */
  readonly version: string | null;
}

export function renderStartup(config: VppConfig, { pluginDir, version }: StartupTarget): Startup {
  const files = startupFiles(config);
  const { startup, uplink } = config;
  const dpdk = isDpdk(uplink);
  const commands = commandsOf(uplink, startup);
  const sections = [
    section('unix', [
      'nodaemon',
      'nosyslog',
      // What it prints goes to its log, which is ours to open: it outlives us.
      `runtime-dir ${config.runDir}`,
      `cli-listen ${files.cli}`,
      // VPP takes a file without commands for a mistake.
      ...(commands === '' ? [] : [`startup-config ${files.commands}`]),
      ...(startup.group === null ? [] : [`gid ${startup.group}`]),
      ...(startup.coreDump ? ['full-coredump', 'coredump-size unlimited'] : []),
      ...(startup.sleepMicros === 0 ? [] : [`poll-sleep-usec ${startup.sleepMicros}`]),
    ]),
    section('api-segment', [
      `prefix ${startup.segment}`,
      ...(startup.group === null ? [] : [`gid ${startup.group}`]),
    ]),
    section('socksvr', [`socket-name ${config.socket}`]),
    ...(config.stats === null ? [] : [section('statseg', statsOf(config.stats, startup))]),
    section('memory', [
      `main-heap-size ${sizeText(startup.heap)}`,
      `main-heap-page-size ${pageText(startup)}`,
    ]),
    section('buffers', [
      `buffers-per-numa ${startup.buffers}`,
      `default data-size ${startup.bufferBytes}`,
      `page-size ${pageText(startup)}`,
    ]),
    ...cpuOf(startup),
    section('plugins', pluginsOf(startup, dpdk, pluginDir)),
    ...sessionsOf(startup.sessions, version),
    ...(dpdk ? [section('dpdk', dpdkOf(uplink, startup))] : []),
    ...(startup.extra.trim() === '' ? [] : [startup.extra.trim()]),
  ];
  return { config: `${sections.join('\n')}\n`, commands };
}

/** What a VPP of this configuration leaves in /dev/shm when it is killed. */
export function segmentFiles({ segment }: Pick<StartupConfig, 'segment'>): readonly string[] {
  return [`/dev/shm/${segment}-global_vm`, `/dev/shm/${segment}-vpe-api`];
}

function section(name: string, lines: readonly string[]): string {
  return [`${name} {`, ...lines.map((line) => `  ${line}`), '}'].join('\n');
}

function statsOf(socket: string, startup: StartupConfig): readonly string[] {
  return [`socket-name ${socket}`, `size ${sizeText(startup.statsBytes)}`, `page-size ${pageText(startup)}`];
}

function cpuOf({ mainCore, workerCores }: StartupConfig): readonly string[] {
  if (mainCore === null) return [];
  const workers = workerCores.length === 0 ? [] : [`corelist-workers ${workerCores.join(',')}`];
  return [section('cpu', [`main-core ${mainCore}`, ...workers])];
}

function pluginsOf(startup: StartupConfig, dpdk: boolean, pluginDir: string | null): readonly string[] {
  const wanted = new Set<string>([...BACKEND_PLUGINS, ...(dpdk ? ['dpdk'] : []), ...startup.plugins]);
  return [
    ...(pluginDir === null ? [] : [`path ${pluginDir}`]),
    'plugin default { disable }',
    ...[...wanted].sort().map((name) => `plugin ${name}_plugin.so { enable }`),
  ];
}

/** Up to here CNAT's table of sessions has the size it is given, and VPP ends when it is full; a megabyte unless it is told otherwise. */
const LAST_WITH_SESSION_TABLE = '23.06';
/** From here on it is told how many sessions there may be. Releases between are left as they are. */
const FIRST_WITH_SESSION_LIMIT = '26.02';
/** Bytes of a session in the table, pages that are not full included; and sessions in a bucket. */
const SESSION_BYTES = 256;
const SESSIONS_A_BUCKET = 4;

/**
 * CNAT looks through its sessions a tenth of a millisecond at a time, once a second unless it is told otherwise: those of a backend that
 * is gone would be kept for minutes. This is one percent of a core at most. Silent TCP connections are kept for longer than it takes until
 * the kernel's keepalives (2 h).
 */
const CNAT_TIMES = ['session-cleanup-timeout 0.01', 'tcp-max-age 10800'];

/**
 * Of two flows that are answered under the same numbers CNAT forgets the older one. Told to try other numbers first, it tries none, and
 * never frees the older one: every IPv6 ping out of the cluster would leave one behind.
 */
const CNAT_CONFLICTS = 'session-max-port-retries 0';
const FIRST_WITH_RETRIES = '26.06';

/** Room for connections. Translation keeps one session for each direction. */
function sessionsOf(connections: number, version: string | null): readonly string[] {
  const acl = section('acl-plugin', [`connection count max ${connections}`]);
  if (version === null) return [acl];
  const sessions = connections * 2;
  if (version >= FIRST_WITH_SESSION_LIMIT) {
    const conflicts = version >= FIRST_WITH_RETRIES ? [CNAT_CONFLICTS] : [];
    return [acl, section('cnat', [`session-max ${sessions}`, ...CNAT_TIMES, ...conflicts])];
  }
  if (version > LAST_WITH_SESSION_TABLE) return [acl];
  const buckets = 2 ** Math.ceil(Math.log2(sessions / SESSIONS_A_BUCKET));
  const memory = sizeText(Math.ceil((sessions * SESSION_BYTES) / MEBIBYTE) * MEBIBYTE);
  return [
    acl,
    section('cnat', [`session-db-buckets ${buckets}`, `session-db-memory ${memory}`, ...CNAT_TIMES]),
  ];
}

type DpdkUplink = Extract<UplinkConfig, { type: 'pci' | 'vdev' }>;

function isDpdk(uplink: UplinkConfig): boolean {
  return uplink.type === 'pci' || uplink.type === 'vdev';
}

function dpdkOf(uplink: UplinkConfig, startup: StartupConfig): readonly string[] {
  const device = uplink as DpdkUplink;
  const memory = hasHugepages(startup) ? [] : ['no-hugetlb', `socket-mem ${DPDK_MEMORY}`];
  if (device.type === 'vdev') {
    // Otherwise DPDK takes every NIC it knows that is not in use.
    return [...memory, 'no-pci', `vdev ${device.vdev}`];
  }
  const { address, driver, queues, name } = device;
  const options = [`name ${name}`, ...queueOptions(queues)];
  return [
    ...memory,
    ...(driver === null ? [] : [`uio-driver ${driver}`]),
    `dev ${address} { ${options.join(' ')} }`,
  ];
}

function queueOptions(queues: DeviceQueues): readonly string[] {
  const options: readonly (readonly [string, number | null])[] = [
    ['num-rx-queues', queues.rxQueues],
    ['num-tx-queues', queues.txQueues],
    ['num-rx-desc', queues.rxDescriptors],
    ['num-tx-desc', queues.txDescriptors],
  ];
  return options.flatMap(([name, value]) => (value === null ? [] : [`${name} ${value}`]));
}

/** Links and TAPs wake VPP by themselves; a NIC of DPDK is looked at all the time unless it is told otherwise. */
function commandsOf(uplink: UplinkConfig, { rxMode }: StartupConfig): string {
  if (!isDpdk(uplink) || rxMode === 'poll') return '';
  return `set interface rx-mode ${(uplink as DpdkUplink).name} ${rxMode}\n`;
}

function hasHugepages({ hugepages }: StartupConfig): boolean {
  return hugepages === '2M' || hugepages === '1G';
}

function pageText({ hugepages }: StartupConfig): string {
  return { default: 'default', '4K': '4K', '2M': '2M', '1G': '1G' }[hugepages];
}

function sizeText(bytes: number): string {
  for (const [unit, shift] of [
    ['G', 30],
    ['M', 20],
    ['K', 10],
  ] as const) {
    if (bytes % 2 ** shift === 0) return `${bytes / 2 ** shift}${unit}`;
  }
  return String(bytes);
}
