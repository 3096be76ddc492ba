/** Which field tells a union's arm. Files before 26.02 do not say it, and some still do not: those are listed here. */
import type { Value } from '../api.js';
import type { FieldSchema, StructSchema } from '../schema.js';
import type { SoFar } from './codec.js';
import type { Discriminator } from './unions.js';

/** `struct.field` → the field that tells; `^` is one of the struct around. */
const BY: Readonly<Record<string, string>> = {
  'mprefix.grp_address': 'af',
  'mprefix.src_address': 'af',
  'fib_path_nh.address': '^proto',
  'punt.punt': 'type',
};

/** Union → its arms and the symbols that choose them. */
const CASES: Readonly<Record<string, Readonly<Record<string, readonly string[]>>>> = {
  address_union: {
    ip4: ['ADDRESS_IP4', 'FIB_API_PATH_NH_PROTO_IP4'],
    ip6: ['ADDRESS_IP6', 'FIB_API_PATH_NH_PROTO_IP6'],
  },
  punt_union: {
    exception: ['PUNT_API_TYPE_EXCEPTION'],
    l4: ['PUNT_API_TYPE_L4'],
    ip_proto: ['PUNT_API_TYPE_IP_PROTO'],
  },
};

export function discriminatorOf(owner: string, field: FieldSchema): Discriminator {
  const by = field.discriminator ?? BY[`${owner}.${field.name}`];
  if (by === undefined) return () => undefined;
  if (!by.startsWith('^')) return (self: SoFar): Value | undefined => self[by];
  const name = by.slice(1);
  return (_self: SoFar, outer: SoFar): Value | undefined => outer[name];
}

/** Symbols that choose an arm. */
export function casesOf(union: StructSchema, arm: FieldSchema): readonly string[] {
  return CASES[union.name]?.[arm.name] ?? (arm.case === undefined ? [] : [arm.case]);
}
