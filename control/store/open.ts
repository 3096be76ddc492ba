/** Which store a program uses, as its configuration says. */
import { InvalidInputError } from '../common/errors.js';
import { lazyStoreClient } from './client.js';
import { EtcdStore, type EtcdStoreSpec } from './etcd.js';
import type { Store } from './store.js';

/** The embedded store of another process of this machine, by its unix socket; or etcd. */
export type StoreConfig = { readonly socket: string } | EtcdStoreSpec;

/** Opens the store; what is not up yet is waited for by each call, up to the timeout. Throws InvalidInputError. */
export function openStore(config: StoreConfig, options: { readonly timeoutMs?: number } = {}): Store {
  return 'socket' in config ? lazyStoreClient(config.socket, options) : new EtcdStore(config, options);
}

const FIELDS = ['socket', 'endpoints', 'caFile', 'certFile', 'keyFile', 'prefix'];

/**
 * Reads a configuration's `store`: the path of a unix socket, `http(s)://host:port` separated by commas, or an object of
 * either. Throws InvalidInputError naming `object` and field.
 */
export function parseStoreConfig(value: unknown, object: string, field = 'store'): StoreConfig {
  const fail = (message: string, at: string, got: unknown): never => {
    throw new InvalidInputError(message, { object, field: at, value: got });
  };
  if (typeof value === 'string' && value !== '') {
    return /^https?:/.test(value)
      ? { endpoints: parseEndpoints(value.split(','), object, field) }
      : { socket: value };
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    return fail('must be a unix socket, endpoints, or an object of either', field, value);
  }
  const raw = value as Readonly<Record<string, unknown>>;
  for (const key of Object.keys(raw)) {
    if (!FIELDS.includes(key)) fail('unknown field', `${field}.${key}`, raw[key]);
  }
  const text = (key: string): string | undefined => {
    const given = raw[key];
    if (given === undefined) return undefined;
    return typeof given === 'string' && given !== ''
      ? given
      : fail('must be text, not empty', `${field}.${key}`, given);
  };
  const socket = text('socket');
  if (socket !== undefined) {
    const [other] = Object.keys(raw).filter((key) => key !== 'socket');
    return other === undefined
      ? { socket }
      : fail('has no place beside socket', `${field}.${other}`, raw[other]);
  }
  const endpoints = parseEndpoints(raw['endpoints'], object, `${field}.endpoints`);
  const [caFile, certFile, keyFile, prefix] = [
    text('caFile'),
    text('certFile'),
    text('keyFile'),
    text('prefix'),
  ];
  if ((certFile === undefined) !== (keyFile === undefined))
    fail('certFile and keyFile go together', field, value);
  if (caFile !== undefined && !endpoints.every((url) => url.startsWith('https:'))) {
    fail('certificates need https endpoints', `${field}.endpoints`, endpoints);
  }
  return {
    endpoints,
    ...(caFile === undefined ? {} : { caFile }),
    ...(certFile === undefined ? {} : { certFile }),
    ...(keyFile === undefined ? {} : { keyFile }),
    ...(prefix === undefined ? {} : { prefix }),
  };
}

function parseEndpoints(value: unknown, object: string, field: string): readonly string[] {
  if (!Array.isArray(value) || value.length === 0) {
    throw new InvalidInputError('must be a list of endpoints', { object, field, value });
  }
  const endpoints = value.map((entry: unknown) => {
    const url = typeof entry === 'string' ? entry.trim().replace(/\/$/, '') : '';
    if (!/^(https?:\/\/(\[[0-9a-fA-F:.]+\]|[\w.-]+):\d{1,5}|unix:\/\/\/[^\s,]+)$/.test(url)) {
      throw new InvalidInputError('must be http(s)://host:port or unix:///path', {
        object,
        field,
        value: entry,
      });
    }
    return url;
  });
  if (new Set(endpoints.map((url) => url.split(':')[0])).size > 1) {
    throw new InvalidInputError('must be all of one kind', { object, field, value: endpoints });
  }
  return endpoints;
}
