/** Serves CNI commands as gRPC (proto/cni.proto) on a unix socket that only root may use. */
import { createServer, type Socket } from 'node:net';
import { fileURLToPath } from 'node:url';
import {
  type handleUnaryCall,
  loadPackageDefinition,
  Server,
  ServerCredentials,
  type ServiceDefinition,
  type UntypedServiceImplementation,
} from '@grpc/grpc-js';
import { loadSync } from '@grpc/proto-loader';
import { type Invocation, invoke } from '../cni/invoke.js';
import type { CniService } from '../cni/messages.js';
import { listenPrivately } from '../common/listen.js';

export interface CniServer {
  /** Ends all connections and removes the socket. */
  close(): Promise<void>;
}

const PROTO = fileURLToPath(new URL('../../../../proto/cni.proto', import.meta.url));

/** Throws SocketInUseError. */
export async function serveCni(service: CniService, path: string): Promise<CniServer> {
  const server = new Server();
  server.addService(definition(), { Invoke: answering(service) } satisfies UntypedServiceImplementation);
  // gRPC is given connections of a socket that we opened, since it would open one for everybody.
  const injector = server.createConnectionInjector(ServerCredentials.createInsecure());
  const sockets = new Set<Socket>();
  const listener = createServer((socket) => {
    sockets.add(socket);
    socket.on('close', () => sockets.delete(socket));
    socket.on('error', () => socket.destroy());
    injector.injectConnection(socket);
  });
  await listenPrivately(listener, path);
  return {
    close: async () => {
      const closed = new Promise<void>((resolve) => listener.close(() => resolve()));
      server.forceShutdown();
      for (const socket of sockets) socket.destroy();
      await closed;
    },
  };
}

function definition(): ServiceDefinition {
  const loaded = loadPackageDefinition(loadSync(PROTO, { defaults: true }));
  const found = loaded as unknown as {
    readonly pteropus: { readonly cni: { readonly Cni: { readonly service: ServiceDefinition } } };
  };
  return found.pteropus.cni.Cni.service;
}

/** The message Outcome. */
interface OutcomeMessage {
  readonly exit: number;
  readonly stdout: Uint8Array;
}

function answering(service: CniService): handleUnaryCall<Invocation, OutcomeMessage> {
  return (call, callback) => {
    invoke(service, call.request).then(
      ({ exit, stdout }) => callback(null, { exit, stdout: Buffer.from(stdout) }),
      (error: unknown) => callback(error instanceof Error ? error : new Error(String(error))),
    );
  };
}
