/**
 * A server that speaks VPP's protocol and does what a test tells it to, wrong things too. It knows the messages of the schema it is
 * given, in the form given there, answers every request with zeros (retval 0) unless told otherwise, and keeps what it was asked.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Fields } from '../api.js';
import { Writer } from '../codec/bytes.js';
import { type MessageCodec, MessageCodecs } from '../codec/message.js';
import { Deframer, frame } from '../framing.js';
import type { ApiSchema } from '../schema.js';

/** A request that has come. What is sent back goes out in the order of the calls. */
export interface PeerRequest {
  readonly message: string;
  readonly fields: Fields;
  readonly context: number;
  /** Sends the reply of the request's service (or `message`) with the request's context. */
  reply(fields?: Fields, message?: string): void;
  /** Sends one of a dump's details. */
  details(fields?: Fields): void;
  /** Sends an event. */
  event(message: string, fields?: Fields): void;
  /** Sends bytes as they are, without a header of ours. */
  raw(bytes: Uint8Array): void;
  /** The bytes of a message, for tests that spoil them. */
  encode(message: string, fields?: Fields): Buffer;
  /** Ends the connection at once. */
  drop(): void;
}

/** What happens when a message comes. May answer later, or never. */
export type Handler = (request: PeerRequest) => void;

export interface PeerOptions {
  readonly schema: ApiSchema;
  /** Told in `show_version`. Default `26.06`. */
  readonly version?: string;
  /** Told in `control_ping_reply`. */
  readonly pid?: number;
  /** Messages the peer does not have, though the schema describes them. */
  readonly without?: readonly string[];
  /** Messages of another form: name → CRC (eight hexadecimal digits). */
  readonly crcs?: Readonly<Record<string, string>>;
}

const SOCKCLNT_CREATE = 15;
const SOCKCLNT_CREATE_REPLY = 16;
const CLIENT_INDEX = 0x80000001;

/** Starts listening. */
export async function scriptedPeer(options: PeerOptions): Promise<ScriptedPeer> {
  const peer = new ScriptedPeer(options);
  await peer.listen();
  return peer;
}

export class ScriptedPeer {
  /** Path of the socket. */
  readonly socket: string;
  /** Every request since the start, pings and version too. */
  readonly requests: PeerRequest[] = [];
  readonly codecs: MessageCodecs;
  readonly #dir = mkdtempSync(join(tmpdir(), 'pteropus-peer-'));
  readonly #options: PeerOptions;
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  readonly #handlers = new Map<string, Handler>();
  readonly #ids: ReadonlyMap<string, number>;
  readonly #names: ReadonlyMap<number, string>;

  constructor(options: PeerOptions) {
    this.#options = options;
    this.codecs = new MessageCodecs(options.schema);
    this.socket = join(this.#dir, 'api.sock');
    const ids = [...options.schema.messages.keys()].map((name, i) => [name, idOf(name, i)] as const);
    this.#ids = new Map(ids);
    this.#names = new Map(ids.map(([name, id]) => [id, name]));
    this.#server = createServer((socket) => this.#accept(socket));
    this.on('show_version', (request) =>
      request.reply({ program: 'vpe', version: options.version ?? '26.06' }),
    );
    this.on('control_ping', (request) => request.reply({ vpe_pid: options.pid ?? 4711 }));
    this.on('sockclnt_delete', (request) => {
      request.reply({ response: 1 });
      request.drop();
    });
  }

  listen(): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#server.once('error', reject);
      this.#server.listen(this.socket, resolve);
    });
  }

  /** Says what happens when this message comes, from now on. */
  on(message: string, handler: Handler): this {
    this.#handlers.set(message, handler);
    return this;
  }

  /** Requests of one name that have come. */
  asked(message: string): readonly PeerRequest[] {
    return this.requests.filter((request) => request.message === message);
  }

  /** Reads nothing more, as a VPP that is busy; `resume` goes on. */
  pause(): void {
    for (const socket of this.#sockets) socket.pause();
  }

  resume(): void {
    for (const socket of this.#sockets) socket.resume();
  }

  /** Ends all connections, as a VPP that dies. New ones are taken. */
  drop(): void {
    for (const socket of this.#sockets) socket.destroy();
  }

  async close(): Promise<void> {
    this.drop();
    await new Promise((resolve) => this.#server.close(resolve));
    rmSync(this.#dir, { recursive: true, force: true });
  }

  #accept(socket: Socket): void {
    const deframer = new Deframer();
    this.#sockets.add(socket);
    socket.on('close', () => this.#sockets.delete(socket));
    socket.on('error', () => socket.destroy());
    socket.on('data', (chunk: Buffer) =>
      deframer.push(chunk, (bytes, start, end) => this.#take(socket, bytes.subarray(start, end))),
    );
  }

  #take(socket: Socket, bytes: Buffer): void {
    const id = bytes.readUInt16BE(0);
    if (id === SOCKCLNT_CREATE) {
      socket.write(frame(this.#welcome(bytes.readUInt32BE(2))));
      return;
    }
    const name = this.#names.get(id);
    // VPP does not answer what it does not know, nor what comes with a wrong client index.
    if (name === undefined || !this.#has(name) || bytes.readUInt32BE(2) !== CLIENT_INDEX) return;
    const codec = this.codecs.get(name);
    const request = this.#request(
      socket,
      codec,
      codec.decode(bytes),
      bytes.readUInt32BE(codec.contextAt ?? 2),
    );
    this.requests.push(request);
    (this.#handlers.get(name) ?? answerWithZeros)(request);
  }

  #request(socket: Socket, codec: MessageCodec, fields: Fields, context: number): PeerRequest {
    const service = this.#options.schema.services.get(codec.name) ?? {};
    const send = (message: string | undefined, values: Fields | undefined) => {
      if (message === undefined) throw new Error(`${codec.name} has no such answer`);
      socket.write(frame(this.#encode(message, context, values)));
    };
    return {
      message: codec.name,
      fields,
      context,
      reply: (values, message = service.reply) => send(message, values),
      details: (values) => send(service.details, values),
      event: (message, values) => send(message, values),
      raw: (bytes) => {
        socket.write(bytes);
      },
      encode: (message, values) => this.#encode(message, context, values),
      drop: () => {
        socket.end();
      },
    };
  }

  #encode(message: string, context: number, fields: Fields | undefined): Buffer {
    const writer = new Writer();
    const id = this.#ids.get(message) ?? 0xffff;
    this.codecs.get(message).encode(writer, id, CLIENT_INDEX, context, fields);
    return writer.bytes.subarray(0, writer.length);
  }

  #has(message: string): boolean {
    return this.#options.without?.includes(message) !== true;
  }

  #welcome(context: number): Buffer {
    const entries = [...this.#options.schema.messages.values()]
      .filter(({ name }) => this.#has(name))
      .map(({ name, crc }) => {
        const entry = Buffer.alloc(66);
        entry.writeUInt16BE(this.#ids.get(name) ?? 0);
        entry.write(`${name}_${this.#options.crcs?.[name] ?? crc}`, 2);
        return entry;
      });
    const head = Buffer.alloc(20);
    head.writeUInt16BE(SOCKCLNT_CREATE_REPLY);
    head.writeUInt32BE(context, 6);
    head.writeUInt32BE(CLIENT_INDEX, 14);
    head.writeUInt16BE(entries.length, 18);
    return Buffer.concat([head, ...entries]);
  }
}

/** The ids that are fixed in VPP, and others that are not those of the last run. */
function idOf(name: string, i: number): number {
  return name === 'sockclnt_create'
    ? SOCKCLNT_CREATE
    : name === 'sockclnt_create_reply'
      ? SOCKCLNT_CREATE_REPLY
      : 100 + i;
}

function answerWithZeros(request: PeerRequest): void {
  try {
    request.reply();
  } catch {
    // A dump without a reply of its own: the ping behind it says that it is over.
  }
}
