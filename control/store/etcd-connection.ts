/**
 * The way to one of several etcd endpoints: one at a time, the next when it fails, with a deadline on every call and named
 * errors. A new connection reads the certificate files again, so that renewed ones are taken.
 */
import { readFileSync } from 'node:fs';
import * as etcd3 from 'etcd3';
import { Etcd3, type IOptions } from 'etcd3';
import { errorText, InvalidInputError } from '../common/errors.js';
import {
  LeaseNotFoundError,
  StoreClosedError,
  StoreRefusedError,
  StoreUnavailableError,
  StoreWriteError,
} from './errors.js';

export interface EtcdEndpoints {
  /** `http://host:port` or `https://host:port`, all of one kind. */
  readonly endpoints: readonly string[];
  /** PEM files. Without caFile the system's authorities are trusted; a certificate of ours needs caFile. */
  readonly caFile?: string;
  readonly certFile?: string;
  readonly keyFile?: string;
}

/** What one attempt of a call may take, milliseconds. */
const ATTEMPT_MS = 5000;
const PAUSE_MS = { first: 10, most: 1000 };

/** Retries and circuit breakers are ours: etcd3's would send a transaction twice. */
const NO_POLICY: NonNullable<NonNullable<IOptions['faultHandling']>['global']> = {
  _altReturn: undefined as never,
  execute: async (action) => action({ signal: new AbortController().signal }),
  onSuccess: () => ({ dispose: () => undefined }),
  onFailure: () => ({ dispose: () => undefined }),
};

export type Repeat =
  /** Doing it twice does no harm. */
  | 'always'
  /** Only if it certainly was not sent. */
  | 'unsent';

export class EtcdConnection {
  readonly name: string;
  #client: Etcd3 | null = null;
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
  client(): Etcd3 {
    if (this.#closed) throw this.#closedError();
    this.#client ??= new Etcd3({
      hosts: this.spec.endpoints[this.#index % this.spec.endpoints.length] ?? '',
      ...credentialsOf(this.spec),
      grpcOptions: {
        'grpc.max_receive_message_length': -1,
        'grpc.max_send_message_length': -1,
        // A peer that vanished without a word is noticed in 15 s.
        'grpc.keepalive_time_ms': 10_000,
        'grpc.keepalive_timeout_ms': 5000,
        // Channels of one address are shared otherwise: a new client would get the broken connection.
        'grpc.use_local_subchannel_pool': 1,
      },
      faultHandling: { global: NO_POLICY, host: () => NO_POLICY },
    });
    return this.#client;
  }

  /** This client's endpoint failed: the next call takes another one. */
  failed(client: Etcd3): void {
    if (client !== this.#client) return;
    this.#client = null;
    this.#index++;
    client.close();
  }

  /**
   * Runs one call, again where that is safe, until it succeeds or the time is over. Throws StoreUnavailableError,
   * StoreClosedError, LeaseNotFoundError, StoreRefusedError, StoreWriteError.
   */
  async call<T>(
    repeat: Repeat,
    action: (client: Etcd3, options: { readonly deadline: number }) => Promise<T>,
  ): Promise<T> {
    const end = Date.now() + this.timeoutMs;
    for (let pause = PAUSE_MS.first; ; pause = Math.min(pause * 2, PAUSE_MS.most)) {
      const client = this.client();
      try {
        return await action(client, { deadline: Math.min(Date.now() + ATTEMPT_MS, end) });
      } catch (error) {
        if (this.#closed) throw this.#closedError();
        if (!isTransport(error)) throw this.#named(error);
        this.failed(client);
        const again = repeat === 'always' || certainlyUnsent(error);
        if (!again || Date.now() + pause >= end) {
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
export function isTransport(error: unknown): boolean {
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

function credentialsOf({ caFile, certFile, keyFile }: EtcdEndpoints): Pick<IOptions, 'credentials'> {
  if (caFile === undefined) return {};
  const own =
    certFile === undefined || keyFile === undefined
      ? {}
      : { certChain: pem(certFile), privateKey: pem(keyFile) };
  return { credentials: { rootCertificate: pem(caFile), ...own } };
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
