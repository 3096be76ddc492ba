/** ksr's configuration: a JSON file, or the same fields as flags; every field checked. */
import { hostname } from 'node:os';
import { parseRestConfig, type RestConfig } from '../agent/http/rest-config.js';
import { UsageError, wholeNumber } from '../common/command-line.js';
import { InvalidInputError } from '../common/errors.js';
import { formatCidr, parseCidr } from '../common/ip.js';
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

type Raw = Readonly<Record<string, unknown>>;

const FIELDS: readonly (keyof KsrConfig)[] = [
  ...(['store', 'kubeconfig', 'rest', 'identity', 'leaseSeconds', 'externalIPCIDRs'] as const),
  ...(['lookAgainSeconds', 'nodeReleaseSeconds', 'dieWithStdin'] as const),
];

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
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw new InvalidInputError('must be a JSON object', { object, value });
  }
  const raw = value as Raw;
  for (const field of Object.keys(raw)) {
    if (!FIELDS.includes(field as keyof KsrConfig)) {
      throw new InvalidInputError('unknown field', { object, field, value: raw[field] });
    }
  }
  const text = (field: keyof KsrConfig, fallback: string | null): string | null => {
    const given = raw[field] ?? fallback;
    if (given === null || (typeof given === 'string' && given !== '')) return given;
    throw new InvalidInputError('must be text, not empty', { object, field, value: given });
  };
  const seconds = (field: keyof KsrConfig, fallback: number): number => {
    const given = raw[field] ?? fallback;
    if (typeof given === 'number' && given >= 1 && given <= 3600) return given;
    throw new InvalidInputError('must be 1-3600 seconds', { object, field, value: given });
  };
  const dieWithStdin = raw['dieWithStdin'] ?? false;
  if (typeof dieWithStdin !== 'boolean') {
    throw new InvalidInputError('must be true or false', {
      object,
      field: 'dieWithStdin',
      value: dieWithStdin,
    });
  }
  return {
    store: parseStoreConfig(raw['store'], object),
    kubeconfig: text('kubeconfig', null),
    rest: parseRestConfig(raw['rest'] === undefined ? DEFAULT_KSR_REST : raw['rest'], object),
    identity: text('identity', null) ?? `${hostname()}-${process.pid}`,
    leaseSeconds: seconds('leaseSeconds', 15),
    externalIPCIDRs: cidrsOf(raw['externalIPCIDRs'] ?? [], object),
    lookAgainSeconds: seconds('lookAgainSeconds', 10),
    nodeReleaseSeconds: seconds('nodeReleaseSeconds', 600),
    dieWithStdin,
  };
}

function cidrsOf(value: unknown, object: string): readonly string[] {
  if (!Array.isArray(value)) {
    throw new InvalidInputError('must be a list of CIDRs', { object, field: 'externalIPCIDRs', value });
  }
  return value.map((entry: unknown, i) => {
    try {
      return formatCidr(parseCidr(String(entry)));
    } catch {
      throw new InvalidInputError('is not a CIDR', { object, field: `externalIPCIDRs[${i}]`, value: entry });
    }
  });
}
