/**
 * One connection to one etcd server, with etcd3's typed clients on it. etcd3's own pool makes a connection for each service,
 * sends a transaction again when its answer was lost, and closes all connections when one stream breaks: not for us.
 */
import { createRequire } from 'node:module';
import * as grpc from '@grpc/grpc-js';
import { loadSync } from '@grpc/proto-loader';
// The package as a whole reads its protocol files when it is loaded: every command would wait for it.
import { castGrpcError } from 'etcd3/lib/errors.js';
import { KVClient, LeaseClient, WatchClient } from 'etcd3/lib/rpc.js';

type Callable = ConstructorParameters<typeof KVClient>[0];
type Service = Parameters<Callable['exec']>[0];
type Call = (
  payload: unknown,
  metadata: grpc.Metadata,
  options: grpc.CallOptions,
  done: (error: Error | null, response: unknown) => void,
) => void;

const OPTIONS: grpc.ChannelOptions = {
  'grpc.max_receive_message_length': -1,
  'grpc.max_send_message_length': -1,
  // A peer that vanished without a word is noticed in 15 s.
  'grpc.keepalive_time_ms': 10_000,
  'grpc.keepalive_timeout_ms': 5000,
  // Channels of one address are shared otherwise: a new one would get the broken connection.
  'grpc.use_local_subchannel_pool': 1,
};

export class EtcdChannel {
  readonly kv: KVClient;
  readonly lease: LeaseClient;
  readonly watch: WatchClient;
  readonly #channel: grpc.Channel;
  readonly #address: string;
  readonly #clients = new Map<string, grpc.Client>();

  /** `endpoint`: http(s)://host:port. Connects with the first call. */
  constructor(endpoint: string, credentials: grpc.ChannelCredentials) {
    this.#address = endpoint.replace(/^https?:\/\//, '');
    this.#channel = new grpc.Channel(this.#address, credentials, OPTIONS);
    const callable: Callable = {
      exec: <T>(service: Service, method: string, payload: unknown, options?: grpc.CallOptions) =>
        this.#call(service, method, payload, options ?? {}) as Promise<T>,
      withConnection: async (service, use) =>
        use({ resource: null, client: this.#client(service), metadata: new grpc.Metadata() }),
      markFailed: () => undefined,
      callOptionsFactory: undefined,
    };
    this.kv = new KVClient(callable);
    this.lease = new LeaseClient(callable);
    this.watch = new WatchClient(callable);
  }

  /** Calls and streams under way fail. */
  close(): void {
    this.#channel.close();
  }

  #call(service: Service, method: string, payload: unknown, options: grpc.CallOptions): Promise<unknown> {
    return new Promise((resolve, reject) => {
      const client = this.#client(service);
      const call = (client as unknown as Readonly<Record<string, Call>>)[method] as Call;
      call.call(client, payload, new grpc.Metadata(), options, (error, response) => {
        if (error === null) resolve(response);
        else reject(castGrpcError(error));
      });
    });
  }

  #client(service: Service): grpc.Client {
    const found = this.#clients.get(service);
    if (found !== undefined) return found;
    const made = new (serviceOf(service))(this.#address, grpc.credentials.createInsecure(), {
      channelOverride: this.#channel,
    });
    this.#clients.set(service, made);
    return made;
  }
}

let loaded: grpc.GrpcObject | null = null;

function serviceOf(service: Service): grpc.ServiceClientConstructor {
  loaded ??= grpc.loadPackageDefinition(
    loadSync(createRequire(import.meta.url).resolve('etcd3/proto/rpc.proto'), {
      ...{ keepCase: true, longs: String, enums: String, defaults: true, oneofs: true },
    }),
  );
  const found = (loaded['etcdserverpb'] as grpc.GrpcObject)[service];
  return found as grpc.ServiceClientConstructor;
}
