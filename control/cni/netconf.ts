/** The network configuration on standard input (CNI specification, section 1). */
import { CNI } from './codes.js';
import type { Command } from './environment.js';
import { CniError } from './errors.js';
import { isNetworkName } from './names.js';

/** Versions of the specification we speak, oldest first. */
export const VERSIONS = ['0.3.1', '0.4.0', '1.0.0', '1.1.0'] as const;
export type Version = (typeof VERSIONS)[number];
export const NEWEST: Version = '1.1.0';

/** The version each command came with. */
const SINCE: Readonly<Record<Command, Version>> = {
  ADD: '0.3.1',
  DEL: '0.3.1',
  VERSION: '0.3.1',
  CHECK: '0.4.0',
  STATUS: '1.1.0',
  GC: '1.1.0',
};

export const DEFAULT_SOCKET = '/run/pteropus/cni.sock';
const DEFAULT_TIMEOUT_MS = 30_000;

export interface NetConf {
  readonly cniVersion: Version;
  readonly name: string;
  /** The agent's socket. */
  readonly socket: string;
  /** How long the agent may take, milliseconds. */
  readonly timeoutMs: number;
  readonly ipamType: string;
  /** Passed on into the result. */
  readonly dns: Readonly<Record<string, unknown>>;
  readonly prevResult: Readonly<Record<string, unknown>> | null;
  /** As it came, for the agent. */
  readonly text: string;
}

/** A configuration of which only the version is known to be right. */
export interface Versioned {
  readonly cniVersion: Version;
  readonly value: Readonly<Record<string, unknown>>;
  readonly text: string;
}

/** Throws CniError: 6 not a JSON object, 1 a version we do not speak or the command does not have. */
export function parseVersion(text: string, command: Command): Versioned {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    throw new CniError(CNI.decodingFailure, 'the network configuration is not JSON', String(cause));
  }
  if (!isMapping(value)) {
    throw new CniError(CNI.decodingFailure, 'the network configuration is not a JSON object');
  }
  // Absent means 0.1.0, by the specification.
  const cniVersion = value['cniVersion'] ?? '0.1.0';
  if (!VERSIONS.includes(cniVersion as Version)) {
    const supported = `supported are ${VERSIONS.join(', ')}`;
    throw new CniError(
      CNI.incompatibleVersion,
      `cniVersion ${JSON.stringify(cniVersion)} is not supported; ${supported}`,
    );
  }
  const since = SINCE[command];
  if (VERSIONS.indexOf(cniVersion as Version) < VERSIONS.indexOf(since)) {
    const said = `the configuration says ${String(cniVersion)}`;
    throw new CniError(CNI.incompatibleVersion, `${command} came with cniVersion ${since}; ${said}`);
  }
  return { cniVersion: cniVersion as Version, value, text };
}

/** Throws CniError with code 7. */
export function parseNetConf({ cniVersion, value, text }: Versioned, command: Command): NetConf {
  const name = value['name'];
  if (typeof name !== 'string' || name === '') throw invalid('name is missing');
  if (!isNetworkName(name)) throw invalid(`name has invalid characters: ${JSON.stringify(name)}`);
  const prevResult = value['prevResult'] ?? null;
  if (prevResult !== null && !isMapping(prevResult)) throw invalid('prevResult is not an object');
  if (command === 'CHECK' && prevResult === null) throw invalid('CHECK needs prevResult');
  const ipam = value['ipam'] ?? {};
  const ipamType = isMapping(ipam) ? (ipam['type'] ?? '') : null;
  if (typeof ipamType !== 'string') throw invalid('ipam is not an object with a type');
  const dns = value['dns'] ?? {};
  if (!isMapping(dns)) throw invalid('dns is not an object');
  return {
    cniVersion,
    name,
    socket: socketOf(value['socket'] ?? DEFAULT_SOCKET),
    timeoutMs: timeoutOf(value['timeoutMs'] ?? DEFAULT_TIMEOUT_MS),
    ipamType,
    dns,
    prevResult,
    text,
  };
}

function socketOf(value: unknown): string {
  if (typeof value !== 'string' || !value.startsWith('/')) throw invalid('socket must be an absolute path');
  return value;
}

function timeoutOf(value: unknown): number {
  if (typeof value !== 'number' || !Number.isInteger(value) || value < 1 || value > 3_600_000) {
    throw invalid('timeoutMs must be a whole number of milliseconds up to an hour');
  }
  return value;
}

function invalid(text: string): CniError {
  return new CniError(CNI.invalidConfig, `invalid network configuration: ${text}`);
}

export function isMapping(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
