/**
 * The Kubernetes API as ksr needs it: lists in pages, watches, events. Objects stay as the server sends them: the typed clients
 * drop fields they do not know, and a policy must not lose a field in silence.
 */
import { request as requestHttp } from 'node:http';
import { type RequestOptions, request as requestHttps } from 'node:https';
import { type KubeConfig, Watch } from '@kubernetes/client-node';
import { errorText } from '../common/errors.js';
import { isRecord } from '../objects/document.js';
import { ApiRequestError } from './errors.js';
import type { Resource } from './resources.js';

export type WatchEvent =
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

export class KubeApi {
  readonly #watch: Watch;

  constructor(private readonly config: KubeConfig) {
    this.#watch = new Watch(config);
  }

  get server(): string {
    return this.config.getCurrentCluster()?.server ?? '';
  }

  /** All objects as they are now; `page` is called for each page. Returns their version. Throws ApiRequestError. */
  async list({ path }: Resource, page: (items: readonly unknown[]) => void): Promise<string> {
    let token = '';
    for (;;) {
      const query = `?limit=${PAGE_SIZE}${token === '' ? '' : `&continue=${encodeURIComponent(token)}`}`;
      const answer = await this.#request('GET', `${path}${query}`);
      const { items, metadata } = isRecord(answer) ? answer : {};
      const { resourceVersion, continue: next } = isRecord(metadata) ? metadata : {};
      if (typeof resourceVersion !== 'string') throw new ApiRequestError('is no list', path, null);
      page(Array.isArray(items) ? (items as readonly unknown[]) : []);
      if (typeof next !== 'string' || next === '') return resourceVersion;
      token = next;
    }
  }

  /** Follows changes after `version`. `event` and `end` are called until closed; `end` once. */
  watch(
    { path }: Resource,
    version: string,
    event: (event: WatchEvent) => void,
    end: (end: WatchEnd) => void,
  ): WatchHandle {
    let over = false;
    let stop = (): void => undefined;
    const finish = (result: WatchEnd): void => {
      if (over) return;
      over = true;
      stop();
      end(result);
    };
    const take = (type: string, object: unknown): void => {
      if (over) return;
      try {
        const read = readEvent(type, object, path);
        if ('status' in read)
          finish(read.status === 410 ? { type: 'gone' } : { type: 'failed', error: read });
        else event(read);
      } catch (error) {
        // The library would swallow it.
        finish({ type: 'failed', error: error instanceof Error ? error : new Error(String(error)) });
      }
    };
    const query = { resourceVersion: version, allowWatchBookmarks: true };
    this.#watch
      .watch(path, query, take, (error: unknown) => finish(endOf(error, path)))
      .then(
        (controller) => {
          stop = () => controller.abort();
          if (over) stop();
        },
        (error: unknown) => finish(endOf(error, path)),
      );
    return {
      close: () => {
        over = true;
        stop();
      },
    };
  }

  /** Creates an object; true unless it was there already. Throws ApiRequestError. */
  async create(path: string, object: object): Promise<boolean> {
    try {
      await this.#request('POST', path, object);
      return true;
    } catch (error) {
      if (error instanceof ApiRequestError && error.status === 409) return false;
      throw error;
    }
  }

  async #request(method: 'GET' | 'POST', path: string, body?: object): Promise<unknown> {
    const url = new URL(this.server + path);
    const options: RequestOptions = { method, timeout: TIMEOUT_MS, headers: { accept: 'application/json' } };
    try {
      await this.config.applyToHTTPSOptions(options);
    } catch (cause) {
      throw new ApiRequestError(`no credentials: ${errorText(cause)}`, path, null, cause);
    }
    const text = body === undefined ? null : JSON.stringify(body);
    if (text !== null) options.headers = { ...options.headers, 'content-type': 'application/json' };
    return new Promise((resolve, reject) => {
      const send = url.protocol === 'https:' ? requestHttps : requestHttp;
      const call = send(url, options, (response) => {
        const chunks: Buffer[] = [];
        response.on('data', (chunk: Buffer) => chunks.push(chunk));
        response.on('error', (cause) => reject(new ApiRequestError(cause.message, path, null, cause)));
        response.on('end', () => {
          const status = response.statusCode ?? 0;
          const answer = Buffer.concat(chunks).toString('utf8');
          if (status < 200 || status > 299) {
            reject(new ApiRequestError(`${status} ${messageOf(answer)}`, path, status));
            return;
          }
          try {
            resolve(JSON.parse(answer));
          } catch (cause) {
            reject(new ApiRequestError('answers with no JSON', path, null, cause));
          }
        });
      });
      call.on('timeout', () => call.destroy(new Error(`no answer for ${TIMEOUT_MS} ms`)));
      call.on('error', (cause) => reject(new ApiRequestError(cause.message, path, null, cause)));
      call.end(text ?? undefined);
    });
  }
}

function readEvent(type: string, object: unknown, path: string): WatchEvent | ApiRequestError {
  if (type === 'ERROR') {
    const { code, message } = isRecord(object) ? object : {};
    return new ApiRequestError(
      typeof message === 'string' ? message : 'the watch failed',
      path,
      typeof code === 'number' ? code : null,
    );
  }
  const metadata = isRecord(object) ? object['metadata'] : undefined;
  const version = isRecord(metadata) ? metadata['resourceVersion'] : undefined;
  if (typeof version !== 'string') throw new ApiRequestError('an event has no resourceVersion', path, null);
  if (type === 'BOOKMARK') return { type: 'bookmark', version };
  return { type: type === 'DELETED' ? 'delete' : 'put', object, version };
}

function endOf(error: unknown, path: string): WatchEnd {
  if (error === null || error === undefined) return { type: 'closed' };
  // Silence for a while is no failure: the library asks again where it was.
  if (error instanceof Error && error.name === 'TimeoutError') return { type: 'closed' };
  const status = isErrorWithStatus(error) ? error.statusCode : null;
  if (status === 410) return { type: 'gone' };
  const cause = error instanceof Error && error.cause !== undefined ? `: ${errorText(error.cause)}` : '';
  return { type: 'failed', error: new ApiRequestError(`${errorText(error)}${cause}`, path, status, error) };
}

function isErrorWithStatus(error: unknown): error is { readonly statusCode: number } {
  return error instanceof Error && typeof (error as { statusCode?: unknown }).statusCode === 'number';
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
