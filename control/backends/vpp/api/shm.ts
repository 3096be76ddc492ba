/**
 * VPP's API through shared memory, by VPP's own client library: the same requests and replies as over the socket, for whoever may not
 * have one. The library is process-global, so there is one such connection in a process.
 */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { loadNative, type VppChannel } from '../../../../native/index.js';
import type { VppApi } from './api.js';
import { Writer } from './codec/bytes.js';
import { MessageCodecs } from './codec/message.js';
import { ApiSchemaError, VppConnectError, VppLostError } from './errors.js';
import { type MessageEntry, readPid, type Welcome, writePing } from './handshake.js';
import type { Channel, LinkEvents } from './link.js';
import { loadApiDir } from './load.js';
import { apiDirs } from './locate.js';
import { DEFAULT_TIMEOUT, FirstMessages, start } from './open.js';
import type { ApiSchema } from './schema.js';

export interface ShmOptions {
  /** Path of VPP's libvppapiclient.so. */
  readonly library: string;
  /** Of VPP's configuration (`api-segment { prefix }`); '' = none. */
  readonly prefix: string;
  /** Folder of the API files; absent: beside the running VPP, and in the usual places. */
  readonly apiDir?: string;
  /** Instead of reading files. */
  readonly schema?: ApiSchema;
  /** Shown by VPP in `show api clients`. */
  readonly name: string;
  /** As for the socket. */
  readonly timeoutMilliseconds?: number;
}

const SHARED = '/dev/shm';
/** The library waits for ever where there is no VPP, and half a minute at most where one has died. */
const CONNECT_MS = 40_000;
/** Shared memory says nothing when VPP dies: its process is looked for. */
const WATCH_MS = 200;
/** `control_ping`, whose form has never changed. */
const PING = 'control_ping_51077d14';

/** Throws VppConnectError (retryable where VPP may come), NativeError for the library, ApiSchemaError. */
export async function openVppShm(options: ShmOptions): Promise<VppApi> {
  const { library, prefix, name } = options;
  for (const region of ['global_vm', 'vpe-api']) {
    const path = join(SHARED, prefix === '' ? region : `${prefix}-${region}`);
    if (!existsSync(path))
      throw new VppConnectError('VPP has no such memory', { object: path, retryable: true });
  }
  if (stuck)
    throw new VppConnectError('the client library waits for a VPP that never answered', { object: prefix });
  await previous;
  const first = new FirstMessages();
  const link = await ShmLink.open({ library, prefix, name }, first);
  try {
    const ping = link.indexOf(PING);
    if (ping < 0) throw new VppConnectError('no VPP: it knows no control_ping', { object: prefix });
    writePing(link.out, ping, 0, 1);
    link.commit(0);
    const pid = readPid(await first.next());
    link.watch(pid);
    const schema = options.schema ?? findSchema(options.apiDir, pid, link);
    const welcome: Welcome = { clientIndex: 0, messages: messagesOf(schema, link) };
    const timeoutMilliseconds = options.timeoutMilliseconds ?? DEFAULT_TIMEOUT;
    return await start({ link, codecs: new MessageCodecs(schema), welcome, pid, timeoutMilliseconds }, first);
  } catch (error) {
    link.end(new VppLostError('the connection was closed'));
    throw error;
  }
}

/** Resolves when the connection before is gone: until then the library has room for none. */
let previous: Promise<void> = Promise.resolve();

/** Whether it waits for ever: then only another process can connect. */
let stuck = false;

class ShmLink implements Channel {
  /** Its library says it. */
  readonly farewell = null;
  readonly out = new Writer();
  #events: LinkEvents | null;
  #watch: NodeJS.Timeout | undefined;

  private constructor(
    private readonly channel: VppChannel,
    readonly gone: Promise<void>,
    events: LinkEvents,
  ) {
    this.#events = events;
  }

  static open({ library, prefix, name }: ShmOptions, events: LinkEvents): Promise<ShmLink> {
    return new Promise((resolve, reject) => {
      let tellGone = (): void => undefined;
      const gone = new Promise<void>((done) => {
        tellGone = done;
      });
      const fail = (why: string): void => {
        clearTimeout(timer);
        reject(new VppConnectError(`cannot connect: ${why}`, { object: prefix, retryable: true }));
      };
      const timer = setTimeout(() => {
        stuck = true;
        fail(`no answer in ${CONNECT_MS} ms`);
      }, CONNECT_MS);
      const channel = loadNative().openVppChannel({ library, prefix, name }, (event, why) => {
        if (event === 'connected') {
          clearTimeout(timer);
          resolve(link);
        } else if (event === 'failed') fail(why);
        else if (event === 'arrived') link.#receive();
        else tellGone();
      });
      const link = new ShmLink(channel, gone, events);
      previous = gone;
    });
  }

  indexOf(message: string): number {
    return this.channel.messageIndex(message);
  }

  begin(): number {
    return this.out.length;
  }

  commit(start: number): void {
    const { bytes, length } = this.out;
    this.channel.send(bytes.subarray(start, length));
    this.out.length = start;
  }

  abort(start: number): void {
    this.out.length = start;
  }

  /** Tells when the process is gone. */
  watch(pid: number): void {
    this.#watch = setInterval(() => {
      if (!existsSync(`/proc/${pid}`))
        this.end(new VppLostError('VPP has ended', { object: `process ${pid}` }));
    }, WATCH_MS).unref();
  }

  end(reason: Error): void {
    const events = this.#events;
    if (events === null) return;
    this.#events = null;
    clearInterval(this.#watch);
    this.channel.close();
    events.lost(reason);
  }

  #receive(): void {
    for (const message of this.channel.take()) this.#events?.message(message, 0, message.length);
  }
}

/** VPP's table, as far as the descriptions tell what to ask for. */
function messagesOf(schema: ApiSchema, link: ShmLink): Map<string, MessageEntry> {
  const messages = new Map<string, MessageEntry>();
  for (const { name, crc } of schema.messages.values()) {
    const id = link.indexOf(`${name}_${crc}`);
    if (id >= 0) messages.set(name, { id, crc });
  }
  return messages;
}

/** The descriptions that fit the VPP at hand best. Throws ApiSchemaError. */
function findSchema(given: string | undefined, pid: number, link: ShmLink): ApiSchema {
  if (given !== undefined) return loadApiDir(given);
  const dirs = apiDirs(pid);
  const [best] = dirs
    .map((dir) => loadApiDir(dir))
    .map((schema) => ({ schema, known: messagesOf(schema, link).size }))
    .sort((a, b) => b.known - a.known);
  if (best === undefined)
    throw new ApiSchemaError('the API files of the VPP in use are not found', { value: dirs });
  return best.schema;
}
