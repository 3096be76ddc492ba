/** Query parameters of a request, checked: each at most once, none unknown, numbers and times in their form. */
import { HttpError } from './http-error.js';

export class Query {
  readonly #values = new Map<string, string>();

  /** Throws HttpError 400. */
  constructor(parameters: URLSearchParams, known: readonly string[]) {
    for (const [name, value] of parameters) {
      if (!known.includes(name)) {
        const names = known.length === 0 ? 'there are none here' : `known are ${known.join(', ')}`;
        throw new HttpError(400, `unknown parameter ${name}; ${names}`);
      }
      if (this.#values.has(name)) throw new HttpError(400, `parameter ${name} is given twice`);
      this.#values.set(name, value);
    }
  }

  text(name: string): string | null {
    return this.#values.get(name) ?? null;
  }

  /** A whole number of at least `least`. */
  integer(name: string, least: number): number | null {
    const value = this.text(name);
    if (value === null) return null;
    const number = /^\d{1,15}$/.test(value) ? Number(value) : Number.NaN;
    if (!(number >= least)) throw this.#wrong(name, `a whole number of at least ${least}`);
    return number;
  }

  /** A time as RFC 3339 or as milliseconds since the epoch; answers the latter. */
  time(name: string): number | null {
    const value = this.text(name);
    if (value === null) return null;
    const time = /^\d{1,15}$/.test(value) ? Number(value) : Date.parse(value);
    if (Number.isNaN(time))
      throw this.#wrong(name, 'a time such as 2026-01-31T12:00:00Z, or milliseconds since the epoch');
    return time;
  }

  flag(name: string): boolean {
    const value = this.text(name) ?? 'false';
    if (value !== 'true' && value !== 'false') throw this.#wrong(name, 'true or false');
    return value === 'true';
  }

  oneOf<T extends string>(name: string, values: readonly T[]): T | null {
    const value = this.text(name);
    if (value === null) return null;
    const found = values.find((known) => known === value);
    if (found === undefined) throw this.#wrong(name, `one of ${values.join(', ')}`);
    return found;
  }

  #wrong(name: string, wanted: string): HttpError {
    return new HttpError(400, `parameter ${name} must be ${wanted} (got ${JSON.stringify(this.text(name))})`);
  }
}
