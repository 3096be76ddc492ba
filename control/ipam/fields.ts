/** Reads the fields of one mapping of a configuration; an error names the object and the field with its path. */
import { InvalidInputError } from '../common/errors.js';
import { canonicalIp, formatCidr, parseCidr } from '../common/ip.js';
import type { Cidr, Ip } from '../ruleset/types.js';

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

/** Fields of `raw`; what is absent comes from `base`. */
export class Fields<T extends object> {
  constructor(
    private readonly raw: Raw,
    private readonly base: T,
    private readonly object: string,
    /** Path of the mapping inside the object, with its dot: `ipv6.`. */
    private readonly path = '',
  ) {}

  cidr(field: keyof T & string): Cidr {
    return this.text(field, this.#value(field), canonicalRange);
  }

  optionalCidr(field: keyof T & string): Cidr | null {
    return this.#value(field) === null ? null : this.cidr(field);
  }

  optionalIp(field: keyof T & string): Ip | null {
    const value = this.#value(field);
    return value === null ? null : this.text(field, value, canonicalIp);
  }

  cidrs(field: keyof T & string): readonly Cidr[] {
    const value = this.#value(field);
    if (!Array.isArray(value)) throw this.error('must be a list', field, value);
    return value.map((entry: unknown, i) => this.text(`${field}[${i}]`, entry, canonicalRange));
  }

  ips(field: keyof T & string): readonly Ip[] {
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

function canonicalRange(text: string): Cidr {
  const range = parseCidr(text);
  const canonical = formatCidr(range);
  if (canonicalIp(text.slice(0, text.indexOf('/'))) !== canonical.slice(0, canonical.indexOf('/'))) {
    throw new InvalidInputError(`has bits set beyond its prefix; ${canonical} was probably meant`);
  }
  return canonical;
}
