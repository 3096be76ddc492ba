/**
 * A thin client of the Kubernetes API: JSON as the server sends it, nothing read into classes and nothing dropped.
 */
import type { IncomingMessage, RequestOptions } from 'node:http';
import { Agent, request } from 'node:https';
import { type KubeAccess, readKubeconfig, tlsOptions, urlOf } from '../../ksr/kubeconfig.js';
import { isRecord } from '../../objects/document.js';
import { ApiError } from './errors.js';

/** A JSON object. */
export type Json = Readonly<Record<string, unknown>>;

export interface ApiObject {
  readonly apiVersion?: string;
  readonly kind?: string;
  readonly metadata: {
    readonly name: string;
    readonly namespace?: string;
    readonly uid?: string;
    readonly resourceVersion?: string;
    readonly generation?: number;
    readonly labels?: Readonly<Record<string, string>>;
    readonly annotations?: Readonly<Record<string, string>>;
    readonly deletionTimestamp?: string;
    readonly deletionGracePeriodSeconds?: number;
    readonly finalizers?: readonly string[];
    readonly ownerReferences?: readonly {
      readonly kind: string;
      readonly name: string;
      readonly uid: string;
      readonly controller?: boolean;
    }[];
  };
  readonly spec?: Json;
  readonly status?: Json;
}

export type Verb = 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';

const TYPES = {
  json: 'application/json',
  merge: 'application/merge-patch+json',
  strategic: 'application/strategic-merge-patch+json',
  /** Server-side apply; JSON is YAML. */
  apply: 'application/apply-patch+yaml',
} as const;

/** Connections at a time: as many as a controller's requests side by side are good for. */
const SOCKETS = 16;

export class ApiClient {
  readonly #agent: Agent;
  readonly #streams: Agent;

  constructor(private readonly access: KubeAccess) {
    const tls = tlsOptions(access);
    this.#agent = new Agent({ keepAlive: true, maxSockets: SOCKETS, ...tls });
    this.#streams = new Agent(tls);
  }

  /** Rejects with InvalidInputError. */
  static async fromKubeconfig(path: string): Promise<ApiClient> {
    return new ApiClient(await readKubeconfig(path));
  }

  get(path: string): Promise<Json> {
    return this.#json('GET', path);
  }

  create(path: string, body: object): Promise<Json> {
    return this.#json('POST', path, body);
  }

  replace(path: string, body: object): Promise<Json> {
    return this.#json('PUT', path, body);
  }

  patch(path: string, body: object, type: 'merge' | 'strategic' = 'merge'): Promise<Json> {
    return this.#json('PATCH', path, body, TYPES[type]);
  }

  /** Server-side apply as `manager`, who takes over what others had set. `query`: more parameters (`dryRun=All`). */
  apply(path: string, body: object, manager: string, query = ''): Promise<Json> {
    const more = query === '' ? '' : `&${query}`;
    return this.#json('PATCH', `${path}?fieldManager=${manager}&force=true${more}`, body, TYPES.apply);
  }

  /** `graceSeconds` 0 = at once, as a kubelet does once a pod has ended. */
  delete(path: string, graceSeconds?: number): Promise<Json> {
    return this.#json('DELETE', path, graceSeconds === undefined ? {} : { gracePeriodSeconds: graceSeconds });
  }

  /** The answer as text. */
  async text(path: string): Promise<string> {
    const response = await this.#send('GET', path);
    return await bodyOf(response);
  }

  /** An answer that does not end: a watch. */
  stream(path: string, signal: AbortSignal): Promise<IncomingMessage> {
    return this.#send('GET', path, undefined, TYPES.json, { agent: this.#streams, signal });
  }

  close(): void {
    this.#agent.destroy();
    this.#streams.destroy();
  }

  async #json(verb: Verb, path: string, body?: object, type: string = TYPES.json): Promise<Json> {
    const text = await bodyOf(await this.#send(verb, path, body, type));
    const value: unknown = JSON.parse(text);
    if (isRecord(value)) return value;
    throw new ApiError('answered with something other than an object', 0, { object: path, value });
  }

  async #send(
    verb: Verb,
    path: string,
    body?: object,
    type: string = TYPES.json,
    extra: RequestOptions = {},
  ): Promise<IncomingMessage> {
    const target = urlOf(this.access, path);
    const payload = body === undefined ? null : Buffer.from(JSON.stringify(body));
    const options: RequestOptions = {
      ...{
        method: verb,
        hostname: target.hostname,
        port: target.port,
        path: `${target.pathname}${target.search}`,
      },
      headers: {
        Accept: 'application/json',
        ...this.access.headers,
        ...(payload === null ? {} : { 'Content-Type': type, 'Content-Length': payload.length }),
      },
      agent: this.#agent,
      ...extra,
    };
    const response = await new Promise<IncomingMessage>((resolve, reject) => {
      const sent = request(options, resolve);
      sent.on('error', (cause) =>
        reject(new ApiError(`no answer: ${cause.message}`, 0, { object: `${verb} ${path}`, cause })),
      );
      sent.end(payload ?? undefined);
    });
    const code = response.statusCode ?? 0;
    if (code < 400) return response;
    throw new ApiError(await messageOf(response), code, { object: `${verb} ${path}` });
  }
}

async function bodyOf(response: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of response) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks).toString('utf8');
}

async function messageOf(response: IncomingMessage): Promise<string> {
  const text = await bodyOf(response);
  try {
    const { message } = JSON.parse(text) as { message?: unknown };
    if (typeof message === 'string') return message;
  } catch {
    // Not every answer comes from the API server itself.
  }
  return `${response.statusCode} ${text.slice(0, 200)}`;
}
