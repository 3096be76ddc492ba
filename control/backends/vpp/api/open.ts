/** Connects to a running VPP. */
import type { VppApi } from './api.js';
import { type ClientParts, VppClient } from './client.js';
import { MessageCodecs } from './codec/message.js';
import { ApiSchemaError, VppConnectError, VppLostError } from './errors.js';
import { readPid, readWelcome, type Welcome, writeHello, writePing } from './handshake.js';
import { connect, Link } from './link.js';
import { loadApiDir, parseApiJson } from './load.js';
import { apiDirs } from './locate.js';
import type { ApiSchema } from './schema.js';

export interface OpenOptions {
  /** VPP's API socket (`socksvr { socket-name … }`). */
  readonly socket: string;
  /** Folder of the API files; absent: beside the running VPP, in the usual places, and else as VPP tells them itself. */
  readonly apiDir?: string;
  /** Instead of reading files. */
  readonly schema?: ApiSchema;
  /** Shown by VPP in `show api clients`; 63 bytes at most. */
  readonly name: string;
  /** How long a request waits for its reply once all before it are answered. Default 30,000. */
  readonly timeoutMilliseconds?: number;
}

export const DEFAULT_TIMEOUT = 30_000;
/** A VPP that has just begun may load plugins for seconds after its socket is there. */
const HANDSHAKE_TIMEOUT = 15_000;

/**
 * Throws VppConnectError (retryable when there is no VPP yet), ApiSchemaError when the descriptions are missing or cannot be read,
 * MissingMessageError when they are those of another VPP.
 */
export async function openVppApi(options: OpenOptions): Promise<VppApi> {
  return await openVppClient(options);
}

/** As openVppApi; the client tells more: its codecs, and VPP's table of messages. */
export async function openVppClient(options: OpenOptions): Promise<VppClient> {
  const first = new FirstMessages();
  const link = new Link(await connect(options.socket), first);
  try {
    link.send((into) => writeHello(into, options.name));
    const welcome = readWelcome(await first.next());
    const ping = welcome.messages.get('control_ping');
    if (ping === undefined)
      throw new VppConnectError('no VPP: it knows no control_ping', { object: options.socket });
    link.send((into) => writePing(into, ping.id, welcome.clientIndex, 1));
    const pid = readPid(await first.next());
    const schema = options.schema ?? (await findSchema(options.apiDir, pid, link, welcome, first));
    const codecs = new MessageCodecs(schema);
    const timeoutMilliseconds = options.timeoutMilliseconds ?? DEFAULT_TIMEOUT;
    return await start({ link, codecs, welcome, pid, timeoutMilliseconds }, first);
  } catch (error) {
    link.end(new VppLostError('the connection was closed'));
    throw error;
  }
}

/** A client over a channel that has said who it is. */
export async function start(parts: ClientParts, first: FirstMessages): Promise<VppClient> {
  const client = new VppClient(parts);
  first.handOver(client);
  const { version } = await client.request('show_version');
  client.version = typeof version === 'string' ? version : '';
  return client;
}

/** Throws ApiSchemaError. */
async function findSchema(
  given: string | undefined,
  pid: number,
  link: Link,
  welcome: Welcome,
  first: FirstMessages,
): Promise<ApiSchema> {
  if (given !== undefined) return loadApiDir(given);
  const tried: string[] = [];
  for (const dir of apiDirs(pid)) {
    const schema = loadApiDir(dir);
    if (fits(schema, welcome)) return schema;
    tried.push(dir);
  }
  const entry = welcome.messages.get('get_api_json');
  if (entry === undefined) {
    throw new ApiSchemaError('the API files of the VPP in use are not found', { value: tried });
  }
  // The same form as control_ping, and its reply is: id, context, retval, text.
  link.send((into) => writePing(into, entry.id, welcome.clientIndex, 2));
  const reply = await first.next();
  return parseApiJson(reply.toString('utf8', Math.min(14, reply.length)).replace(/\0+$/, ''));
}

/** Whether the files are of this VPP: all messages they share have the same form. */
function fits(schema: ApiSchema, welcome: Welcome): boolean {
  for (const [name, { crc }] of welcome.messages) {
    const described = schema.messages.get(name);
    if (described !== undefined && described.crc !== crc) return false;
  }
  return true;
}

/** Takes what comes before there is a client. Events cannot come yet: none has been asked for. */
export class FirstMessages {
  #client: VppClient | undefined;
  readonly #waiting: { resolve: (message: Buffer) => void; reject: (error: Error) => void }[] = [];
  #lost: Error | undefined;

  handOver(client: VppClient): void {
    this.#client = client;
    if (this.#lost !== undefined) client.onLost(this.#lost);
  }

  next(): Promise<Buffer> {
    const lost = this.#lost;
    if (lost !== undefined) return Promise.reject(lost);
    return new Promise((resolve, reject) => {
      const timer = setTimeout(
        () => reject(new VppConnectError(`no answer in ${HANDSHAKE_TIMEOUT} ms`, { retryable: true })),
        HANDSHAKE_TIMEOUT,
      );
      this.#waiting.push({
        resolve: (message) => {
          clearTimeout(timer);
          resolve(message);
        },
        reject: (error) => {
          clearTimeout(timer);
          reject(error);
        },
      });
    });
  }

  message(bytes: Buffer, start: number, end: number): void {
    if (this.#client !== undefined) this.#client.onMessage(bytes, start, end);
    else this.#waiting.shift()?.resolve(bytes.subarray(start, end));
  }

  lost(reason: Error): void {
    this.#lost = reason;
    this.#client?.onLost(reason);
    for (const { reject } of this.#waiting.splice(0)) reject(reason);
  }
}
