/**
 * Descriptions of messages as lines of text, for people, for comparing two versions, and for tests:
 *
 *     enum address_family u8: ADDRESS_IP4=0 ADDRESS_IP6=1
 *     flags if_status_flags u32: IF_STATUS_API_FLAG_ADMIN_UP=1 IF_STATUS_API_FLAG_LINK_UP=2
 *     alias mac_address u8[6]
 *     union address_union: ip4_address ip4 {case ADDRESS_IP4}; ip6_address ip6 {case ADDRESS_IP6}
 *     type address: address_family af; address_union un {by af}
 *     message acl_dump ef34fea4: u16 _vl_msg_id; u32 client_index; u32 context; u32 acl_index = 4294967295
 *     service acl_dump: details acl_details
 *
 * A field is `TYPE NAME`, `TYPE NAME[8]`, `TYPE NAME[count_field]`, or `TYPE NAME[]` (to the end; of a string: with its length before
 * it), with `= DEFAULT` behind it.
 */
import { ApiSchemaError } from './errors.js';
import type {
  AliasSchema,
  ApiSchema,
  EnumSchema,
  Extent,
  FieldSchema,
  MessageSchema,
  ServiceSchema,
  StructSchema,
} from './schema.js';
import { joinModules } from './schema.js';

export function formatField(field: FieldSchema): string {
  const { extent } = field;
  const brackets =
    extent.kind === 'one'
      ? ''
      : extent.kind === 'fixed'
        ? `[${extent.length}]`
        : extent.kind === 'counted'
          ? `[${extent.by}]`
          : '[]';
  const given = field.default === undefined ? '' : ` = ${field.default}`;
  const by = field.discriminator === undefined ? '' : ` {by ${field.discriminator}}`;
  const arm = field.case === undefined ? '' : ` {case ${field.case}}`;
  return `${field.type} ${field.name}${brackets}${given}${by}${arm}`;
}

function struct(word: string, name: string, fields: readonly FieldSchema[]): string {
  return `${word} ${name}: ${fields.map(formatField).join('; ')}`;
}

const formatType = (type: StructSchema): string => struct('type', type.name, type.fields);
const formatUnion = (union: StructSchema): string => struct('union', union.name, union.fields);
export const formatMessage = (message: MessageSchema): string =>
  struct('message', `${message.name} ${message.crc}`, message.fields);

export function formatEnum(set: EnumSchema): string {
  const symbols = set.symbols.map(([symbol, value]) => `${symbol}=${value}`);
  return `${set.flags ? 'flags' : 'enum'} ${set.name} ${set.type}: ${symbols.join(' ')}`;
}

export function formatAlias(alias: AliasSchema): string {
  return `alias ${alias.name} ${alias.type}${alias.length === undefined ? '' : `[${alias.length}]`}`;
}

function formatService(request: string, service: ServiceSchema): string {
  const details = service.details === undefined ? '' : ` details ${service.details}`;
  const reply = service.reply === undefined ? '' : ` reply ${service.reply}`;
  return `service ${request}:${details}${reply}`;
}

/** All of it, sorted within each kind. */
export function formatSchema(schema: ApiSchema): string {
  const modules = [...schema.modules.values()];
  const all = <T extends { readonly name: string }>(
    pick: (module: (typeof modules)[number]) => Iterable<T>,
  ) => [
    ...new Map(
      modules.flatMap((module) => [...pick(module)].map((entry) => [entry.name, entry] as const)),
    ).values(),
  ];
  const lines = [
    all((module) => module.enums.values()).map(formatEnum),
    all((module) => module.aliases.values()).map(formatAlias),
    all((module) => module.unions.values()).map(formatUnion),
    all((module) => module.types.values()).map(formatType),
    [...schema.messages.values()].map(formatMessage),
    [...schema.services].map(([request, service]) => formatService(request, service)),
  ];
  return `${lines.flatMap((kind) => kind.sort()).join('\n')}\n`;
}

/** The opposite of formatSchema, as one module. Lines that are empty or begin with `#` say nothing. Throws ApiSchemaError. */
export function parseSchema(text: string): ApiSchema {
  const types = new Map<string, StructSchema>();
  const unions = new Map<string, StructSchema>();
  const enums = new Map<string, EnumSchema>();
  const aliases = new Map<string, AliasSchema>();
  const services = new Map<string, ServiceSchema>();
  const messages: MessageSchema[] = [];
  for (const [i, line] of text.split('\n').entries()) {
    if (line === '' || line.startsWith('#')) continue;
    const [, word, name = '', extra = '', rest = ''] = /^(\w+) (\w+) ?([^:]*):? ?(.*)$/.exec(line) ?? [];
    if (word === 'type') types.set(name, { name, fields: parseFields(rest, i) });
    else if (word === 'union') unions.set(name, { name, fields: parseFields(rest, i) });
    else if (word === 'enum' || word === 'flags')
      enums.set(name, parseEnum(name, word === 'flags', extra, rest));
    else if (word === 'alias') aliases.set(name, parseAlias(name, extra));
    else if (word === 'service') services.set(name, parseService(rest));
    else if (word === 'message')
      messages.push({ name, crc: extra, module: 'text', fields: parseFields(rest, i) });
    else throw new ApiSchemaError('no description', { object: `line ${i + 1}`, value: line });
  }
  return joinModules([{ name: 'text', types, unions, enums, aliases, messages, services }]);
}

const FIELD = /^(\w+) (\w+)(\[(\w*)\])?(?: = (\S+))?(?: \{by (\w+)\})?(?: \{case (\w+)\})?$/;

function parseFields(text: string, line: number): readonly FieldSchema[] {
  if (text === '') return [];
  return text.split('; ').map((field) => {
    const found = FIELD.exec(field);
    if (found === null) throw new ApiSchemaError('no field', { object: `line ${line + 1}`, value: field });
    const [, type = '', name = '', brackets, inside = '', given, by, arm] = found;
    return {
      name,
      type,
      extent: brackets === undefined ? { kind: 'one' } : extentOf(inside),
      ...(given === undefined ? {} : { default: plain(given) }),
      ...(by === undefined ? {} : { discriminator: by }),
      ...(arm === undefined ? {} : { case: arm }),
    };
  });
}

function extentOf(inside: string): Extent {
  if (inside === '') return { kind: 'rest' };
  return /^\d+$/.test(inside) ? { kind: 'fixed', length: Number(inside) } : { kind: 'counted', by: inside };
}

function plain(text: string): number | boolean | string {
  if (text === 'true' || text === 'false') return text === 'true';
  return Number.isNaN(Number(text)) ? text : Number(text);
}

function parseEnum(name: string, flags: boolean, type: string, text: string): EnumSchema {
  const symbols = text.split(' ').map((pair): readonly [string, number] => {
    const [symbol = '', value] = pair.split('=');
    return [symbol, Number(value)];
  });
  return { name, type: type.trim(), flags, symbols };
}

function parseAlias(name: string, text: string): AliasSchema {
  const [, type = '', length] = /^(\w+)(?:\[(\d+)\])?$/.exec(text) ?? [];
  return { name, type, ...(length === undefined ? {} : { length: Number(length) }) };
}

function parseService(text: string): ServiceSchema {
  const [, details, reply] = /^(?:details (\w+) ?)?(?:reply (\w+))?$/.exec(text) ?? [];
  return { ...(details === undefined ? {} : { details }), ...(reply === undefined ? {} : { reply }) };
}
