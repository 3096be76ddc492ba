/** Codecs of whole messages: `_vl_msg_id`, then client index and context, then the fields. */
import { errorText } from '../../../../common/errors.js';
import type { Fields, Value } from '../api.js';
import { DecodeError, MissingMessageError } from '../errors.js';
import type { ApiSchema, FieldSchema, MessageSchema } from '../schema.js';
import { FieldProblem, Reader, type Writer } from './bytes.js';
import type { Codec } from './codec.js';
import { TypeCompiler } from './compile.js';

const NO_FIELDS: Fields = {};

export class MessageCodec {
  readonly name: string;
  readonly crc: string;
  /** Offset of the context, or undefined: an event, which has none. */
  readonly contextAt: number | undefined;
  readonly #clientIndexAt: number | undefined;
  /** Bytes before the fields. */
  readonly #start: number;
  readonly #body: Codec;

  constructor(schema: MessageSchema, compiler: TypeCompiler) {
    this.name = schema.name;
    this.crc = schema.crc;
    const leading = leadingFields(schema.fields);
    const offset = (name: string) => {
      const at = leading.indexOf(name);
      return at < 0 ? undefined : 2 + 4 * at;
    };
    this.contextAt = offset('context');
    this.#clientIndexAt = offset('client_index');
    this.#start = 2 + 4 * leading.length;
    this.#body = compiler.struct(schema.name, schema.fields.slice(1 + leading.length));
  }

  /**
   * Writes the message at the end: its id, the four bytes VPP gave this client (as a number), the context, the fields.
   * When it throws EncodeError the writer has what it had before.
   */
  encode(into: Writer, id: number, clientIndex: number, context: number, fields: Fields = NO_FIELDS): void {
    const before = into.length;
    try {
      const at = into.reserve(this.#start);
      into.bytes.writeUInt16BE(id, at);
      if (this.#clientIndexAt !== undefined) into.bytes.writeUInt32BE(clientIndex, at + this.#clientIndexAt);
      if (this.contextAt !== undefined) into.bytes.writeUInt32BE(context, at + this.contextAt);
      if (this.#body.size === undefined) this.#body.append(into, fields);
      else this.#body.put(into, into.append(this.#body.initial), fields);
    } catch (error) {
      into.length = before;
      throw error instanceof FieldProblem ? error.public(this.name) : error;
    }
  }

  /** Reads the fields of a message that starts with its id; what comes after them is not looked at. Throws DecodeError. */
  decode(bytes: Buffer, start = 0, end = bytes.length): Fields {
    try {
      const from = new Reader(bytes, start, end);
      from.take(this.#start);
      return this.#body.read(from, NO_FIELDS, NO_FIELDS) as Readonly<Record<string, Value>>;
    } catch (error) {
      throw new DecodeError(errorText(error), { object: this.name, cause: error });
    }
  }
}

/** Names of the fields after the id that belong to the transport. */
function leadingFields(fields: readonly FieldSchema[]): readonly string[] {
  const names: string[] = [];
  for (const { name, type } of fields.slice(1)) {
    if ((name !== 'client_index' && name !== 'context') || type !== 'u32' || names.includes(name)) break;
    names.push(name);
  }
  return names;
}

/** The codecs of one VPP's messages, compiled when first asked for. */
export class MessageCodecs {
  readonly #codecs = new Map<string, MessageCodec>();
  readonly #compilers = new Map<string, TypeCompiler>();

  constructor(readonly schema: ApiSchema) {}

  /** Throws MissingMessageError, ApiSchemaError. */
  get(name: string): MessageCodec {
    const known = this.#codecs.get(name);
    if (known !== undefined) return known;
    const message = this.schema.messages.get(name);
    if (message === undefined)
      throw new MissingMessageError('no such message in the API files', { object: name });
    const codec = new MessageCodec(message, this.#compiler(message.module));
    this.#codecs.set(name, codec);
    return codec;
  }

  #compiler(name: string): TypeCompiler {
    const known = this.#compilers.get(name);
    if (known !== undefined) return known;
    const module = this.schema.modules.get(name);
    if (module === undefined) throw new MissingMessageError('no such module', { object: name });
    const compiler = new TypeCompiler(module, this.schema);
    this.#compilers.set(name, compiler);
    return compiler;
  }
}
