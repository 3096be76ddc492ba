/** The agent's configuration file: JSON, every field checked. */
import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { MAX_WORKERS } from '../../dataplane-as/layout/index.js';
import { InvalidInputError } from '../common/errors.js';
import { canonicalIp } from '../common/ip.js';
import { readJsonFile } from '../common/json-file.js';
import type { ClusterConfig } from '../compiler/input.js';
import { parseClusterConfig } from '../ipam/config.js';
import { parseStoreConfig, type StoreConfig } from '../store/open.js';
import { parseRestConfig, type RestConfig } from './http/rest-config.js';
import { isPodFeed, type PodFeed } from './pod-feed.js';
import { parseVppConfig, type UplinkConfig, type VppConfig } from './vpp/config.js';

export interface AgentConfig {
  /** Kubernetes name of the node. */
  readonly node: string;
  readonly store: StoreConfig;
  /** What moves packets: `pteropus dataplane`, or VPP. */
  readonly backend: 'wasm' | 'vpp';
  /** Not null where the backend is vpp. */
  readonly vpp: VppConfig | null;
  /** Unix sockets: of `pteropus dataplane` ('' on VPP), and the one CNI calls come in by. */
  readonly dataplane: string;
  readonly cni: string;
  /** Where the container runtime looks for CNI executables and configurations; null: the agent writes none. */
  readonly cniBinDir: string | null;
  readonly cniConfDir: string | null;
  readonly journal: string;
  /** The mirror of the store; null = none is kept. */
  readonly mirror: string | null;
  /** Namespace of the node's host stack. */
  readonly netns: string;
  /** The node's link to the underlay; where VPP drives the NIC itself, what VPP calls it. */
  readonly uplink: string;
  /** Underlay addresses; needed when the cluster has no nodeInterconnectCIDR. */
  readonly addresses: readonly string[] | null;
  /** Feed of pods whose annotation does not choose theirs. */
  readonly podFeed: PodFeed;
  /** Workers of the data plane (`pteropus dataplane --workers`): links are made with a queue for each. */
  readonly workers: number;
  readonly cluster: ClusterConfig;
  /** Where the REST interface listens; null = nowhere. */
  readonly rest: RestConfig | null;
  /** Seconds between downstream resyncs that nothing called for; 0 = none. */
  readonly resyncIntervalSeconds: number;
  /** Shortest time between two writes of the node's status that tell of a store revision only. */
  readonly statusIntervalSeconds: number;
  /** End when standard input ends (for a supervisor that may be killed). */
  readonly dieWithStdin: boolean;
}

/** The network namespace of this process. */
export const OWN_NETNS = '/proc/self/ns/net';

/** What VPP makes TAPs with. */
export const VHOST_NET = '/dev/vhost-net';

/** A week: timers reach no further than a few. */
const MOST_SECONDS = 604_800;

type Raw = Readonly<Record<string, unknown>>;

const FIELDS: readonly (keyof AgentConfig)[] = [
  'node',
  'store',
  'backend',
  'vpp',
  'dataplane',
  'cni',
  'cniBinDir',
  'cniConfDir',
  'journal',
  'mirror',
  'netns',
  'uplink',
  'addresses',
  'podFeed',
  'workers',
  'cluster',
  'rest',
  'resyncIntervalSeconds',
  'statusIntervalSeconds',
  'dieWithStdin',
];

/** Throws InvalidInputError naming file and field. */
export function readAgentConfig(path: string): AgentConfig {
  return parseAgentConfig(readJsonFile(path), path);
}

/** `vhostNet`: whether VPP can make TAPs here, which are the best feed of pods it knows. */
export function parseAgentConfig(
  value: unknown,
  object: string,
  vhostNet: boolean = existsSync(VHOST_NET),
): AgentConfig {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw new InvalidInputError('must be a JSON object', { object, value });
  }
  const raw = value as Raw;
  for (const field of Object.keys(raw)) {
    if (!FIELDS.includes(field as keyof AgentConfig)) {
      throw new InvalidInputError('unknown field', { object, field, value: raw[field] });
    }
  }
  const text = (field: keyof AgentConfig, fallback?: string): string => {
    const given = raw[field] ?? fallback;
    if (typeof given !== 'string' || given === '') {
      throw new InvalidInputError('must be text, not empty', { object, field, value: raw[field] });
    }
    return given;
  };
  const directory = (field: 'cniBinDir' | 'cniConfDir'): string | null => {
    if (raw[field] === undefined || raw[field] === null) return null;
    const path = text(field);
    if (!path.startsWith('/'))
      throw new InvalidInputError('must be an absolute path', { object, field, value: path });
    return path;
  };
  const dieWithStdin = raw['dieWithStdin'] ?? false;
  if (typeof dieWithStdin !== 'boolean') {
    throw new InvalidInputError('must be true or false', {
      object,
      field: 'dieWithStdin',
      value: dieWithStdin,
    });
  }
  const seconds = (field: keyof AgentConfig, fallback: number): number => {
    const value = raw[field] ?? fallback;
    if (typeof value === 'number' && value >= 0 && value <= MOST_SECONDS) return value;
    throw new InvalidInputError(`must be a number from 0 to ${MOST_SECONDS}`, { object, field, value });
  };
  const backend = raw['backend'] ?? 'wasm';
  if (backend !== 'wasm' && backend !== 'vpp')
    throw new InvalidInputError('must be wasm or vpp', { object, field: 'backend', value: backend });
  if (backend === 'wasm' && raw['vpp'] !== undefined && raw['vpp'] !== null)
    throw new InvalidInputError('is for the backend vpp', { object, field: 'vpp', value: raw['vpp'] });
  const vpp = backend === 'vpp' ? parseVppConfig(raw['vpp'], object) : null;
  const podFeed = raw['podFeed'] ?? (vpp !== null && vhostNet ? 'tap' : 'afxdp');
  if (!isPodFeed(podFeed))
    throw new InvalidInputError('must be afxdp or tap', { object, field: 'podFeed', value: podFeed });
  const journal = text('journal', '/var/lib/pteropus/journal.json');
  return {
    node: text('node'),
    store: parseStoreConfig(raw['store'], object),
    backend,
    vpp,
    dataplane: vpp === null ? text('dataplane') : '',
    cni: text('cni', '/run/pteropus/cni.sock'),
    cniBinDir: directory('cniBinDir'),
    cniConfDir: directory('cniConfDir'),
    journal,
    mirror: raw['mirror'] === null ? null : text('mirror', join(dirname(journal), 'mirror')),
    netns: text('netns', OWN_NETNS),
    uplink: vpp === null ? text('uplink') : text('uplink', nameOfDevice(vpp.uplink)),
    addresses: addressesOf(raw['addresses'], object),
    podFeed,
    workers: workersOf(raw['workers'] ?? 1, vpp !== null, object),
    cluster: parseClusterConfig(raw['cluster'] ?? {}, `${object} cluster`),
    rest: parseRestConfig(raw['rest'], object),
    // VPP can be changed by others, and does not tell of it.
    resyncIntervalSeconds: seconds('resyncIntervalSeconds', vpp === null ? 0 : 60),
    statusIntervalSeconds: seconds('statusIntervalSeconds', 1),
    dieWithStdin,
  };
}

/** VPP has workers of its own (field `vpp`). */
function workersOf(value: unknown, onVpp: boolean, object: string): number {
  const most = onVpp ? 1 : MAX_WORKERS;
  if (Number.isInteger(value) && Number(value) >= 1 && Number(value) <= most) return Number(value);
  throw new InvalidInputError(`must be 1 to ${most}`, { object, field: 'workers', value });
}

/** A NIC that no Linux link stands for. */
function nameOfDevice(uplink: UplinkConfig): string | undefined {
  return 'name' in uplink ? uplink.name : undefined;
}

function addressesOf(value: unknown, object: string): readonly string[] | null {
  if (value === undefined || value === null) return null;
  if (!Array.isArray(value) || value.length === 0) {
    throw new InvalidInputError('must be a list of addresses', { object, field: 'addresses', value });
  }
  return value.map((entry: unknown, i) => {
    if (typeof entry === 'string') {
      try {
        return canonicalIp(entry);
      } catch {
        // Told below, with the field.
      }
    }
    throw new InvalidInputError('not an IP address', { object, field: `addresses[${i}]`, value: entry });
  });
}
