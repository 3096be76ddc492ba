/**
 * Shapes: what plain data read from a store must look like. A shape checks a value and returns it as its type, with every
 * optional field present as `undefined`, so that what was written is what is read: `[]` and absent stay apart.
 */
import { isIPv4 } from 'node:net';
import { InvalidInputError } from '../common/errors.js';
import { canonicalIp } from '../common/ip.js';
import { formatPath, isRecord, type Path } from './document.js';

/** Checks the value in place, and gives it back as its type. */
export type Shape<T> = (value: unknown) => T;

/** The value in the store is not what this program writes. */
export class StoredObjectError extends InvalidInputError {}

/** A field this program does not know: a newer one may have written it. */
export class UnknownFieldError extends StoredObjectError {
  constructor(
    readonly path: Path,
    value: unknown,
  ) {
    super('unknown field', { field: formatPath(path), value });
  }
}

/**
 * A value that does not have its shape; on its way out it learns where in the object the value is. Shapes that fit pay nothing
 * for paths: an agent reads hundreds of thousands of objects when it starts.
 */
class Mismatch extends Error {
  readonly path: (string | number)[] = [];

  constructor(
    message: string,
    readonly value: unknown,
    /** The value is fine, but nobody asked for it. */
    readonly unknown = false,
  ) {
    super(message);
  }
}

function refuse(message: string, value: unknown): never {
  throw new Mismatch(message, value);
}

function inside(error: unknown, key: string | number): unknown {
  if (error instanceof Mismatch) error.path.unshift(key);
  return error;
}

/** Reads a value by its shape. Throws StoredObjectError, UnknownFieldError, naming the field. */
export function read<T>(shape: Shape<T>, value: unknown): T {
  try {
    return shape(value);
  } catch (error) {
    if (!(error instanceof Mismatch)) throw error;
    const path: Path = error.path;
    if (error.unknown) throw new UnknownFieldError(path, error.value);
    throw new StoredObjectError(error.message, { field: formatPath(path), value: error.value });
  }
}

export const string: Shape<string> = (value) =>
  typeof value === 'string' ? value : refuse('must be a string', value);

export const boolean: Shape<boolean> = (value) =>
  typeof value === 'boolean' ? value : refuse('must be true or false', value);

export const integer: Shape<number> = (value) =>
  Number.isSafeInteger(value) ? (value as number) : refuse('must be a whole number', value);

/** An address in canonical text. */
export const address: Shape<string> = (value) =>
  typeof value === 'string' && (isIPv4(value) || isCanonicalIp(value))
    ? value
    : refuse('must be an IP address', value);

function isCanonicalIp(text: string): boolean {
  try {
    return canonicalIp(text) === text;
  } catch {
    return false;
  }
}

export function oneOf<const T extends string>(...values: readonly T[]): Shape<T> {
  const known: readonly unknown[] = values;
  return (value) =>
    known.includes(value) ? (value as T) : refuse(`must be one of ${values.join(', ')}`, value);
}

export function nullable<T>(shape: Shape<T>): Shape<T | null> {
  return (value) => (value === null ? null : shape(value));
}

export function optional<T>(shape: Shape<T>): Shape<T | undefined> {
  return (value) => (value === undefined ? undefined : shape(value));
}

export function either<A, B>(test: (value: unknown) => boolean, a: Shape<A>, b: Shape<B>): Shape<A | B> {
  return (value) => (test(value) ? a(value) : b(value));
}

export function list<T>(shape: Shape<T>): Shape<readonly T[]> {
  return (value) => {
    if (!Array.isArray(value)) return refuse('must be a list', value);
    const items: readonly unknown[] = value;
    let i = 0;
    try {
      for (; i < items.length; i++) shape(items[i]);
    } catch (error) {
      throw inside(error, i);
    }
    return items as readonly T[];
  };
}

export function map<T>(shape: Shape<T>): Shape<Readonly<Record<string, T>>> {
  return (value) => {
    if (!isRecord(value)) return refuse('must be an object', value);
    for (const key of Object.keys(value)) {
      try {
        shape(value[key]);
      } catch (error) {
        throw inside(error, key);
      }
    }
    return value as Record<string, T>;
  };
}

export function object<T>(fields: { readonly [K in keyof T]-?: Shape<T[K]> }): Shape<T> {
  const shapes = Object.entries(fields) as [string, Shape<unknown>][];
  return (value) => {
    if (!isRecord(value)) return refuse('must be an object', value);
    const record: Record<string, unknown> = value;
    let at = '';
    try {
      const keys = Object.keys(record);
      let present = 0;
      for (const [key, shape] of shapes) {
        at = key;
        if (Object.hasOwn(record, key)) {
          present++;
          shape(record[key]);
        } else {
          record[key] = shape(undefined);
        }
      }
      if (keys.length > present) {
        at = keys.find((key) => !Object.hasOwn(fields, key)) ?? '';
        throw new Mismatch('unknown field', record[at], true);
      }
    } catch (error) {
      throw inside(error, at);
    }
    return record as T;
  };
}
