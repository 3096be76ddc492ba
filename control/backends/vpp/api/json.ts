/** Fields as JSON: 64-bit integers are their digits, bytes `0x…`; everything else is what it is. The codecs take both forms. */
import type { Fields, Value } from './api.js';

export type Json = string | number | boolean | readonly Json[] | { readonly [key: string]: Json };

export function toJson(value: Value | Fields): Json {
  if (typeof value === 'bigint') return value.toString();
  if (typeof value !== 'object') return value;
  if (value instanceof Uint8Array) return `0x${Buffer.from(value).toString('hex')}`;
  if (Array.isArray(value)) return (value as readonly Value[]).map(toJson);
  return Object.fromEntries(Object.entries(value as Fields).map(([name, inner]) => [name, toJson(inner)]));
}
