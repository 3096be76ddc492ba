/**
 * The parts of a kubeconfig file that an administrator's own file has: server, authority, token or client certificate. Read
 * here and not by @kubernetes/client-node, which does not load on Node.js 20, and takes most of a second where it does.
 */
import { readFileSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { parse } from 'yaml';
import { errorText, InvalidInputError } from '../common/errors.js';
import { isRecord } from '../objects/document.js';

export interface KubeAccess {
  /** https URL of the API server. */
  readonly server: string;
  /** PEM; null = the system's authorities. */
  readonly ca: string | null;
  readonly token: string | null;
  /** PEM, both or none. */
  readonly cert: string | null;
  readonly key: string | null;
}

type Json = Readonly<Record<string, unknown>>;

/** The current context of the file. Throws InvalidInputError naming file and field. */
export function readKubeconfig(path: string): KubeAccess {
  let value: unknown;
  try {
    value = parse(readFileSync(path, 'utf8'));
  } catch (cause) {
    throw new InvalidInputError(`cannot be read: ${errorText(cause)}`, { file: path, cause });
  }
  if (!isRecord(value)) throw new InvalidInputError('is no kubeconfig', { file: path });
  const current = text(value['current-context']);
  if (current === null) throw new InvalidInputError('is missing', { file: path, field: 'current-context' });
  const context = named(value, 'contexts', current, 'context', path);
  const cluster = named(value, 'clusters', text(context['cluster']) ?? '', 'cluster', path);
  const user = named(value, 'users', text(context['user']) ?? '', 'user', path);
  for (const field of ['exec', 'auth-provider', 'username']) {
    if (user[field] !== undefined) {
      throw new InvalidInputError('is not supported here: a token or a client certificate is', {
        file: path,
        field: `users[].user.${field}`,
      });
    }
  }
  const server = text(cluster['server']);
  if (server === null || !server.startsWith('https://')) {
    throw new InvalidInputError('must be an https URL', { file: path, field: 'server', value: server });
  }
  const pem = (owner: Json, field: string) => pemOf(owner, field, path);
  return {
    server,
    ca: pem(cluster, 'certificate-authority'),
    token: text(user['token']) ?? fileText(user, 'tokenFile', path)?.trim() ?? null,
    cert: pem(user, 'client-certificate'),
    key: pem(user, 'client-key'),
  };
}

function named(root: Json, list: string, name: string, field: string, file: string): Json {
  const entries = root[list];
  const found = Array.isArray(entries)
    ? entries.find((entry: unknown) => isRecord(entry) && entry['name'] === name)
    : undefined;
  const value: unknown = isRecord(found) ? found[field] : undefined;
  if (isRecord(value)) return value;
  throw new InvalidInputError('has no entry of this name', { file, field: list, value: name });
}

/** `FIELD-data` in base64, or the file that FIELD names. */
function pemOf(owner: Json, field: string, path: string): string | null {
  const data = text(owner[`${field}-data`]);
  if (data !== null) return Buffer.from(data, 'base64').toString('utf8');
  return fileText(owner, field, path);
}

/** The text of the file a field names, relative to the kubeconfig's folder. */
function fileText(owner: Json, field: string, path: string): string | null {
  const name = text(owner[field]);
  if (name === null) return null;
  try {
    return readFileSync(resolve(dirname(path), name), 'utf8');
  } catch (cause) {
    throw new InvalidInputError('cannot be read', { file: path, field, value: name, cause });
  }
}

function text(value: unknown): string | null {
  return typeof value === 'string' && value !== '' ? value : null;
}
