/** A connection to VPP: requests, dumps and events by name. */
import { errorText } from '../../../common/errors.js';
import type { Fields, VppApi, VppEvent } from './api.js';
import type { MessageCodec, MessageCodecs } from './codec/message.js';
import { type Call, EAGAIN, runDump, type Sender } from './dump.js';
import {
  DecodeError,
  MissingMessageError,
  VppLostError,
  VppProtocolError,
  VppRetvalError,
} from './errors.js';
import type { MessageEntry, Welcome } from './handshake.js';
import type { Channel } from './link.js';
import { Outbox } from './outbox.js';
import { Pending, type Waiting } from './pending.js';

/** How long VPP has to say farewell. */
const FAREWELL_MILLISECONDS = 1000;

export interface ClientParts {
  readonly link: Channel;
  readonly codecs: MessageCodecs;
  readonly welcome: Welcome;
  readonly pid: number;
  readonly timeoutMilliseconds: number;
}

export class VppClient implements VppApi {
  readonly pid: number;
  readonly codecs: MessageCodecs;
  readonly lost: Promise<Error>;
  version = '';
  readonly #link: Channel;
  readonly #clientIndex: number;
  readonly #messages: ReadonlyMap<string, MessageEntry>;
  readonly #pending: Pending;
  readonly #outbox: Outbox;
  readonly #sender: Sender;
  readonly #calls = new Map<string, Call>();
  /** Messages that may come, by their id. */
  readonly #incoming = new Map<number, MessageCodec>();
  readonly #listeners = new Map<string, Set<(event: VppEvent) => void>>();
  #tellLost: (reason: Error) => void = () => {};
  #closed: Error | undefined;

  constructor(parts: ClientParts) {
    this.#link = parts.link;
    this.codecs = parts.codecs;
    this.#clientIndex = parts.welcome.clientIndex;
    this.#messages = parts.welcome.messages;
    this.pid = parts.pid;
    this.#pending = new Pending(parts.timeoutMilliseconds);
    this.#outbox = new Outbox(parts.link, parts.welcome.clientIndex, this.#pending);
    this.#sender = {
      call: (message) => this.#call(message),
      wait: (call, fields, waiting) => this.#send(call, fields, waiting),
      forget: (context) => this.#pending.take(context),
    };
    this.lost = new Promise((resolve) => {
      this.#tellLost = resolve;
    });
  }

  /** VPP's own table: name → id and CRC. */
  get messages(): ReadonlyMap<string, MessageEntry> {
    return this.#messages;
  }

  has(message: string): boolean {
    return this.lacks(message) === null;
  }

  lacks(message: string): string | null {
    const { reply, details } = this.codecs.schema.services.get(message) ?? {};
    for (const name of [message, reply, details]) {
      const problem = name === undefined ? null : this.#lacksForm(name);
      if (problem !== null) return name === message ? problem : `${problem}: ${name}`;
    }
    return null;
  }

  #lacksForm(message: string): string | null {
    const entry = this.#messages.get(message);
    const described = this.codecs.schema.messages.get(message);
    if (entry === undefined) return `VPP ${this.version} has no such message`;
    if (described === undefined) return `the API files of VPP ${this.version} do not describe it`;
    if (entry.crc === described.crc) return null;
    return `VPP ${this.version} has another form of it: ${entry.crc}, its API file says ${described.crc}`;
  }

  request(message: string, fields?: Fields): Promise<Fields> {
    return new Promise((resolve, reject) => {
      const call = this.#call(message);
      const { reply, details } = call.service;
      if (details !== undefined) throw new VppProtocolError('is a dump', { object: message });
      if (reply === undefined) {
        this.#send(call, fields, undefined);
        resolve({});
      } else {
        this.#send(call, fields, { message, reply, resolve, reject });
      }
    });
  }

  dump(message: string, fields?: Fields): Promise<readonly Fields[]> {
    return runDump(message, fields, this.#sender);
  }

  async cli(command: string): Promise<string> {
    const { reply } = await this.request('cli_inband', { cmd: command });
    return typeof reply === 'string' ? reply : '';
  }

  onEvent(message: string, listener: (event: VppEvent) => void): () => void {
    this.#expect(message);
    const listeners = this.#listeners.get(message) ?? new Set();
    this.#listeners.set(message, listeners);
    listeners.add(listener);
    return () => {
      listeners.delete(listener);
    };
  }

  /** Says farewell and waits for the replies to everything sent before. What is asked for later fails. */
  async close(): Promise<void> {
    if (this.#closed !== undefined) return;
    const { farewell: message } = this.#link;
    const farewell =
      message === null ? this.request('control_ping') : this.request(message, { index: this.#clientIndex });
    this.#closed = new VppLostError('the connection was closed');
    let timer: NodeJS.Timeout | undefined;
    const patience = new Promise<void>((resolve) => {
      timer = setTimeout(resolve, FAREWELL_MILLISECONDS);
    });
    await Promise.race([farewell.catch(() => {}), patience]);
    clearTimeout(timer);
    this.#link.end(this.#closed);
    await this.#link.gone;
  }

  /** For the link. */
  onLost(reason: Error): void {
    this.#outbox.clear();
    this.#pending.fail(reason);
    if (this.#closed === undefined) this.#tellLost(reason);
    this.#closed ??= reason;
  }

  /** For the link: a message from `start` to before `end`. Never throws. */
  onMessage(bytes: Buffer, start: number, end: number): void {
    const codec = this.#incoming.get(bytes.readUInt16BE(start));
    if (codec === undefined) return;
    const at = codec.contextAt;
    if (at === undefined) this.#tell(codec, bytes, start, end);
    else if (end - start >= at + 4) this.#match(codec, bytes, start, end, bytes.readUInt32BE(start + at));
  }

  #match(codec: MessageCodec, bytes: Buffer, start: number, end: number, context: number): void {
    const waiting = this.#pending.get(context);
    // Late, or the second of two: whoever asked has given up or has its answer.
    if (waiting === undefined) return;
    try {
      if (codec.name === waiting.details) {
        waiting.onDetails?.(codec.decode(bytes, start, end));
        return;
      }
      this.#pending.take(context);
      if (codec.name === waiting.reply) this.#answer(waiting, codec.decode(bytes, start, end));
      else
        throw new VppProtocolError('the reply is of another kind', {
          object: waiting.message,
          value: codec.name,
        });
    } catch (error) {
      waiting.reject(error instanceof Error ? error : new DecodeError(errorText(error)));
    }
  }

  #answer(waiting: Waiting, fields: Fields): void {
    const { retval } = fields;
    if (typeof retval === 'number' && retval < 0 && !(retval === EAGAIN && waiting.details !== undefined)) {
      const text = fields['reply'];
      waiting.reject(
        new VppRetvalError(waiting.message, retval, typeof text === 'string' ? text.trim() : undefined),
      );
    } else waiting.resolve(fields);
  }

  #tell(codec: MessageCodec, bytes: Buffer, start: number, end: number): void {
    const listeners = this.#listeners.get(codec.name);
    if (listeners === undefined || listeners.size === 0) return;
    let fields: Fields;
    try {
      fields = codec.decode(bytes, start, end);
    } catch (error) {
      // An event nobody can read may be one somebody needs.
      this.#link.end(new VppLostError(`an event that cannot be read: ${errorText(error)}`, { cause: error }));
      return;
    }
    for (const listener of listeners) listener({ message: codec.name, fields });
  }

  /** Returns the request's context. Throws EncodeError, VppLostError. */
  #send(call: Call, fields: Fields | undefined, waiting: Waiting | undefined): number {
    if (this.#closed !== undefined) throw this.#closed;
    return this.#outbox.send(call, fields, waiting);
  }

  /** Throws MissingMessageError. */
  #call(message: string): Call {
    const known = this.#calls.get(message);
    if (known !== undefined) return known;
    const codec = this.codecs.get(message);
    const { id } = this.#entry(codec);
    const service = this.codecs.schema.services.get(message) ?? {};
    if (service.reply !== undefined) this.#expect(service.reply);
    if (service.details !== undefined) this.#expect(service.details);
    const call = { codec, id, service };
    this.#calls.set(message, call);
    return call;
  }

  #expect(message: string): void {
    const codec = this.codecs.get(message);
    this.#incoming.set(this.#entry(codec).id, codec);
  }

  /** Throws MissingMessageError when VPP has no such message, or one of another form. */
  #entry(codec: MessageCodec): MessageEntry {
    const problem = this.#lacksForm(codec.name);
    const entry = this.#messages.get(codec.name);
    if (problem !== null || entry === undefined) {
      throw new MissingMessageError(problem ?? 'no such message', { object: codec.name });
    }
    return entry;
  }
}
