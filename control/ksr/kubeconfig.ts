/**
 * How to reach the API server, by the Kubernetes client's own reading of kubeconfig files and service accounts: tokens,
 * certificates, and the programs that make either (exec). What it finds is checked here, so that a mistake names file and field.
 */
import type { AgentOptions, RequestOptions } from 'node:https';
import type { KubeConfig } from '@kubernetes/client-node';
import { errorText, InvalidInputError } from '../common/errors.js';

export interface KubeAccess {
  /** https URL of the API server. */
  readonly server: string;
  /** PEM; null = the system's authorities. */
  readonly ca: string | null;
  /** Name in the server's certificate, where it is not the host of `server`; null = it is. */
  readonly serverName: string | null;
  /** false = any certificate will do (insecure-skip-tls-verify). */
  readonly verify: boolean;
  /** Go with each request: who we are, and as whom. */
  readonly headers: Readonly<Record<string, string>>;
  /** PEM, both or none. */
  readonly cert: string | null;
  readonly key: string | null;
}

/** The current context of the file. Throws InvalidInputError naming the file. */
export async function readKubeconfig(file: string): Promise<KubeAccess> {
  const config = await emptyConfig();
  try {
    config.loadFromFile(file);
  } catch (cause) {
    throw new InvalidInputError(`cannot be read: ${errorText(cause)}`, { file, cause });
  }
  const name = config.getCurrentContext();
  if (!name) throw new InvalidInputError('is missing', { file, field: 'current-context' });
  const context = config.getContextObject(name);
  if (context === null)
    throw new InvalidInputError('has no entry of this name', { file, field: 'contexts', value: name });
  if (config.getCurrentCluster() === null) {
    throw new InvalidInputError('has no entry of this name', {
      file,
      field: 'clusters',
      value: context.cluster,
    });
  }
  if (config.getCurrentUser() === null)
    throw new InvalidInputError('has no entry of this name', { file, field: 'users', value: context.user });
  return await accessOf(config, file);
}

/** The service account of the pod we run in. Throws InvalidInputError. */
export async function readServiceAccount(): Promise<KubeAccess> {
  for (const object of ['KUBERNETES_SERVICE_HOST', 'KUBERNETES_SERVICE_PORT']) {
    if ((process.env[object] ?? '') === '') throw new InvalidInputError('is not set', { object });
  }
  const config = await emptyConfig();
  config.loadFromCluster();
  return await accessOf(config, 'service account');
}

/** For node:https. */
export function tlsOptions({ ca, cert, key, serverName, verify }: KubeAccess): AgentOptions {
  return {
    rejectUnauthorized: verify,
    ...(ca === null ? {} : { ca }),
    ...(serverName === null ? {} : { servername: serverName }),
    ...(cert === null || key === null ? {} : { cert, key }),
  };
}

/** The URL of an API path; the server's own may have a path in front. */
export function urlOf({ server }: KubeAccess, path: string): URL {
  return new URL(`${server.replace(/\/+$/, '')}${path}`);
}

/** May connections made for the one be used for the other? */
export function sameTls(a: KubeAccess, b: KubeAccess): boolean {
  const fields = ['server', 'ca', 'serverName', 'verify', 'cert', 'key'] as const;
  return fields.every((field) => a[field] === b[field]);
}

/** Loaded when it is needed: it takes most of half a second. */
async function emptyConfig(): Promise<KubeConfig> {
  const client = await import('@kubernetes/client-node');
  return new client.KubeConfig();
}

async function accessOf(config: KubeConfig, file: string): Promise<KubeAccess> {
  const server = config.getCurrentCluster()?.server ?? '';
  if (!server.startsWith('https://'))
    throw new InvalidInputError('must be an https URL', { file, field: 'server', value: server });
  const found: RequestOptions = {};
  try {
    await config.applyToHTTPSOptions(found);
  } catch (cause) {
    throw new InvalidInputError(`gives no credentials: ${errorText(cause)}`, { file, field: 'user', cause });
  }
  const { ca, cert, key, servername, rejectUnauthorized, headers, auth } = found;
  return {
    server,
    ca: pem(ca),
    serverName: servername ?? null,
    verify: rejectUnauthorized !== false,
    headers: {
      ...(typeof auth === 'string' ? { Authorization: `Basic ${Buffer.from(auth).toString('base64')}` } : {}),
      ...textsOf(headers),
    },
    cert: pem(cert),
    key: pem(key),
  };
}

function textsOf(headers: unknown): Readonly<Record<string, string>> {
  const entries = Object.entries((headers ?? {}) as Readonly<Record<string, unknown>>);
  return Object.fromEntries(
    entries.filter((entry): entry is [string, string] => typeof entry[1] === 'string'),
  );
}

function pem(value: unknown): string | null {
  if (Buffer.isBuffer(value)) return value.toString('utf8');
  return typeof value === 'string' && value !== '' ? value : null;
}
