/**
 * The Kubernetes API as ksr needs it: lists in pages, watches, events. Objects stay as the server sends them: a typed client
 * drops fields it does not know, and a policy must not lose a field in silence.
 */
import type { IncomingMessage } from 'node:http';
import { Agent, request } from 'node:https';
import { createInterface } from 'node:readline';
import { errorText } from '../common/errors.js';
import { isRecord } from '../objects/document.js';
import { ApiRequestError } from './errors.js';
import { type KubeAccess, sameTls, tlsOptions, urlOf } from './kubeconfig.js';
import type { Resource } from './resources.js';

export type WatchEvent =
  /** The server follows from here on. */
  | { readonly type: 'opened' }
  | { readonly type: 'put' | 'delete'; readonly object: unknown; readonly version: string }
  /** Nothing happened up to this version. */
  | { readonly type: 'bookmark'; readonly version: string };

/** Why a watch ended: the server closes each after a while; `gone` = the version is kept no longer (410). */
export type WatchEnd =
  | { readonly type: 'closed' | 'gone' }
  | { readonly type: 'failed'; readonly error: Error };

export interface WatchHandle {
  close(): void;
}

const PAGE_SIZE = 500;
const TIMEOUT_MS = 30_000;
/** Bookmarks come every minute, mostly: a watch that is silent for longer may have lost its server, and is opened anew. */
const SILENCE_MS = 150_000;

export class KubeApi {
  #agent: { readonly access: KubeAccess; readonly agent: Agent } | null = null;

  /** The last connection failed, or was refused: credentials may be others now. */
  #failed = false;

  /** `access`: what to connect with; asked `again` after a failure. `silenceMs`: of a watch, see SILENCE_MS. */
  constructor(
    private readonly access: (again: boolean) => Promise<KubeAccess>,
    private readonly silenceMs = SILENCE_MS,
  ) {}

  /** All objects as they are now; `page` is called for each page. Returns their version. Throws ApiRequestError. */
  async list({ path }: Resource, page: (items: readonly unknown[]) => void): Promise<string> {
    let token = '';
    for (;;) {
      const query = `?limit=${PAGE_SIZE}${token === '' ? '' : `&continue=${encodeURIComponent(token)}`}`;
      const answer = await this.#json('GET', `${path}${query}`);
      const { items, metadata } = isRecord(answer) ? answer : {};
      const { resourceVersion, continue: next } = isRecord(metadata) ? metadata : {};
      if (typeof resourceVersion !== 'string') throw new ApiRequestError('is not a list', path, null);
      page(Array.isArray(items) ? (items as readonly unknown[]) : []);
      if (typeof next !== 'string' || next === '') return resourceVersion;
      token = next;
    }
  }

  /** The version of the objects as they are now. Throws ApiRequestError. */
  async version({ path }: Resource): Promise<string> {
    const answer = await this.#json('GET', `${path}?limit=1`);
    const { resourceVersion } = isRecord(answer) && isRecord(answer['metadata']) ? answer['metadata'] : {};
    if (typeof resourceVersion !== 'string') throw new ApiRequestError('is no list', path, null);
    return resourceVersion;
  }

  /** Follows changes after `version`. `event` and `end` are called until closed; `end` once. */
  watch(
    { path }: Resource,
    version: string,
    event: (event: WatchEvent) => void,
    end: (end: WatchEnd) => void,
  ): WatchHandle {
    const abort = new AbortController();
    let over = false;
    const finish = (result: WatchEnd): void => {
      if (over) return;
      over = true;
      abort.abort();
      end(result);
    };
    const fail = (error: unknown): void => finish(endOf(error, path));
    const line = (text: string): void => {
      if (over || text === '') return;
      try {
        event(readEvent(text, path));
      } catch (error) {
        fail(error);
      }
    };
    const query = `watch=true&allowWatchBookmarks=true&resourceVersion=${encodeURIComponent(version)}`;
    this.#send('GET', `${path}?${query}`, null, this.silenceMs, abort.signal)
      .then((response) => {
        const lines = createInterface({ input: response, crlfDelay: Number.POSITIVE_INFINITY });
        lines.on('line', line);
        if (!over) event({ type: 'opened' });
        // Nothing to tell, or nobody there: the next watch shows which.
        response.setTimeout(this.silenceMs, () => finish({ type: 'closed' }));
        response.on('error', (cause) => {
          fail(new ApiRequestError(`the watch broke off: ${cause.message}`, path, null, cause));
        });
        lines.on('error', fail);
        response.on('close', () => finish({ type: 'closed' }));
      })
      .catch(fail);
    return {
      close: () => {
        over = true;
        abort.abort();
      },
    };
  }

  /** Creates an object; true unless it was there already. Throws ApiRequestError. */
  async create(path: string, object: object): Promise<boolean> {
    try {
      await this.#json('POST', path, object);
      return true;
    } catch (error) {
      if (error instanceof ApiRequestError && error.status === 409) return false;
      throw error;
    }
  }

  async #json(method: 'GET' | 'POST', path: string, body: object | null = null): Promise<unknown> {
    const response = await this.#send(method, path, body, TIMEOUT_MS);
    const text = await bodyOf(response, path);
    try {
      return JSON.parse(text);
    } catch (cause) {
      throw new ApiRequestError('answered with something other than JSON', path, null, cause);
    }
  }

  /** The answer's head; its body follows. Throws ApiRequestError. */
  async #send(
    method: string,
    path: string,
    body: object | null,
    silenceMs: number,
    signal?: AbortSignal,
  ): Promise<IncomingMessage> {
    const { access, agent } = await this.#connection();
    const text = body === null ? null : JSON.stringify(body);
    const response = await new Promise<IncomingMessage>((resolve, reject) => {
      const call = request(
        urlOf(access, path),
        {
          ...{ method, agent, timeout: silenceMs },
          headers: {
            accept: 'application/json',
            'user-agent': 'pteropus-ksr',
            ...access.headers,
            ...(text === null
              ? {}
              : { 'content-type': 'application/json', 'content-length': Buffer.byteLength(text) }),
          },
          ...(signal === undefined ? {} : { signal }),
        },
        resolve,
      );
      call.on('timeout', () => call.destroy(new Error(`silent for ${silenceMs} ms`)));
      call.on('error', (cause) => {
        this.#failed = true;
        reject(new ApiRequestError(cause.message, path, null, cause));
      });
      call.end(text ?? undefined);
    });
    const status = response.statusCode ?? 0;
    if (status >= 200 && status <= 299) return response;
    if (status === 401) this.#failed = true;
    throw new ApiRequestError(`${status} ${messageOf(await bodyOf(response, path))}`, path, status);
  }

  /** Connections are kept as long as what they were made with is the same. Throws ApiRequestError. */
  async #connection(): Promise<{ readonly access: KubeAccess; readonly agent: Agent }> {
    let access: KubeAccess;
    try {
      access = await this.access(this.#failed);
      this.#failed = false;
    } catch (cause) {
      throw new ApiRequestError(errorText(cause), 'credentials', null, cause);
    }
    const old = this.#agent;
    if (old !== null && sameTls(old.access, access)) return { access, agent: old.agent };
    const agent = new Agent({ keepAlive: true, ...tlsOptions(access) });
    this.#agent = { access, agent };
    return this.#agent;
  }
}

async function bodyOf(response: IncomingMessage, path: string): Promise<string> {
  const chunks: Buffer[] = [];
  try {
    for await (const chunk of response) chunks.push(chunk as Buffer);
  } catch (cause) {
    throw new ApiRequestError(errorText(cause), path, null, cause);
  }
  return Buffer.concat(chunks).toString('utf8');
}

/** Throws ApiRequestError for what is no event: an error the server tells inside of the watch. */
function readEvent(text: string, path: string): WatchEvent {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    // The end of the connection cut it off: the next watch tells it again.
    throw new ApiRequestError('the watch broke off', path, null, cause);
  }
  const { type, object } = isRecord(value) ? value : {};
  if (type === 'ERROR') {
    const { code, message } = isRecord(object) ? object : {};
    const said = typeof message === 'string' ? message : 'the watch failed';
    throw new ApiRequestError(said, path, typeof code === 'number' ? code : null);
  }
  const metadata = isRecord(object) ? object['metadata'] : undefined;
  const version = isRecord(metadata) ? metadata['resourceVersion'] : undefined;
  if (typeof version !== 'string') throw new ApiRequestError('an event has no resourceVersion', path, null);
  if (type === 'BOOKMARK') return { type: 'bookmark', version };
  return { type: type === 'DELETED' ? 'delete' : 'put', object, version };
}

function endOf(error: unknown, path: string): WatchEnd {
  if (error instanceof ApiRequestError)
    return error.status === 410 ? { type: 'gone' } : { type: 'failed', error };
  return { type: 'failed', error: new ApiRequestError(errorText(error), path, null, error) };
}

function messageOf(answer: string): string {
  try {
    const status: unknown = JSON.parse(answer);
    if (isRecord(status) && typeof status['message'] === 'string') return status['message'];
  } catch {
    // Told as it is.
  }
  return answer.slice(0, 200);
}
