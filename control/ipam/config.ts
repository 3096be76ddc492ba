/** Reads a cluster configuration: defaults filled in, every field checked, ranges that overlap refused. */
import { InvalidInputError } from '../common/errors.js';
import {
  bitsOf,
  canonicalIp,
  cidrContains,
  formatCidr,
  type ParsedCidr,
  parseCidr,
  subnetAt,
} from '../common/ip.js';
import { type ClusterConfig, DEFAULT_CONFIG } from '../compiler/input.js';
import type { Cidr } from '../ruleset/types.js';

type Raw = Readonly<Record<string, unknown>>;

/** The four ranges of one contivCIDR (row IPAM-12). */
export type SplitRanges = Pick<
  ClusterConfig,
  | 'podSubnetCIDR'
  | 'podSubnetOneNodePrefixLen'
  | 'hostSubnetCIDR'
  | 'hostSubnetOneNodePrefixLen'
  | 'vxlanCIDR'
> & { readonly nodeInterconnectCIDR: Cidr };

/** Fields that contivCIDR stands for. */
const SPLIT_FIELDS = [
  'podSubnetCIDR',
  'podSubnetOneNodePrefixLen',
  'hostSubnetCIDR',
  'hostSubnetOneNodePrefixLen',
  'vxlanCIDR',
] as const;

/**
 * Checks `value` (parsed JSON or YAML) and returns it as a ClusterConfig; absent fields take their defaults, contivCIDR is
 * split. `object` names it in errors. Throws InvalidInputError with the field.
 */
export function parseClusterConfig(value: unknown, object = 'cluster configuration'): ClusterConfig {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw new InvalidInputError('must be a mapping', { object, value });
  }
  const raw = value as Raw;
  for (const field of Object.keys(raw)) {
    if (field !== 'contivCIDR' && !Object.hasOwn(DEFAULT_CONFIG, field)) {
      throw new InvalidInputError('unknown field', { object, field, value: raw[field] });
    }
  }
  const base = baseOf(raw, object);
  const config: ClusterConfig = {
    podSubnetCIDR: cidr(raw, base, 'podSubnetCIDR', object),
    podSubnetOneNodePrefixLen: integer(raw, base, 'podSubnetOneNodePrefixLen', 1, 128, object),
    hostSubnetCIDR: cidr(raw, base, 'hostSubnetCIDR', object),
    hostSubnetOneNodePrefixLen: integer(raw, base, 'hostSubnetOneNodePrefixLen', 1, 128, object),
    vxlanCIDR: cidr(raw, base, 'vxlanCIDR', object),
    nodeInterconnectCIDR:
      fieldValue(raw, base, 'nodeInterconnectCIDR') === null
        ? null
        : cidr(raw, base, 'nodeInterconnectCIDR', object),
    defaultGateway:
      fieldValue(raw, base, 'defaultGateway') === null
        ? null
        : wrap(object, 'defaultGateway', fieldValue(raw, base, 'defaultGateway'), canonicalIp),
    serviceCIDR: cidr(raw, base, 'serviceCIDR', object),
    vni: integer(raw, base, 'vni', 1, 0xff_ffff, object),
    underlayMtu: integer(raw, base, 'underlayMtu', 626, 65535, object),
    natExternalTraffic: boolean(raw, base, 'natExternalTraffic', object),
    nodePortAddresses: cidrs(raw, base, 'nodePortAddresses', object),
    externalIPCIDRs: cidrs(raw, base, 'externalIPCIDRs', object),
  };
  checkNodeBlock(config, 'podSubnetCIDR', 'podSubnetOneNodePrefixLen', 3, object);
  checkNodeBlock(config, 'hostSubnetCIDR', 'hostSubnetOneNodePrefixLen', 2, object);
  checkOverlap(config, object);
  return config;
}

/** Splits one range into all ranges a cluster needs (row IPAM-12). Throws InvalidInputError below 18 host bits. */
export function splitContivCidr(text: Cidr): SplitRanges {
  const range = parseCidr(text);
  const bits = bitsOf(range.family);
  if (bits - range.length < 18) {
    throw new InvalidInputError(`needs at least 18 host bits (/${bits - 18} or shorter)`, { value: text });
  }
  const block = (length: number, index: number): Cidr => formatCidr(subnetAt(range, length, index));
  return {
    podSubnetCIDR: block(bits - 16, 0),
    podSubnetOneNodePrefixLen: bits - 16 + 9,
    hostSubnetCIDR: block(bits - 16, 1),
    hostSubnetOneNodePrefixLen: bits - 16 + 9,
    nodeInterconnectCIDR: block(bits - 9, 256),
    vxlanCIDR: block(bits - 9, 257),
  };
}

/** What absent fields become: the defaults, or those that follow from contivCIDR. */
function baseOf(raw: Raw, object: string): ClusterConfig {
  if (raw['contivCIDR'] === undefined) {
    // The default gateway belongs to the default underlay only.
    const ownUnderlay = raw['nodeInterconnectCIDR'] !== undefined;
    return ownUnderlay ? { ...DEFAULT_CONFIG, defaultGateway: null } : DEFAULT_CONFIG;
  }
  for (const field of SPLIT_FIELDS) {
    if (raw[field] !== undefined) {
      throw new InvalidInputError('cannot be given together with contivCIDR', {
        object,
        field,
        value: raw[field],
      });
    }
  }
  const split = wrap(object, 'contivCIDR', raw['contivCIDR'], splitContivCidr);
  return { ...DEFAULT_CONFIG, ...split, defaultGateway: null };
}

function fieldValue(raw: Raw, base: ClusterConfig, field: keyof ClusterConfig): unknown {
  return raw[field] === undefined ? base[field] : raw[field];
}

/** Runs a text parser; its error gets the object and the field. */
function wrap<T>(object: string, field: string, value: unknown, parse: (text: string) => T): T {
  if (typeof value !== 'string') throw new InvalidInputError('must be text', { object, field, value });
  try {
    return parse(value);
  } catch (cause) {
    const reason =
      cause instanceof InvalidInputError ? cause.message.replace(/ \(got .*\)$/, '') : 'not valid';
    throw new InvalidInputError(reason, { object, field, value, cause });
  }
}

function canonicalRange(text: string): Cidr {
  const range = parseCidr(text);
  const canonical = formatCidr(range);
  if (canonicalIp(text.slice(0, text.indexOf('/'))) !== canonical.slice(0, canonical.indexOf('/'))) {
    throw new InvalidInputError(`has bits set beyond its prefix; ${canonical} was probably meant`);
  }
  return canonical;
}

function cidr(raw: Raw, base: ClusterConfig, field: keyof ClusterConfig, object: string): Cidr {
  return wrap(object, field, fieldValue(raw, base, field), canonicalRange);
}

function cidrs(raw: Raw, base: ClusterConfig, field: keyof ClusterConfig, object: string): readonly Cidr[] {
  const value = fieldValue(raw, base, field);
  if (!Array.isArray(value)) throw new InvalidInputError('must be a list', { object, field, value });
  return value.map((entry: unknown, i) => wrap(object, `${field}[${i}]`, entry, canonicalRange));
}

function integer(
  raw: Raw,
  base: ClusterConfig,
  field: keyof ClusterConfig,
  least: number,
  most: number,
  object: string,
): number {
  const value = fieldValue(raw, base, field);
  if (typeof value !== 'number' || !Number.isInteger(value) || value < least || value > most) {
    throw new InvalidInputError(`must be a whole number from ${least} to ${most}`, { object, field, value });
  }
  return value;
}

function boolean(raw: Raw, base: ClusterConfig, field: keyof ClusterConfig, object: string): boolean {
  const value = fieldValue(raw, base, field);
  if (typeof value !== 'boolean')
    throw new InvalidInputError('must be true or false', { object, field, value });
  return value;
}

/** A node's block must be smaller than the whole and hold the addresses that are reserved in it. */
function checkNodeBlock(
  config: ClusterConfig,
  rangeField: 'podSubnetCIDR' | 'hostSubnetCIDR',
  field: 'podSubnetOneNodePrefixLen' | 'hostSubnetOneNodePrefixLen',
  leastBits: number,
  object: string,
): void {
  const range = parseCidr(config[rangeField]);
  const longest = bitsOf(range.family) - leastBits;
  if (config[field] <= range.length || config[field] > longest) {
    throw new InvalidInputError(
      `must lie between /${range.length + 1} and /${longest} for ${config[rangeField]}`,
      {
        object,
        field,
        value: config[field],
      },
    );
  }
}

function checkOverlap(config: ClusterConfig, object: string): void {
  const fields = [
    'podSubnetCIDR',
    'hostSubnetCIDR',
    'vxlanCIDR',
    'nodeInterconnectCIDR',
    'serviceCIDR',
  ] as const;
  const ranges: { field: string; range: ParsedCidr }[] = [];
  for (const field of fields) {
    const text = config[field];
    if (text === null) continue;
    const range = parseCidr(text);
    const other = ranges.find((o) => cidrContains(o.range, range) || cidrContains(range, o.range));
    if (other !== undefined) {
      throw new InvalidInputError(`overlaps ${other.field} ${formatCidr(other.range)}`, {
        object,
        field,
        value: text,
      });
    }
    ranges.push({ field, range });
  }
}
