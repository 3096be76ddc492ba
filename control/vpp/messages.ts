/** Lists of messages. */
import type { VppApi } from '../backends/vpp/api/api.js';
import { formatSchema } from '../backends/vpp/api/notation.js';
import type { ApiSchema } from '../backends/vpp/api/schema.js';
import { subsetOf } from '../backends/vpp/api/subset.js';
import { USED_MESSAGES } from '../backends/vpp/api/used.js';

export interface MessageFilter {
  readonly pattern: RegExp;
  /** Only what this program uses. */
  readonly used: boolean;
}

export interface MessageRow {
  readonly name: string;
  readonly crc: string;
  /** The API file it is from. */
  readonly module: string;
  /** Why it cannot be used with the running VPP; null: it can, or none was asked. */
  readonly problem: string | null;
}

function names(schema: ApiSchema, { pattern, used }: MessageFilter): readonly string[] {
  const all = used ? USED_MESSAGES.filter((name) => schema.messages.has(name)) : [...schema.messages.keys()];
  return all.filter((name) => pattern.test(name)).sort();
}

export function listMessages(schema: ApiSchema, filter: MessageFilter, vpp?: VppApi): readonly MessageRow[] {
  return names(schema, filter).flatMap((name) => {
    const message = schema.messages.get(name);
    if (message === undefined) return [];
    const problem = vpp === undefined || vpp.has(name) ? null : (vpp.lacks?.(name) ?? 'missing');
    return [{ name, crc: message.crc, module: message.module, problem }];
  });
}

/** Their fields, those of what answers them, and the types of all these (see notation.ts). */
export function describeMessages(schema: ApiSchema, filter: MessageFilter): string {
  return formatSchema(subsetOf(schema, names(schema, filter)));
}
