/** Reads a cluster configuration: defaults filled in, every field checked, ranges that overlap refused. */
import { InvalidInputError } from '../common/errors.js';
import { Fields, mappingOf, type Raw } from '../common/fields.js';
import {
  bitsOf,
  cidrContains,
  type Family,
  formatCidr,
  type ParsedCidr,
  parseCidr,
  parseIp,
  subnetAt,
} from '../common/ip.js';
import {
  type ClusterConfig,
  DEFAULT_CONFIG,
  DEFAULT_IPV6,
  type FamilyRanges,
  rangesOf,
} from '../compiler/input.js';
import type { Cidr } from '../ruleset/types.js';

/** The ranges of one contivCIDR. */
export type SplitRanges = Omit<FamilyRanges, 'defaultGateway' | 'serviceCIDR' | 'nodeInterconnectCIDR'> & {
  readonly nodeInterconnectCIDR: Cidr;
};

/** Fields that contivCIDR stands for. */
const SPLIT_FIELDS = [
  'podSubnetCIDR',
  'podSubnetOneNodePrefixLen',
  'hostSubnetCIDR',
  'hostSubnetOneNodePrefixLen',
  'vxlanCIDR',
] as const;

/** Fields whose ranges must not meet. */
const RANGE_FIELDS = [
  'podSubnetCIDR',
  'hostSubnetCIDR',
  'vxlanCIDR',
  'nodeInterconnectCIDR',
  'serviceCIDR',
] as const;

/**
 * Checks `value` (parsed JSON or YAML) and returns it as a ClusterConfig; absent fields take their defaults, contivCIDR is
 * split, at the top and under `ipv6`. `object` names it in errors. Throws InvalidInputError with the field.
 */
export function parseClusterConfig(value: unknown, object = 'cluster configuration'): ClusterConfig {
  const raw = mappingOf(value, object);
  checkKnown(raw, DEFAULT_CONFIG, object, '');
  const base = { ...DEFAULT_CONFIG, ...baseOf(raw, DEFAULT_CONFIG, object, '') };
  const fields = new Fields(raw, base, object);
  const second = raw['ipv6'] ?? null;
  const ranges = familyRanges(fields, object, '');
  // The underlay is IPv4, and so is the first family: agents of a cluster of IPv6 alone would start, and nothing would work.
  checkFamily(ranges, 4, object, '');
  const config: ClusterConfig = {
    ...ranges,
    ipv6: second === null ? null : secondFamily(second, object),
    vni: fields.integer('vni', 1, 0xff_ffff),
    underlayMtu: fields.integer('underlayMtu', second === null ? 626 : LEAST_MTU6, 65535),
    natExternalTraffic: fields.boolean('natExternalTraffic'),
    nodePortAddresses: fields.cidrs('nodePortAddresses'),
    externalIPCIDRs: fields.cidrs('externalIPCIDRs'),
    hostAddresses: fields.ips('hostAddresses'),
  };
  checkOverlap(config, object);
  checkHostAddresses(config, object);
  return config;
}

/** Pods need 1280 bytes for IPv6 (RFC 8200, section 5), and a tunnel takes 50. */
const LEAST_MTU6 = 1330;

function secondFamily(value: unknown, object: string): FamilyRanges {
  const path = 'ipv6.';
  const raw = mappingOf(value, object, 'ipv6');
  checkKnown(raw, DEFAULT_IPV6, object, path);
  const base = baseOf(raw, DEFAULT_IPV6, object, path);
  const ranges = familyRanges(new Fields(raw, base, object, path), object, path);
  checkFamily(ranges, 6, object, path);
  return ranges;
}

function familyRanges<T extends FamilyRanges>(fields: Fields<T>, object: string, path: string): FamilyRanges {
  const ranges: FamilyRanges = {
    podSubnetCIDR: fields.cidr('podSubnetCIDR'),
    podSubnetOneNodePrefixLen: fields.integer('podSubnetOneNodePrefixLen', 1, 128),
    hostSubnetCIDR: fields.cidr('hostSubnetCIDR'),
    hostSubnetOneNodePrefixLen: fields.integer('hostSubnetOneNodePrefixLen', 1, 128),
    vxlanCIDR: fields.cidr('vxlanCIDR'),
    nodeInterconnectCIDR: fields.optionalCidr('nodeInterconnectCIDR'),
    defaultGateway: fields.optionalIp('defaultGateway'),
    serviceCIDR: fields.cidr('serviceCIDR'),
  };
  checkNodeBlock(ranges, 'podSubnetCIDR', 'podSubnetOneNodePrefixLen', 3, object, path);
  checkNodeBlock(ranges, 'hostSubnetCIDR', 'hostSubnetOneNodePrefixLen', 2, object, path);
  return ranges;
}

/** Splits one range into all ranges a cluster needs. Throws InvalidInputError below 18 host bits. */
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

function checkKnown(raw: Raw, known: object, object: string, path: string): void {
  for (const field of Object.keys(raw)) {
    if (field === 'contivCIDR' || Object.hasOwn(known, field)) continue;
    throw new InvalidInputError('unknown field', { object, field: `${path}${field}`, value: raw[field] });
  }
}

/** What absent ranges become: the defaults, or those that follow from contivCIDR. */
function baseOf(raw: Raw, defaults: FamilyRanges, object: string, path: string): FamilyRanges {
  if (raw['contivCIDR'] === undefined) {
    // The default gateway belongs to the default underlay only.
    const ownUnderlay = raw['nodeInterconnectCIDR'] !== undefined;
    return ownUnderlay ? { ...defaults, defaultGateway: null } : defaults;
  }
  for (const field of SPLIT_FIELDS) {
    if (raw[field] !== undefined) {
      throw new InvalidInputError('cannot be given together with contivCIDR', {
        object,
        field: `${path}${field}`,
        value: raw[field],
      });
    }
  }
  const fields = new Fields(raw, defaults, object, path);
  const split = fields.text('contivCIDR', raw['contivCIDR'], splitContivCidr);
  return { ...defaults, ...split, defaultGateway: null };
}

/** A node's block must be smaller than the whole and hold the addresses that are reserved in it. */
function checkNodeBlock(
  ranges: FamilyRanges,
  rangeField: 'podSubnetCIDR' | 'hostSubnetCIDR',
  field: 'podSubnetOneNodePrefixLen' | 'hostSubnetOneNodePrefixLen',
  leastBits: number,
  object: string,
  path: string,
): void {
  const range = parseCidr(ranges[rangeField]);
  const longest = bitsOf(range.family) - leastBits;
  if (ranges[field] <= range.length || ranges[field] > longest) {
    throw new InvalidInputError(
      `must lie between /${range.length + 1} and /${longest} for ${ranges[rangeField]}`,
      { object, field: `${path}${field}`, value: ranges[field] },
    );
  }
}

/** IPv4 at the top, IPv6 under `ipv6`. */
function checkFamily(ranges: FamilyRanges, family: Family, object: string, path: string): void {
  for (const field of [...RANGE_FIELDS, 'defaultGateway'] as const) {
    const value = ranges[field];
    if (value === null || parseIp(value.split('/')[0] ?? '').family === family) continue;
    const elsewhere = family === 4 ? '; IPv6 beside it goes under ipv6' : '';
    throw new InvalidInputError(`must be IPv${family}${elsewhere}`, {
      object,
      field: `${path}${field}`,
      value,
    });
  }
}

/** What a range of the cluster holds has an owner already, and a family without ranges is not routed. */
function checkHostAddresses(config: ClusterConfig, object: string): void {
  const families = rangesOf(config);
  for (const [i, value] of config.hostAddresses.entries()) {
    const address = parseIp(value);
    const details = { object, field: `hostAddresses[${i}]`, value };
    if (families.every(({ podSubnetCIDR }) => parseCidr(podSubnetCIDR).family !== address.family))
      throw new InvalidInputError(`is of a family the cluster does not have`, details);
    for (const ranges of families) {
      for (const name of RANGE_FIELDS) {
        const text = ranges[name];
        if (text !== null && cidrContains(parseCidr(text), address))
          throw new InvalidInputError(`lies inside ${name} ${text}`, details);
      }
    }
  }
}

function checkOverlap(config: ClusterConfig, object: string): void {
  const ranges: { field: string; range: ParsedCidr }[] = [];
  const families = [
    ['', config] as const,
    ...(config.ipv6 === null ? [] : [['ipv6.', config.ipv6] as const]),
  ];
  for (const [path, family] of families) {
    for (const name of RANGE_FIELDS) {
      const text = family[name];
      if (text === null) continue;
      const field = `${path}${name}`;
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
}
