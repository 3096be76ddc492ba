/** ksr's configuration: a JSON file, or the same fields as flags; every field checked. */
import { hostname } from 'node:os';
import { parseRestConfig, type RestConfig } from '../agent/http/rest-config.js';
import { UsageError, wholeNumber } from '../common/command-line.js';
import { type Defaults, Fields, mappingOf } from '../common/fields.js';
import { readJsonFile } from '../common/json-file.js';
import { parseStoreConfig, type StoreConfig } from '../store/open.js';

export interface KsrConfig {
  readonly store: StoreConfig;
  /** A kubeconfig file; null = the service account of the pod ksr runs in, else kubectl's default. */
  readonly kubeconfig: string | null;
  readonly rest: RestConfig | null;
  /** Name among those that want to lead. */
  readonly identity: string;
  /** How long a leader that vanished keeps others from leading. */
  readonly leaseSeconds: number;
  /** Where externalIPs of Services may lie: what the agents have as `externalIPCIDRs`. */
  readonly externalIPCIDRs: readonly string[];
  /** How often a custom resource that is not there is looked for, seconds. */
  readonly lookAgainSeconds: number;
  /** How long a Node must be gone before its id, and the addresses that go with it, are free for others. */
  readonly nodeReleaseSeconds: number;
  /** End when standard input ends (for a supervisor that may be killed). */
  readonly dieWithStdin: boolean;
}

const DEFAULT_KSR_REST = '127.0.0.1:9191';

/** What a field is where it is absent; undefined: it is needed, or follows from others. */
const DEFAULTS: Defaults<KsrConfig> = {
  store: undefined,
  kubeconfig: null,
  rest: undefined,
  identity: undefined,
  leaseSeconds: 15,
  externalIPCIDRs: [],
  lookAgainSeconds: 10,
  nodeReleaseSeconds: 600,
  dieWithStdin: false,
};

const MOST_SECONDS = 3600;

/** Throws InvalidInputError naming file and field. */
export function readKsrConfig(path: string): KsrConfig {
  return parseKsrConfig(readJsonFile(path), path);
}

/** The options that stand for fields of the file. */
export interface KsrFlags {
  readonly store?: string | undefined;
  readonly kubeconfig?: string | undefined;
  readonly rest?: string | undefined;
  readonly identity?: string | undefined;
  readonly 'lease-seconds'?: string | undefined;
}

/** Throws UsageError; InvalidInputError that names the field an option stands for. */
export function ksrConfigOf({ 'lease-seconds': lease, ...flags }: KsrFlags): KsrConfig {
  if (flags.store === undefined) throw new UsageError('is needed, or --config FILE', { field: '--store' });
  const leaseSeconds =
    lease === undefined ? {} : { leaseSeconds: wholeNumber('--lease-seconds', lease, 1, 3600) };
  return parseKsrConfig({ ...flags, ...leaseSeconds }, 'command line');
}

export function parseKsrConfig(value: unknown, object: string): KsrConfig {
  const raw = mappingOf(value, object);
  const fields = new Fields<KsrConfig>(raw, DEFAULTS, object);
  fields.refuseUnknown();
  return {
    store: parseStoreConfig(raw['store'], object),
    kubeconfig: fields.optionalString('kubeconfig'),
    rest: parseRestConfig(raw['rest'] === undefined ? DEFAULT_KSR_REST : raw['rest'], object),
    identity: fields.string('identity', `${hostname()}-${process.pid}`),
    leaseSeconds: fields.seconds('leaseSeconds', 1, MOST_SECONDS),
    externalIPCIDRs: fields.cidrs('externalIPCIDRs'),
    lookAgainSeconds: fields.seconds('lookAgainSeconds', 1, MOST_SECONDS),
    nodeReleaseSeconds: fields.seconds('nodeReleaseSeconds', 1, MOST_SECONDS),
    dieWithStdin: fields.boolean('dieWithStdin'),
  };
}
