/** The `rest` field of the agent's configuration: where the REST interface listens, and as whom. */
import { isIP } from 'node:net';
import { isAbsolute } from 'node:path';
import { InvalidInputError } from '../../common/errors.js';
import { isLoopback } from './hosts.js';

export interface RestConfig {
  /** An address with its port, or the path of a unix socket. */
  readonly listen: { readonly host: string; readonly port: number } | { readonly path: string };
  readonly tls: RestTls | null;
  /** Further names that clients may call us by, beside localhost and what `listen` says. */
  readonly hosts: readonly string[];
}

export interface RestTls {
  readonly certFile: string;
  readonly keyFile: string;
  /** Clients must show a certificate of this authority; null = none is asked for. */
  readonly clientCaFile: string | null;
}

const FIELDS = ['listen', 'certFile', 'keyFile', 'clientCaFile', 'hosts'];

export const DEFAULT_REST: RestConfig = { listen: { host: '127.0.0.1', port: 9999 }, tls: null, hosts: [] };

/** Absent: 127.0.0.1:9999; null: no REST. Throws InvalidInputError. */
export function parseRestConfig(value: unknown, object: string): RestConfig | null {
  if (value === undefined) return DEFAULT_REST;
  if (value === null) return null;
  const wrong = (field: string, reason: string, got: unknown): InvalidInputError =>
    new InvalidInputError(reason, { object, field: field === '' ? 'rest' : `rest.${field}`, value: got });
  if (typeof value === 'string') return parseRestConfig({ listen: value }, object);
  if (typeof value !== 'object' || Array.isArray(value)) {
    throw wrong('', 'must be ADDRESS:PORT, the path of a socket, a mapping, or null', value);
  }
  const raw = value as Readonly<Record<string, unknown>>;
  for (const field of Object.keys(raw)) {
    if (!FIELDS.includes(field)) throw wrong(field, 'unknown field', raw[field]);
  }
  const path = (field: string): string | null => {
    const given = raw[field] ?? null;
    if (given === null) return null;
    if (typeof given !== 'string' || !isAbsolute(given))
      throw wrong(field, 'must be an absolute path', given);
    return given;
  };
  const listen = listenOf(raw['listen'] ?? '127.0.0.1:9999');
  if (listen === null) {
    throw wrong(
      'listen',
      'must be ADDRESS:PORT, [IPv6 ADDRESS]:PORT or the absolute path of a socket',
      raw['listen'],
    );
  }
  const [certFile, keyFile, clientCaFile] = [path('certFile'), path('keyFile'), path('clientCaFile')];
  if ((certFile === null) !== (keyFile === null))
    throw wrong('certFile', 'goes together with keyFile', certFile);
  if (certFile === null && clientCaFile !== null)
    throw wrong('clientCaFile', 'needs certFile and keyFile', clientCaFile);
  if (certFile === null && 'host' in listen && !isLoopback(listen.host)) {
    throw wrong('listen', 'beyond loopback only with TLS: certFile and keyFile are missing', raw['listen']);
  }
  return {
    listen,
    tls: certFile === null || keyFile === null ? null : { certFile, keyFile, clientCaFile },
    hosts: hostsOf(raw['hosts'] ?? [], (i, got) => wrong(`hosts[${i}]`, 'must be a name or an address', got)),
  };
}

function listenOf(value: unknown): RestConfig['listen'] | null {
  if (typeof value !== 'string') return null;
  if (isAbsolute(value)) return { path: value };
  const match = /^(?:\[([^\]]+)\]|([^:]+)):(\d{1,5})$/.exec(value);
  const host = match?.[1] ?? match?.[2] ?? '';
  const port = Number(match?.[3]);
  return isIP(host) !== 0 && port <= 65535 ? { host, port } : null;
}

function hostsOf(value: unknown, wrong: (i: number, got: unknown) => InvalidInputError): readonly string[] {
  const entries: readonly unknown[] = Array.isArray(value) ? value : [value];
  return entries.map((entry, i) => {
    if (typeof entry !== 'string' || !/^[a-z0-9.:-]{1,253}$/i.test(entry)) throw wrong(i, entry);
    return entry.toLowerCase();
  });
}
