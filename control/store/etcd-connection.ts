/**
 * The way to one of several etcd endpoints: one at a time, the next when it fails, with a deadline on every call and named
 * errors. A new connection reads the certificate files again, so that renewed ones are taken.
 */
import { readFileSync } from 'node:fs';
import { type ChannelCredentials, credentials } from '@grpc/grpc-js';
import * as etcd3 from 'etcd3/lib/errors.js';
import { errorText, InvalidInputError } from '../common/errors.js';
import {
  LeaseNotFoundError,
  StoreClosedError,
  StoreRefusedError,
  StoreUnavailableError,
  StoreWriteError,
} from './errors.js';
import { EtcdChannel } from './etcd-channel.js';

export interface EtcdEndpoints {
  /** `http://host:port` or `https://host:port`, all of one kind. */
  readonly endpoints: readonly string[];
  /** PEM files. Without caFile the system's authorities are trusted. */
  readonly caFile?: string;
  readonly certFile?: string;
  readonly keyFile?: string;
}

/** What one attempt of a call may take, milliseconds. */
const ATTEMPT_MS = 5000;
/** How long calls and watches on a slow endpoint may go on after the next ones have left it, milliseconds. */
const LINGER_MS = 30_000;
const PAUSE_MS = { first: 10, most: 1000 };

export type Repeat =
  /** Doing it twice does no harm. */
  | 'always'
  /** Only if it certainly was not sent. */
  | 'unsent';

export class EtcdConnection {
  readonly name: string;
  #client: EtcdChannel | null = null;
  #index = 0;
  #closed = false;
  /** Rejects what waits when the connection is closed. */
  #closing: (() => void)[] = [];

  constructor(
    private readonly spec: EtcdEndpoints,
    private readonly timeoutMs: number,
  ) {
    this.name = spec.endpoints.join(',');
    // Spread over the endpoints, as clients of one program would otherwise all meet at the first.
    this.#index = Math.floor(Math.random() * spec.endpoints.length);
  }

  get closed(): boolean {
    return this.#closed;
  }

  /** The client in use. Throws StoreClosedError, InvalidInputError (a certificate file cannot be read). */
  client(): EtcdChannel {
    if (this.#closed) throw this.#closedError();
    const endpoint = this.spec.endpoints[this.#index % this.spec.endpoints.length] ?? '';
    this.#client ??= new EtcdChannel(endpoint, credentialsOf(this.spec, endpoint));
    return this.#client;
  }

  /** This client's endpoint failed: the next call takes another one. */
  failed(client: EtcdChannel, error: unknown): void {
    if (client !== this.#client) return;
    const slow = error instanceof etcd3.GRPCDeadlineExceededError;
    // Slow is not gone: where there is no other endpoint, a new connection would only break what the old one still carries.
    if (slow && this.spec.endpoints.length === 1) return;
    this.#client = null;
    this.#index++;
    if (slow) setTimeout(() => client.close(), LINGER_MS).unref();
    else client.close();
  }

  /**
   * Runs one call, again where that is safe, until it succeeds or the time is over. Throws StoreUnavailableError,
   * StoreClosedError, LeaseNotFoundError, StoreRefusedError, StoreWriteError.
   */
  async call<T>(
    repeat: Repeat,
    action: (client: EtcdChannel, options: { readonly deadline: number }) => Promise<T>,
  ): Promise<T> {
    // By the monotonic clock, since the other may be set meanwhile; gRPC asks for a time of day, and makes it a timeout at once.
    const end = performance.now() + this.timeoutMs;
    for (let pause = PAUSE_MS.first; ; pause = Math.min(pause * 2, PAUSE_MS.most)) {
      const client = this.client();
      try {
        return await action(client, {
          deadline: Date.now() + Math.min(ATTEMPT_MS, end - performance.now()),
        });
      } catch (error) {
        if (this.#closed) throw this.#closedError();
        if (!isTransport(error)) throw this.#named(error);
        this.failed(client, error);
        const again = repeat === 'always' || certainlyUnsent(error);
        if (!again || performance.now() + pause >= end) {
          const text = again
            ? `no answer for ${this.timeoutMs} ms`
            : 'the connection broke before the answer';
          throw new StoreUnavailableError(`${text}: ${errorText(error)}`, this.name, error);
        }
        await this.pause(pause);
      }
    }
  }

  /** Waits; ends at once with StoreClosedError when the connection is closed. */
  async pause(milliseconds: number): Promise<void> {
    await new Promise<void>((resolve) => {
      const done = (): void => {
        clearTimeout(timer);
        this.#closing = this.#closing.filter((other) => other !== done);
        resolve();
      };
      const timer = setTimeout(done, milliseconds);
      this.#closing.push(done);
    });
    if (this.#closed) throw this.#closedError();
  }

  close(): void {
    this.#closed = true;
    this.#client?.close();
    this.#client = null;
    for (const done of this.#closing) done();
  }

  #closedError(): StoreClosedError {
    return new StoreClosedError('the store is closed', { object: this.name });
  }

  #named(error: unknown): Error {
    const details = { object: this.name, cause: error };
    const text = errorText(error);
    if (error instanceof etcd3.EtcdLeaseInvalidError) return new LeaseNotFoundError('no such lease', details);
    if (error instanceof etcd3.EtcdPermissionDeniedError || error instanceof etcd3.GRPCUnauthenticatedError)
      return new StoreRefusedError(`refuses us: ${text}`, details);
    // Out of space, or too many requests at once.
    if (error instanceof etcd3.GRPCResourceExhastedError)
      return new StoreWriteError(text, { ...details, retryable: true });
    return new StoreRefusedError(text, details);
  }
}

/** The endpoint or the way to it failed, not the request. */
function isTransport(error: unknown): boolean {
  return (
    error instanceof etcd3.GRPCUnavailableError ||
    error instanceof etcd3.GRPCDeadlineExceededError ||
    error instanceof etcd3.GRPCCancelledError ||
    error instanceof etcd3.GRPCInternalError ||
    (error instanceof etcd3.GRPCUnknownError && !errorText(error).includes('etcdserver'))
  );
}

/** grpc-js says so when a call never had a connection. */
function certainlyUnsent(error: unknown): boolean {
  return /No connection established|Name resolution failed|Channel has been shut down/.test(errorText(error));
}

function credentialsOf({ caFile, certFile, keyFile }: EtcdEndpoints, endpoint: string): ChannelCredentials {
  if (!endpoint.startsWith('https:')) return credentials.createInsecure();
  return credentials.createSsl(
    caFile === undefined ? null : pem(caFile),
    keyFile === undefined ? null : pem(keyFile),
    certFile === undefined ? null : pem(certFile),
  );
}

function pem(path: string): Buffer {
  try {
    return readFileSync(path);
  } catch (cause) {
    // A renewal may be replacing it right now.
    throw new InvalidInputError(`cannot be read: ${errorText(cause)}`, {
      object: path,
      cause,
      retryable: true,
    });
  }
}
