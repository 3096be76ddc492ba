/** The agent's configuration file: JSON, every field checked. */
import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { MAX_WORKERS } from '../../dataplane-as/layout/index.js';
import { type Defaults, Fields, mappingOf, type Raw } from '../common/fields.js';
import { readJsonFile } from '../common/json-file.js';
import type { ClusterConfig } from '../compiler/input.js';
import { parseClusterConfig } from '../ipam/config.js';
import { parseStoreConfig, type StoreConfig } from '../store/open.js';
import { parseRestConfig, type RestConfig } from './http/rest-config.js';
import type { PodFeed } from './pod-feed.js';
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

const POD_FEEDS: readonly PodFeed[] = ['afxdp', 'tap'];

/** What a field is where it is absent; undefined: it is needed, or follows from others. */
const DEFAULTS: Defaults<AgentConfig> = {
  node: undefined,
  store: undefined,
  backend: 'wasm',
  vpp: null,
  dataplane: undefined,
  cni: '/run/pteropus/cni.sock',
  cniBinDir: null,
  cniConfDir: null,
  journal: '/var/lib/pteropus/journal.json',
  mirror: undefined,
  netns: OWN_NETNS,
  uplink: undefined,
  addresses: null,
  podFeed: undefined,
  workers: 1,
  cluster: undefined,
  rest: undefined,
  resyncIntervalSeconds: undefined,
  statusIntervalSeconds: 1,
  dieWithStdin: false,
};

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
  const raw = mappingOf(value, object);
  const fields = new Fields<AgentConfig>(raw, DEFAULTS, object);
  fields.refuseUnknown();
  const backend = fields.oneOf('backend', ['wasm', 'vpp']);
  const vpp = vppOf(backend, raw, fields, object);
  const journal = fields.string('journal');
  return {
    node: fields.string('node'),
    store: parseStoreConfig(raw['store'], object),
    backend,
    vpp,
    dataplane: vpp === null ? fields.string('dataplane') : '',
    cni: fields.string('cni'),
    cniBinDir: fields.optionalPath('cniBinDir'),
    cniConfDir: fields.optionalPath('cniConfDir'),
    journal,
    mirror: raw['mirror'] === null ? null : fields.string('mirror', join(dirname(journal), 'mirror')),
    netns: fields.string('netns'),
    uplink: fields.string('uplink', vpp === null ? undefined : nameOfDevice(vpp.uplink)),
    addresses: addressesOf(raw['addresses'] ?? null, fields),
    podFeed: fields.oneOf('podFeed', POD_FEEDS, vpp !== null && vhostNet ? 'tap' : 'afxdp'),
    // VPP has workers of its own (field `vpp`).
    workers: fields.integer('workers', 1, vpp === null ? MAX_WORKERS : 1),
    cluster: parseClusterConfig(raw['cluster'] ?? {}, `${object} cluster`),
    rest: parseRestConfig(raw['rest'], object),
    // VPP can be changed by others, and does not tell of it.
    resyncIntervalSeconds: fields.seconds('resyncIntervalSeconds', 0, MOST_SECONDS, vpp === null ? 0 : 60),
    statusIntervalSeconds: fields.seconds('statusIntervalSeconds', 0, MOST_SECONDS),
    dieWithStdin: fields.boolean('dieWithStdin'),
  };
}

function vppOf(
  backend: AgentConfig['backend'],
  raw: Raw,
  fields: Fields<AgentConfig>,
  object: string,
): VppConfig | null {
  if (backend === 'vpp') return parseVppConfig(raw['vpp'], object);
  const given = raw['vpp'] ?? null;
  if (given !== null) throw fields.error('is for the backend vpp', 'vpp', given);
  return null;
}

/** A NIC that no Linux link stands for. */
function nameOfDevice(uplink: UplinkConfig): string | undefined {
  return 'name' in uplink ? uplink.name : undefined;
}

function addressesOf(value: unknown, fields: Fields<AgentConfig>): readonly string[] | null {
  if (value === null) return null;
  if (!Array.isArray(value) || value.length === 0)
    throw fields.error('must be a list of addresses', 'addresses', value);
  return fields.ips('addresses');
}
