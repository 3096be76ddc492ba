/** A cursor into a raw object: reads one field with its type and rules, and fails with everything a person needs. */
import { canonicalIp, parseCidr } from '../common/ip.js';
import { formatPath, InvalidObjectError, isRecord, type Path, type RawDocument } from './document.js';

export class Field {
  constructor(
    private readonly document: RawDocument,
    readonly value: unknown,
    readonly path: Path = [],
  ) {}

  static root(document: RawDocument): Field {
    return new Field(document, document.value);
  }

  /** null counts as absent, as in the API server. */
  get present(): boolean {
    return this.value !== undefined && this.value !== null;
  }

  fail(message: string, value: unknown = this.value): never {
    const line = this.document.locate(this.path);
    const file = this.document.source?.file;
    throw new InvalidObjectError(message, {
      object: objectName(this.document),
      field: formatPath(this.path),
      value,
      ...(file === undefined ? {} : { file }),
      ...(line === null ? {} : { line }),
    });
  }

  /** The field below; absent if this one is absent. Own keys only, so that `constructor` is no field. */
  get(key: string): Field {
    if (!this.present) return new Field(this.document, undefined, [...this.path, key]);
    if (!isRecord(this.value)) return this.fail('must be an object');
    return new Field(this.document, Object.hasOwn(this.value, key) ? this.value[key] : undefined, [
      ...this.path,
      key,
    ]);
  }

  required(): this {
    return this.present ? this : this.fail('is required', undefined);
  }

  /** Absent stays undefined, `[]` stays `[]`. */
  items(): readonly Field[] | undefined {
    if (!this.present) return undefined;
    if (!Array.isArray(this.value)) return this.fail('must be a list');
    return this.value.map((item: unknown, i) => new Field(this.document, item, [...this.path, i]));
  }

  /** The fields that are there, other than those in `known`. */
  others(...known: readonly string[]): readonly Field[] {
    if (!this.present) return [];
    if (!isRecord(this.value)) return this.fail('must be an object');
    return Object.keys(this.value)
      .filter((key) => !known.includes(key))
      .map((key) => this.get(key))
      .filter(({ present }) => present);
  }

  /** Fails on a field that is not in `known`: where a dropped field would widen what is allowed. */
  only(...known: readonly string[]): this {
    if (!this.present) return this;
    if (!isRecord(this.value)) return this.fail('must be an object');
    for (const key of Object.keys(this.value)) {
      if (!known.includes(key)) this.get(key).fail('unknown field');
    }
    return this;
  }

  string(): string {
    this.required();
    return typeof this.value === 'string' ? this.value : this.fail('must be a string');
  }

  stringOrNull(): string | null {
    return this.present && this.value !== '' ? this.string() : null;
  }

  boolean(byDefault: boolean): boolean {
    if (!this.present) return byDefault;
    return typeof this.value === 'boolean' ? this.value : this.fail('must be true or false');
  }

  integer(from: number, to: number): number {
    this.required();
    const value = this.value;
    if (typeof value !== 'number' || !Number.isInteger(value)) return this.fail('must be a whole number');
    return value >= from && value <= to ? value : this.fail(`must be ${from}-${to}`);
  }

  port(): number {
    return this.integer(1, 65535);
  }

  /** Absent and 0 mean "none" for ports that somebody else may assign. */
  portOrNull(): number | null {
    return this.present && this.value !== 0 ? this.port() : null;
  }

  oneOf<const T extends string>(values: readonly T[], byDefault?: T): T {
    if (byDefault !== undefined && (!this.present || this.value === '')) return byDefault;
    this.required();
    return values.find((value) => value === this.value) ?? this.fail(`must be one of ${values.join(', ')}`);
  }

  /** An address in canonical text. */
  ip(): string {
    const text = this.string();
    try {
      return canonicalIp(text);
    } catch {
      return this.fail('is not an IP address');
    }
  }

  /** A prefix in canonical text, host bits cleared. */
  cidr(): ReturnType<typeof parseCidr> {
    const text = this.string();
    try {
      return parseCidr(text);
    } catch {
      return this.fail('is not a CIDR');
    }
  }

  /** A map of strings; empty if absent. `check` is called for every entry. */
  strings(
    check: (entry: Field, key: string, value: string) => void = () => {},
  ): Readonly<Record<string, string>> {
    if (!this.present) return {};
    if (!isRecord(this.value)) return this.fail('must be an object');
    const entries = Object.keys(this.value).map((key) => {
      const entry = this.get(key);
      const value = entry.string();
      check(entry, key, value);
      return [key, value] as const;
    });
    return Object.fromEntries(entries);
  }
}

/** `NetworkPolicy shop/allow-web`, as far as the document tells. */
export function objectName(document: RawDocument): string {
  const metadata = isRecord(document.value) ? document.value['metadata'] : undefined;
  const { name, namespace } = isRecord(metadata) ? metadata : {};
  const kind = document.kind === '' ? 'object' : document.kind;
  if (typeof name !== 'string') return kind;
  return typeof namespace === 'string' ? `${kind} ${namespace}/${name}` : `${kind} ${name}`;
}
