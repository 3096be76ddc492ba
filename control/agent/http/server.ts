/**
 * The REST interface's server: plain on loopback or a unix socket, TLS anywhere, optionally with client certificates. Small
 * bounds, no request bodies, nothing for browsers: a page that runs in one can neither read nor do anything here.
 */
import { readFileSync, statSync } from 'node:fs';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import type { SecureContextOptions, TlsOptions } from 'node:tls';
import { errorText, InvalidInputError, PteropusError } from '../../common/errors.js';
import { listenPrivately } from '../../common/listen.js';
import { Every } from '../every.js';
import { isLoopback, isOwnHost } from './hosts.js';
import { HttpError } from './http-error.js';
import { Query } from './query.js';
import { respond } from './respond.js';
import type { RestConfig, RestTls } from './rest-config.js';
import { json, type Route } from './route.js';

export interface RestServer {
  /** The port it got; null on a unix socket. */
  readonly port: number | null;
  /** Resolves when the port is free. */
  close(): Promise<void>;
}

/** The address cannot be listened on. */
export class RestListenError extends PteropusError {}

const MOST_CONNECTIONS = 64;
const MOST_REQUESTS = 16;
const TIMEOUTS_MS = { handshake: 5000, headers: 5000, request: 10_000, keepAlive: 5000 };
const CERTIFICATE_CHECK_MS = 60_000;
/** What anybody may ask who reaches us: nothing of the cluster's objects, nothing that does something. */
const OPEN_PATHS: ReadonlySet<string> = new Set(['/', '/healthz', '/readyz', '/metrics']);

/** Throws RestListenError, SocketInUseError, InvalidInputError (certificates). `log`: what POST requests asked for, and failures. */
export async function serveRest(
  config: RestConfig,
  routes: readonly Route[],
  log: (line: string) => void,
): Promise<RestServer> {
  const { listen, tls } = config;
  const front = new Front(
    routes,
    new Set([...config.hosts, ...('host' in listen ? [listen.host] : [])]),
    // Encrypted is not yet known: who may ask for everything shows a certificate.
    'host' in listen && !isLoopback(listen.host) && (tls?.clientCaFile ?? null) === null,
    log,
  );
  const handler = (request: IncomingMessage, response: ServerResponse): void => {
    front.serve(request, response).catch((error: unknown) => {
      log(`REST ${request.method} ${request.url}: ${errorText(error)}`);
      response.destroy();
    });
  };
  const limits = {
    headersTimeout: TIMEOUTS_MS.headers,
    requestTimeout: TIMEOUTS_MS.request,
    keepAliveTimeout: TIMEOUTS_MS.keepAlive,
  };
  const server =
    tls === null
      ? createServer(limits, handler)
      : createTlsServer({ ...limits, handshakeTimeout: TIMEOUTS_MS.handshake, ...tlsOptions(tls) }, handler);
  server.maxConnections = MOST_CONNECTIONS;
  server.on('clientError', (_error, socket) => socket.destroy());
  if ('path' in listen) await listenPrivately(server, listen.path);
  else await listenOn(server, listen.host, listen.port);
  const renewal = renewing(server, tls, log);
  const address = server.address() as AddressInfo | string | null;
  return {
    port: typeof address === 'object' && address !== null ? address.port : null,
    close: () => {
      renewal?.close();
      const closed = new Promise<void>((resolve) => server.close(() => resolve()));
      server.closeAllConnections();
      return closed;
    },
  };
}

class Front {
  readonly #routes = new Map<string, Route[]>();
  #busy = 0;

  constructor(
    routes: readonly Route[],
    private readonly hosts: ReadonlySet<string>,
    /** Whoever asks is a stranger. */
    private readonly strangers: boolean,
    private readonly log: (line: string) => void,
  ) {
    for (const route of routes)
      this.#routes.set(route.path, [...(this.#routes.get(route.path) ?? []), route]);
  }

  async serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    request.resume();
    this.#busy++;
    try {
      const { route, query } = this.#find(request);
      if (route.method === 'POST') this.log(`REST POST ${request.url}`);
      await respond(request, response, await route.handle(query));
    } catch (error) {
      if (response.headersSent) throw error;
      const known = error instanceof HttpError ? error : failure(error);
      if (known.status >= 500) this.log(`REST ${request.method} ${request.url}: ${known.message}`);
      await respond(request, response, json({ error: known.message }, known.status), known.headers);
    } finally {
      this.#busy--;
    }
  }

  #find(request: IncomingMessage): { readonly route: Route; readonly query: Query } {
    const { method = '', url = '/', headers } = request;
    if (!isOwnHost(headers.host, this.hosts, request.socket.localAddress)) {
      throw new HttpError(421, `not a name of this agent: Host ${JSON.stringify(headers.host ?? '')}`);
    }
    if (
      headers.origin !== undefined ||
      !['none', undefined].includes(headers['sec-fetch-site'] as string | undefined)
    ) {
      throw new HttpError(403, 'not for pages in browsers');
    }
    if (headers['transfer-encoding'] !== undefined || Number(headers['content-length'] ?? 0) > 0) {
      throw new HttpError(413, 'requests have no body here', { Connection: 'close' });
    }
    if (this.#busy > MOST_REQUESTS)
      throw new HttpError(503, 'too many requests at once', { 'Retry-After': '1' });
    const mark = url.indexOf('?');
    const path = mark < 0 ? url : url.slice(0, mark);
    const parameters = mark < 0 ? '' : url.slice(mark + 1);
    if (this.strangers && !OPEN_PATHS.has(path)) {
      throw new HttpError(
        403,
        'beyond loopback only for clients with a certificate: clientCaFile is not set',
      );
    }
    const candidates = this.#routes.get(path);
    if (candidates === undefined) throw new HttpError(404, `no such path: ${path}; GET / lists them`);
    const route = candidates.find((one) => one.method === (method === 'HEAD' ? 'GET' : method));
    if (route === undefined) {
      const allow = candidates
        .flatMap((one) => (one.method === 'GET' ? ['GET', 'HEAD'] : [one.method]))
        .join(', ');
      throw new HttpError(405, `${path} allows ${allow}`, { Allow: allow });
    }
    return { route, query: new Query(new URLSearchParams(parameters), route.query) };
  }
}

/** What went wrong inside: what passes by itself is no fault of ours. */
function failure(error: unknown): HttpError {
  const retryable = error instanceof PteropusError && error.retryable;
  return new HttpError(retryable ? 503 : 500, errorText(error));
}

function listenOn(server: Server, host: string, port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', (cause) => {
      reject(
        new RestListenError(`the REST interface cannot listen: ${errorText(cause)}`, {
          object: `${host}:${port}`,
          cause,
        }),
      );
    });
    server.listen(port, host, resolve);
  });
}

function tlsOptions({ certFile, keyFile, clientCaFile }: RestTls): TlsOptions {
  return {
    ...secrets({ certFile, keyFile, clientCaFile }),
    minVersion: 'TLSv1.2',
    ...(clientCaFile === null ? {} : { requestCert: true, rejectUnauthorized: true }),
  };
}

function secrets({ certFile, keyFile, clientCaFile }: RestTls): SecureContextOptions {
  const read = (path: string): string => {
    try {
      return readFileSync(path, 'utf8');
    } catch (cause) {
      throw new InvalidInputError(`cannot be read: ${errorText(cause)}`, { object: path, cause });
    }
  };
  const ca = clientCaFile === null ? {} : { ca: read(clientCaFile) };
  return { cert: read(certFile), key: read(keyFile), ...ca };
}

/** Takes certificates that were renewed, without losing connections. */
function renewing(server: Server, tls: RestTls | null, log: (line: string) => void): Every | null {
  if (tls === null || !('setSecureContext' in server)) return null;
  const stamp = (): string =>
    [tls.certFile, tls.keyFile, ...(tls.clientCaFile === null ? [] : [tls.clientCaFile])]
      .map((path) => statSync(path).mtimeMs)
      .join();
  let known = stamp();
  const secure = server as Server & { setSecureContext(options: SecureContextOptions): void };
  return new Every(CERTIFICATE_CHECK_MS, () => {
    try {
      const now = stamp();
      if (now !== known) secure.setSecureContext(secrets(tls));
      known = now;
    } catch (error) {
      log(`the REST interface keeps its old certificate: ${errorText(error)}`);
    }
    return Promise.resolve();
  });
}
