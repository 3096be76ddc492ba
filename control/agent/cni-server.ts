/** Serves the CNI handler as gRPC (proto/cni.proto) on a unix socket that only root may use. */
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
import { CNI } from '../cni/codes.js';
import { type CniReply, type CniRequest, failureReply } from '../cni/messages.js';
import { errorText } from '../common/errors.js';
import { listenPrivately } from '../common/listen.js';

/** What the server passes calls on to (CniHandler, or a test's double). */
export interface CniService {
  add(request: CniRequest): Promise<CniReply>;
  delete(request: CniRequest): Promise<CniReply>;
  check(request: CniRequest): Promise<CniReply>;
  status(request: CniRequest): Promise<CniReply>;
  gc(request: CniRequest): Promise<CniReply>;
}

export interface CniServer {
  /** Ends all connections and removes the socket. */
  close(): Promise<void>;
}

const PROTO = fileURLToPath(new URL('../../../../proto/cni.proto', import.meta.url));

/** Throws SocketInUseError. */
export async function serveCni(service: CniService, path: string): Promise<CniServer> {
  const server = new Server();
  server.addService(definition(), {
    Add: unary((request) => service.add(request)),
    Delete: unary((request) => service.delete(request)),
    Check: unary((request) => service.check(request)),
    Status: unary((request) => service.status(request)),
    Gc: unary((request) => service.gc(request)),
  } satisfies UntypedServiceImplementation);
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
  const loaded = loadPackageDefinition(loadSync(PROTO, { defaults: true, enums: String, longs: Number }));
  const found = loaded as unknown as {
    readonly pteropus: { readonly cni: { readonly RemoteCNI: { readonly service: ServiceDefinition } } };
  };
  return found.pteropus.cni.RemoteCNI.service;
}

function unary(serve: (request: CniRequest) => Promise<CniReply>): handleUnaryCall<CniRequest, CniReply> {
  return (call, callback) => {
    serve(call.request).then(
      (reply) => callback(null, reply),
      (error: unknown) => callback(null, failureReply(CNI.failed, errorText(error))),
    );
  };
}
