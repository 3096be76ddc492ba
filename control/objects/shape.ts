/**
 * Shapes: what plain data read from a store must look like. A shape checks a value and returns it as its type, with every
 * optional field present as `undefined`, so that what was written is what is read: `[]` and absent stay apart.
 */
import { InvalidInputError } from '../common/errors.js';
import { canonicalIp } from '../common/ip.js';
import { formatPath, isRecord, type Path } from './document.js';

export type Shape<T> = (value: unknown, path: Path) => T;

/** The value in the store is not what this program writes. */
export class StoredObjectError extends InvalidInputError {}

function refuse(message: string, value: unknown, path: Path): never {
  throw new StoredObjectError(message, { field: formatPath(path), value });
}

export const string: Shape<string> = (value, path) =>
  typeof value === 'string' ? value : refuse('must be a string', value, path);

export const boolean: Shape<boolean> = (value, path) =>
  typeof value === 'boolean' ? value : refuse('must be true or false', value, path);

export const integer: Shape<number> = (value, path) =>
  Number.isSafeInteger(value) ? (value as number) : refuse('must be a whole number', value, path);

/** An address in canonical text. */
export const address: Shape<string> = (value, path) =>
  typeof value === 'string' && isCanonicalIp(value) ? value : refuse('must be an IP address', value, path);

function isCanonicalIp(text: string): boolean {
  try {
    return canonicalIp(text) === text;
  } catch {
    return false;
  }
}

export function oneOf<const T extends string>(...values: readonly T[]): Shape<T> {
  return (value, path) =>
    values.find((known) => known === value) ?? refuse(`must be one of ${values.join(', ')}`, value, path);
}

export function nullable<T>(shape: Shape<T>): Shape<T | null> {
  return (value, path) => (value === null ? null : shape(value, path));
}

export function optional<T>(shape: Shape<T>): Shape<T | undefined> {
  return (value, path) => (value === undefined ? undefined : shape(value, path));
}

export function either<A, B>(test: (value: unknown) => boolean, a: Shape<A>, b: Shape<B>): Shape<A | B> {
  return (value, path) => (test(value) ? a(value, path) : b(value, path));
}

export function list<T>(shape: Shape<T>): Shape<readonly T[]> {
  return (value, path) =>
    Array.isArray(value)
      ? value.map((item: unknown, i) => shape(item, [...path, i]))
      : refuse('must be a list', value, path);
}

export function map<T>(shape: Shape<T>): Shape<Readonly<Record<string, T>>> {
  return (value, path) =>
    isRecord(value)
      ? Object.fromEntries(Object.entries(value).map(([key, item]) => [key, shape(item, [...path, key])]))
      : refuse('must be an object', value, path);
}

export function object<T>(fields: { readonly [K in keyof T]-?: Shape<T[K]> }): Shape<T> {
  const entries = Object.entries(fields) as [string, Shape<unknown>][];
  return (value, path) => {
    if (!isRecord(value)) return refuse('must be an object', value, path);
    for (const key of Object.keys(value)) {
      if (!Object.hasOwn(fields, key)) refuse('unknown field', value[key], [...path, key]);
    }
    return Object.fromEntries(
      entries.map(([key, shape]) => [
        key,
        shape(Object.hasOwn(value, key) ? value[key] : undefined, [...path, key]),
      ]),
    ) as T;
  };
}
