/** The part of the agent's configuration that a node on VPP has (`vpp`): where VPP is, and how its interfaces are made. */
import { join } from 'node:path';
import type { InterfaceDriver, VppOptions } from '../../backends/vpp/objects/types.js';
import { NPOL_REFUSED } from '../../backends/vpp/policies/index.js';
import { Fields, mappingOf, type Raw } from '../../common/fields.js';
import { parseStartup, STARTUP_DEFAULTS, type StartupConfig } from './startup-config.js';

/** The node's way to the underlay. */
export type UplinkConfig =
  /** The Linux link of `uplink`. */
  | { readonly type: 'af_packet' | 'af_xdp' }
  /** A NIC taken from the kernel, driven by VPP's dpdk plugin. */
  | {
      readonly type: 'pci';
      /** `DDDD:BB:SS.F` */
      readonly address: string;
      /** Kernel driver it is bound to first; null: VPP chooses (vfio-pci, else uio_pci_generic). */
      readonly driver: string | null;
      readonly queues: DeviceQueues;
      readonly name: string;
    }
  /** A device that DPDK makes (`net_memif0,…`); `name` is what VPP calls it. */
  | { readonly type: 'vdev'; readonly vdev: string; readonly name: string }
  /** An interface that VPP has already. */
  | { readonly type: 'interface'; readonly name: string };

/** null: what VPP takes by itself. */
export interface DeviceQueues {
  readonly rxQueues: number | null;
  readonly txQueues: number | null;
  readonly rxDescriptors: number | null;
  readonly txDescriptors: number | null;
}

export interface VppConfig {
  /** Where VPP is installed: PREFIX/bin/vpp, PREFIX/share/vpp/api. */
  readonly prefix: string;
  /** Folder of what exists while VPP runs: sockets, its log, our notes about it. */
  readonly runDir: string;
  readonly socket: string;
  /** Socket of the stats segment; null = there are no counters. */
  readonly stats: string | null;
  readonly uplink: UplinkConfig;
  readonly host: 'af_packet' | 'af_xdp' | 'tap';
  /** Of pods that have a veth (`podFeed` and the annotation choose who has one). */
  readonly pods: 'af_packet' | 'af_xdp';
  readonly policies: 'acl';
  readonly services: VppOptions['services'];
  /** Seconds VPP may leave a question without an answer before it is taken for stuck and started anew; 0 = as long as it likes. */
  readonly stuckSeconds: number;
  /** VPP ends with `pteropus vswitch`; else it goes on, and the next one takes it over. */
  readonly endsWithUs: boolean;
  readonly startup: StartupConfig;
}

export const VPP_DEFAULTS: VppConfig = {
  prefix: '/usr',
  runDir: '/run/vpp',
  socket: '/run/vpp/api.sock',
  stats: '/run/vpp/stats.sock',
  uplink: { type: 'af_packet' },
  host: 'af_packet',
  pods: 'af_packet',
  policies: 'acl',
  services: 'cnat',
  stuckSeconds: 30,
  endsWithUs: false,
  startup: STARTUP_DEFAULTS,
};

/** What VPP calls a NIC of ours whose name is not given. */
const UPLINK_NAME = 'uplink';
/** sun_path, without its NUL. */
const LONGEST_SOCKET_PATH = 107;

/** Throws InvalidInputError naming `object` and the field. */
export function parseVppConfig(value: unknown, object: string): VppConfig {
  const raw = mappingOf(value ?? {}, object, 'vpp');
  const fields = new Fields<VppConfig>(raw, VPP_DEFAULTS, object, 'vpp.');
  fields.refuseUnknown();
  const path = (field: 'prefix' | 'runDir' | 'socket' | 'stats', fallback: string): string => {
    const given = raw[field] ?? fallback;
    const socket = field === 'socket' || field === 'stats';
    // VPP's configuration has no quotes: what is not one word there would be read as something else.
    if (typeof given !== 'string' || !/^\/[^\s{}#]*$/.test(given)) {
      throw fields.error('must be an absolute path without spaces and braces', field, given);
    }
    if (socket && Buffer.byteLength(given) > LONGEST_SOCKET_PATH) {
      throw fields.error(`is longer than ${LONGEST_SOCKET_PATH} bytes`, field, given);
    }
    return given;
  };
  const runDir = path('runDir', VPP_DEFAULTS.runDir);
  return {
    prefix: path('prefix', VPP_DEFAULTS.prefix),
    runDir,
    socket: path('socket', join(runDir, 'api.sock')),
    stats: raw['stats'] === null ? null : path('stats', join(runDir, 'stats.sock')),
    uplink: uplinkOf(raw['uplink'] ?? 'af_packet', object, fields),
    host: fields.oneOf('host', ['af_packet', 'af_xdp', 'tap']),
    pods: fields.oneOf('pods', ['af_packet', 'af_xdp']),
    policies: policiesOf(raw['policies'], fields),
    services: fields.oneOf('services', ['cnat', 'nat44']),
    stuckSeconds: fields.integer('stuckSeconds', 0, 3600),
    endsWithUs: fields.boolean('endsWithUs'),
    startup: parseStartup(raw['startup'], object, 'vpp.startup.'),
  };
}

/** A plugin that would let everything through is named as such, and not as a word that is not known. */
function policiesOf(value: unknown, fields: Fields<VppConfig>): 'acl' {
  if (value === undefined || value === 'acl') return 'acl';
  throw fields.error(value === 'npol' ? NPOL_REFUSED : 'must be acl', 'policies', value);
}

/** The uplink as the backend's renderers have it. */
export function uplinkDriver(uplink: UplinkConfig): InterfaceDriver {
  return 'name' in uplink ? { type: 'existing', name: uplink.name } : { type: uplink.type };
}

/** What the backend is told of the interfaces, policies and services. `taps`: whether VPP can make TAPs here. */
export function vppOptions(config: VppConfig, taps: boolean): VppOptions {
  const { uplink, host, pods, policies, services } = config;
  const interfaces = { uplink: uplinkDriver(uplink), host: { type: host }, pod: { type: pods } };
  return { ...interfaces, policies, services, cutSegments: taps };
}

/** Folder of the API files. */
export function apiDirOf({ prefix }: Pick<VppConfig, 'prefix'>): string {
  return join(prefix, 'share/vpp/api');
}

function uplinkOf(value: unknown, object: string, fields: Fields<VppConfig>): UplinkConfig {
  if (value === 'af_packet' || value === 'af_xdp') return { type: value };
  if (typeof value === 'string') {
    throw fields.error(
      'must be af_packet, af_xdp, or a mapping with pci, vdev or interface',
      'uplink',
      value,
    );
  }
  const raw = mappingOf(value, object, 'vpp.uplink');
  const kinds = ['pci', 'vdev', 'interface'].filter((kind) => raw[kind] !== undefined);
  if (kinds.length !== 1) {
    throw fields.error('must have exactly one of pci, vdev and interface', 'uplink', value);
  }
  const allowed: readonly string[] =
    kinds[0] === 'pci'
      ? ['pci', 'driver', 'name', ...QUEUES]
      : kinds[0] === 'vdev'
        ? ['vdev', 'name']
        : kinds;
  for (const field of Object.keys(raw)) {
    if (!allowed.includes(field)) throw fields.error('unknown field', `uplink.${field}`, raw[field]);
  }
  const word = (field: string, pattern: RegExp, fallback?: string): string => {
    const given = raw[field] ?? fallback;
    if (typeof given === 'string' && pattern.test(given)) return given;
    throw fields.error(`must match ${pattern.source}`, `uplink.${field}`, given);
  };
  switch (kinds[0]) {
    case 'pci': {
      const driver =
        raw['driver'] === undefined || raw['driver'] === null ? null : word('driver', /^[\w-]+$/);
      return {
        type: 'pci',
        address: word('pci', PCI_ADDRESS),
        driver,
        queues: queuesOf(raw, fields),
        name: word('name', NAME, UPLINK_NAME),
      };
    }
    case 'vdev': {
      const vdev = word('vdev', /^[A-Za-z0-9_]+(,[^\s{}#]+)?$/);
      return { type: 'vdev', vdev, name: word('name', NAME) };
    }
    default:
      return { type: 'interface', name: word('interface', NAME) };
  }
}

const PCI_ADDRESS = /^[0-9a-f]{4}:[0-9a-f]{2}:[0-9a-f]{2}\.[0-7]$/;
/** VPP's names are like GigabitEthernet0/8/0. */
const NAME = /^[A-Za-z0-9_][\w./-]{0,62}$/;
const QUEUES = ['rxQueues', 'txQueues', 'rxDescriptors', 'txDescriptors'] as const;

function queuesOf(raw: Raw, fields: Fields<VppConfig>): DeviceQueues {
  const number = (field: (typeof QUEUES)[number], most: number): number | null => {
    const given = raw[field];
    if (given === undefined || given === null) return null;
    if (typeof given === 'number' && Number.isInteger(given) && given >= 1 && given <= most) return given;
    throw fields.error(`must be a whole number from 1 to ${most}`, `uplink.${field}`, given);
  };
  return {
    rxQueues: number('rxQueues', 256),
    txQueues: number('txQueues', 256),
    rxDescriptors: number('rxDescriptors', 32_768),
    txDescriptors: number('txDescriptors', 32_768),
  };
}
