/** Where two versions' messages differ. */
import { FORMS } from '../backends/vpp/api/generated/messages.gen.js';
import { formatAlias, formatEnum, formatField } from '../backends/vpp/api/notation.js';
import type { ApiSchema, FieldSchema } from '../backends/vpp/api/schema.js';
import { subsetOf } from '../backends/vpp/api/subset.js';

export interface MessageDifference {
  readonly message: string;
  /** `missing`: not in the second; `new`: not in the first. */
  readonly kind: 'missing' | 'new' | 'changed';
  /** What only one of them has: `acl_rule: u8 tcp_flags_mask`. */
  readonly before: readonly string[];
  readonly after: readonly string[];
}

/**
 * Messages in order of their names. `a` null: the forms this program's types were generated from, of which the fields are not known.
 * `names` null: all messages of both. A name that neither has is missing in both and no difference.
 */
export function compareSchemas(
  a: ApiSchema | null,
  b: ApiSchema,
  names: readonly string[] | null,
): readonly MessageDifference[] {
  const crcs = a === null ? new Map(Object.entries(FORMS)) : crcsOf(a);
  const others = crcsOf(b);
  const asked = new Set(names === null ? [...crcs.keys(), ...others.keys()] : withAnswers(names, a, b, crcs));
  return [...asked].sort().flatMap((message): MessageDifference[] => {
    const before = crcs.get(message);
    const after = others.get(message);
    if (before === after) return [];
    if (after === undefined) return [{ message, kind: 'missing', before: [], after: [] }];
    if (before === undefined) return [{ message, kind: 'new', before: [], after: [] }];
    const old = a === null ? new Set<string>() : partsOf(a, message);
    const now = a === null ? new Set<string>() : partsOf(b, message);
    return [
      {
        message,
        kind: 'changed',
        before: [...old].filter((part) => !now.has(part)),
        after: [...now].filter((part) => !old.has(part)),
      },
    ];
  });
}

export function formatDifference({ message, kind, before, after }: MessageDifference): string {
  const sign = kind === 'missing' ? '-' : kind === 'new' ? '+' : '~';
  return [
    `${sign} ${message}`,
    ...before.map((part) => `    - ${part}`),
    ...after.map((part) => `    + ${part}`),
  ].join('\n');
}

function crcsOf(schema: ApiSchema): Map<string, string> {
  return new Map([...schema.messages.values()].map(({ name, crc }) => [name, crc]));
}

/** The messages named, and those that answer them in either version. */
function withAnswers(
  names: readonly string[],
  a: ApiSchema | null,
  b: ApiSchema,
  built: ReadonlyMap<string, string>,
): readonly string[] {
  if (a === null) return [...names, ...built.keys()];
  return [a, b].flatMap((schema) => [...subsetOf(schema, names, true).messages.keys(), ...names]);
}

/** Newer files say which arm a union has; its bytes are the same. */
function onTheWire({ name, type, extent, default: given }: FieldSchema): FieldSchema {
  return { name, type, extent, ...(given === undefined ? {} : { default: given }) };
}

/** Fields of a message and of the types it is made of, not of those that answer it. */
function partsOf(schema: ApiSchema, message: string): ReadonlySet<string> {
  const alone: ApiSchema = { ...schema, services: new Map() };
  const parts = new Set<string>();
  for (const module of subsetOf(alone, [message]).modules.values()) {
    for (const { name, fields } of [
      ...module.messages,
      ...module.types.values(),
      ...module.unions.values(),
    ]) {
      for (const field of fields) parts.add(`${name}: ${formatField(onTheWire(field))}`);
    }
    for (const set of module.enums.values()) parts.add(formatEnum(set));
    for (const alias of module.aliases.values()) parts.add(formatAlias(alias));
  }
  return parts;
}
