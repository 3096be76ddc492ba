/** A VPP at message level: writes down what it is asked, holds it to the descriptions of a real version, and answers as it is told. */
import type { Fields, VppApi } from '../api/api.js';
import { Writer } from '../api/codec/bytes.js';
import { MessageCodecs } from '../api/codec/message.js';
import { VppRetvalError } from '../api/errors.js';
import { schemaOf } from '../api/testing/recording.js';
import { typed } from '../api/typed.js';
import { HandleTable } from '../objects/handles.js';
import type { VppContext } from '../objects/types.js';
import { DEFAULT_OPTIONS } from '../options.js';

export interface Asked {
  readonly message: string;
  readonly fields: Fields;
}

export class FakeApi implements VppApi {
  readonly version: string;
  readonly pid = 4711;
  readonly lost = new Promise<Error>(() => undefined);
  /** What was requested, in order; dumps are not noted. */
  readonly asked: Asked[] = [];
  readonly lacking = new Set<string>();
  readonly dumps = new Map<string, readonly Fields[]>();
  readonly texts = new Map<string, string>();
  /** The next requests of a message fail, one for each symbol. */
  readonly failures = new Map<string, VppRetvalError[]>();
  readonly replies = new Map<string, Fields>();
  readonly #codecs: MessageCodecs;
  #next = 1;

  /** @param release whose messages those are that the descriptions hold; others are taken as they come */
  constructor(release: string) {
    this.version = `${release}-release`;
    this.#codecs = new MessageCodecs(schemaOf(release));
  }

  has(message: string): boolean {
    return !this.lacking.has(message);
  }

  async request(message: string, fields: Fields = {}): Promise<Fields> {
    if (this.lacking.has(message)) throw new VppRetvalError(message, -9);
    this.#check(message, fields);
    this.asked.push({ message, fields });
    const failure = this.failures.get(message)?.shift();
    if (failure !== undefined) throw failure;
    return { retval: 0, sw_if_index: this.#next++, ...this.replies.get(message) };
  }

  async dump(message: string, fields: Fields = {}): Promise<readonly Fields[]> {
    this.#check(message, fields);
    return this.dumps.get(message) ?? [];
  }

  async cli(command: string): Promise<string> {
    return this.texts.get(command) ?? '';
  }

  onEvent(): () => void {
    return () => undefined;
  }

  async close(): Promise<void> {}

  /** Names of the messages requested since the last call. */
  taken(): readonly string[] {
    return this.asked.splice(0).map(({ message }) => message);
  }

  /** Throws EncodeError. */
  #check(message: string, fields: Fields): void {
    if (!this.#codecs.schema.messages.has(message)) return;
    this.#codecs.get(message).encode(new Writer(), 1, 1, 1, fields);
  }
}

export function contextOf(api: VppApi): VppContext {
  return { api: typed(api), handles: new HandleTable(), options: DEFAULT_OPTIONS };
}
