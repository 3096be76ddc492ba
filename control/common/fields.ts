/** Reads the fields of one mapping of a configuration; an error names the object and the field with its path. */
import { isAbsolute } from 'node:path';
import { listed } from './command-line.js';
import { InvalidInputError } from './errors.js';
import { canonicalIp, formatCidr, parseCidr } from './ip.js';

export type Raw = Readonly<Record<string, unknown>>;

/** A mapping, or InvalidInputError. */
export function mappingOf(value: unknown, object: string, field?: string): Raw {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw new InvalidInputError('must be a mapping', {
      object,
      ...(field === undefined ? {} : { field }),
      value,
    });
  }
  return value as Raw;
}

/** Every field there is, with what it is where it is absent; undefined: it has to be given, or its reader says. */
export type Defaults<T> = { readonly [F in keyof T]: T[F] | undefined };

/** Fields of `raw`; what is absent comes from `base`. */
export class Fields<T extends object> {
  constructor(
    private readonly raw: Raw,
    private readonly base: Defaults<T>,
    private readonly object: string,
    /** Path of the mapping inside the object, with its dot: `ipv6.`. */
    private readonly path = '',
  ) {}

  /** Throws InvalidInputError for a field that `base` does not know. */
  refuseUnknown(): void {
    for (const field of Object.keys(this.raw)) {
      if (!Object.hasOwn(this.base, field)) throw this.error('unknown field', field, this.raw[field]);
    }
  }

  /** Text, not empty. null stands for an absent one. */
  string(field: keyof T & string, fallback?: string): string {
    const value = this.raw[field] ?? fallback ?? this.base[field];
    if (typeof value !== 'string' || value === '') throw this.error('must be text, not empty', field, value);
    return value;
  }

  optionalString(field: keyof T & string): string | null {
    return this.#value(field) === null ? null : this.string(field);
  }

  optionalPath(field: keyof T & string): string | null {
    const path = this.optionalString(field);
    if (path !== null && !isAbsolute(path)) throw this.error('must be an absolute path', field, path);
    return path;
  }

  /** null stands for an absent one. */
  oneOf<V extends string>(field: keyof T & string, words: readonly V[], fallback?: V): V {
    const value = this.raw[field] ?? fallback ?? this.base[field];
    const found = words.find((word) => word === value);
    if (found === undefined) throw this.error(`must be ${listed(words)}`, field, value);
    return found;
  }

  /** Seconds, or parts of one. */
  seconds(field: keyof T & string, least: number, most: number, fallback?: number): number {
    const value = this.raw[field] ?? fallback ?? this.base[field];
    if (typeof value === 'number' && value >= least && value <= most) return value;
    throw this.error(`must be a number from ${least} to ${most}`, field, value);
  }

  cidr(field: keyof T & string): string {
    return this.text(field, this.#value(field), canonicalRange);
  }

  optionalCidr(field: keyof T & string): string | null {
    return this.#value(field) === null ? null : this.cidr(field);
  }

  optionalIp(field: keyof T & string): string | null {
    const value = this.#value(field);
    return value === null ? null : this.text(field, value, canonicalIp);
  }

  cidrs(field: keyof T & string): readonly string[] {
    const value = this.#value(field);
    if (!Array.isArray(value)) throw this.error('must be a list', field, value);
    return value.map((entry: unknown, i) => this.text(`${field}[${i}]`, entry, canonicalRange));
  }

  ips(field: keyof T & string): readonly string[] {
    const value = this.#value(field);
    if (!Array.isArray(value)) throw this.error('must be a list', field, value);
    return value.map((entry: unknown, i) => this.text(`${field}[${i}]`, entry, canonicalIp));
  }

  integer(field: keyof T & string, least: number, most: number): number {
    const value = this.#value(field);
    if (typeof value !== 'number' || !Number.isInteger(value) || value < least || value > most) {
      throw this.error(`must be a whole number from ${least} to ${most}`, field, value);
    }
    return value;
  }

  boolean(field: keyof T & string): boolean {
    const value = this.#value(field);
    if (typeof value !== 'boolean') throw this.error('must be true or false', field, value);
    return value;
  }

  /** Runs a text parser; its error gets the object and the field. */
  text<R>(field: string, value: unknown, parse: (text: string) => R): R {
    if (typeof value !== 'string') throw this.error('must be text', field, value);
    try {
      return parse(value);
    } catch (cause) {
      const reason =
        cause instanceof InvalidInputError ? cause.message.replace(/ \(got .*\)$/, '') : 'not valid';
      throw this.error(reason, field, value, cause);
    }
  }

  error(reason: string, field: string, value: unknown, cause?: unknown): InvalidInputError {
    const where = { object: this.object, field: `${this.path}${field}`, value };
    return new InvalidInputError(reason, cause === undefined ? where : { ...where, cause });
  }

  #value(field: keyof T & string): unknown {
    return this.raw[field] === undefined ? this.base[field] : this.raw[field];
  }
}

function canonicalRange(text: string): string {
  const range = parseCidr(text);
  const canonical = formatCidr(range);
  if (canonicalIp(text.slice(0, text.indexOf('/'))) !== canonical.slice(0, canonical.indexOf('/'))) {
    throw new InvalidInputError(`has bits set beyond its prefix; ${canonical} was probably meant`);
  }
  return canonical;
}
