/** The network configuration on standard input (CNI specification, section 1). */
import type { HostPort } from '../compiler/input.js';
import type { RateLimits } from '../ruleset/types.js';
import { parseBandwidth, parsePortMappings } from './capabilities.js';
import { CNI } from './codes.js';
import type { Command } from './environment.js';
import { CniError, invalidConfig } from './errors.js';
import { isMapping, type Mapping } from './mapping.js';
import { isContainerId, isInterfaceName, isNetworkName } from './names.js';

/** Versions of the specification we speak, oldest first. */
export const VERSIONS = ['0.3.1', '0.4.0', '1.0.0', '1.1.0'] as const;
export type Version = (typeof VERSIONS)[number];
export const NEWEST: Version = '1.1.0';

/** The version each command came with. */
const SINCE: Readonly<Record<Command, Version>> = {
  ADD: '0.3.1',
  DEL: '0.3.1',
  CHECK: '0.4.0',
  STATUS: '1.1.0',
  GC: '1.1.0',
};

const VALID_ATTACHMENTS = 'cni.dev/valid-attachments';

export interface NetConf {
  readonly cniVersion: Version;
  readonly name: string;
  /** What made the sandbox before us; null = we are the first. */
  readonly prevResult: Mapping | null;
  /** Passed on into the result. */
  readonly dns: Mapping;
  /** GC's list as `CONTAINERID/IFNAME`; null = absent: nothing is known of what is valid. */
  readonly validAttachments: ReadonlySet<string> | null;
  /** Capability portMappings. */
  readonly portMappings: readonly HostPort[];
  /** Capability bandwidth; null = no limit. */
  readonly bandwidth: RateLimits | null;
}

/** A configuration that asks for nothing. */
export const BARE_CONF: NetConf = {
  cniVersion: NEWEST,
  name: 'pteropus',
  prevResult: null,
  dns: {},
  validAttachments: null,
  portMappings: [],
  bandwidth: null,
};

/** A configuration of which only the version is known to be right. */
export interface Versioned {
  readonly cniVersion: Version;
  readonly value: Mapping;
}

/** Throws CniError: 6 not a JSON object, 1 a version we do not speak. */
export function parseVersion(text: string): Versioned {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    throw new CniError(CNI.decodingFailure, 'the network configuration is not JSON', String(cause));
  }
  if (!isMapping(value)) {
    throw new CniError(CNI.decodingFailure, 'the network configuration is not a JSON object');
  }
  const { cniVersion } = value;
  if (!isVersion(cniVersion)) {
    const supported = `supported are ${VERSIONS.join(', ')}`;
    throw new CniError(
      CNI.incompatibleVersion,
      `cniVersion ${JSON.stringify(cniVersion)} is not supported; ${supported}`,
    );
  }
  return { cniVersion, value };
}

/** Throws CniError: 1 a command that this version does not have, 7 what is wrong in the configuration. */
export function parseNetConf({ cniVersion, value }: Versioned, command: Command): NetConf {
  const since = SINCE[command];
  if (VERSIONS.indexOf(cniVersion) < VERSIONS.indexOf(since)) {
    const said = `the configuration says ${cniVersion}`;
    throw new CniError(CNI.incompatibleVersion, `${command} came with cniVersion ${since}; ${said}`);
  }
  const name = value['name'];
  if (typeof name !== 'string' || name === '') throw invalidConfig('name is missing');
  if (!isNetworkName(name)) throw invalidConfig(`name has invalid characters: ${JSON.stringify(name)}`);
  const bare: NetConf = { ...BARE_CONF, cniVersion, name };
  if (command === 'DEL') return bare;
  if (command === 'GC') return { ...bare, validAttachments: attachmentsOf(value) };
  return { ...bare, ...wiringOf(value, command) };
}

/**
 * What a sandbox is to be like. Not read where one is taken away: the runtime gives DEL what it gave the ADD that we refused, and a pod
 * whose DEL is refused as well never ends.
 */
function wiringOf(value: Mapping, command: Command): Partial<NetConf> {
  const prevResult = value['prevResult'] ?? null;
  if (prevResult !== null && !isMapping(prevResult)) throw invalidConfig('prevResult is not an object');
  if (command === 'CHECK' && prevResult === null) throw invalidConfig('CHECK needs prevResult');
  const ipam = value['ipam'] ?? {};
  const ipamType = isMapping(ipam) ? (ipam['type'] ?? '') : null;
  if (typeof ipamType !== 'string') throw invalidConfig('ipam is not an object with a type');
  if (ipamType !== '')
    throw invalidConfig(`ipam.type ${JSON.stringify(ipamType)}: addresses come from us only`);
  const dns = value['dns'] ?? {};
  if (!isMapping(dns)) throw invalidConfig('dns is not an object');
  const runtime = value['runtimeConfig'] ?? {};
  if (!isMapping(runtime)) throw invalidConfig('runtimeConfig is not an object');
  return {
    prevResult,
    dns,
    portMappings: parsePortMappings(runtime['portMappings'] ?? []),
    bandwidth: parseBandwidth(runtime['bandwidth'] ?? {}),
  };
}

/**
 * An entry that cannot be one of ours is a mistake: taken for none, GC would unwire what still runs. Null is how libcni writes an empty
 * list; where it has none it leaves the field out, which says nothing of what is valid.
 */
function attachmentsOf({ [VALID_ATTACHMENTS]: value }: Mapping): ReadonlySet<string> | null {
  if (value === undefined) return null;
  if (value === null) return new Set();
  if (!Array.isArray(value)) throw invalidConfig(`${VALID_ATTACHMENTS} is not a list`);
  const keys = (value as readonly unknown[]).map((entry, i) => {
    const { containerID, ifname } = isMapping(entry) ? entry : {};
    if (typeof containerID !== 'string' || !isContainerId(containerID)) {
      throw invalidConfig(`${VALID_ATTACHMENTS}[${i}].containerID is not a container id`);
    }
    if (typeof ifname !== 'string' || !isInterfaceName(ifname)) {
      throw invalidConfig(`${VALID_ATTACHMENTS}[${i}].ifname is not an interface name`);
    }
    return `${containerID}/${ifname}`;
  });
  return new Set(keys);
}

function isVersion(value: unknown): value is Version {
  return VERSIONS.includes(value as Version);
}
