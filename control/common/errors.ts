/**
 * The base of every error Pteropus throws on purpose.
 *
 * An error names the object it is about and the offending value, keeps its cause, and says whether retrying can help. There is
 * one subclass per kind of failure, so that callers test with `instanceof`, never by text.
 */
export interface ErrorDetails {
  /** What the error is about: `NetworkPolicy shop/allow-web`, a link name, a path. */
  readonly object?: string;
  /** The field inside the object, as a path: `spec.ingress[0].ports[1].port`. */
  readonly field?: string;
  /** The offending value. */
  readonly value?: unknown;
  /** The file and line (1-based) the object came from, where there is one. */
  readonly file?: string;
  readonly line?: number;
  readonly cause?: unknown;
  /** True if the same action may succeed later without anyone changing anything. */
  readonly retryable?: boolean;
}

export class PteropusError extends Error {
  readonly object: string | undefined;
  readonly field: string | undefined;
  readonly value: unknown;
  readonly file: string | undefined;
  readonly line: number | undefined;
  readonly retryable: boolean;

  constructor(message: string, details: ErrorDetails = {}) {
    super(describe(message, details), details.cause === undefined ? undefined : { cause: details.cause });
    this.name = new.target.name;
    this.object = details.object;
    this.field = details.field;
    this.value = details.value;
    this.file = details.file;
    this.line = details.line;
    this.retryable = details.retryable ?? false;
  }
}

function describe(message: string, d: ErrorDetails): string {
  const where = d.file === undefined ? '' : d.line === undefined ? `${d.file}: ` : `${d.file}:${d.line}: `;
  const what = d.object === undefined ? '' : `${d.object}: `;
  const field = d.field === undefined ? '' : `${d.field}: `;
  const got = 'value' in d ? ` (got ${show(d.value)})` : '';
  return `${where}${what}${field}${message}${got}`;
}

/** A value as errors show it: as JSON where possible, at most 120 characters. */
export function show(value: unknown): string {
  const text = value === undefined ? 'nothing' : (JSON.stringify(value, plainBigint) ?? String(value));
  return text.length > 120 ? `${text.slice(0, 117)}...` : text;
}

/** JSON has no bigint. */
function plainBigint(_key: string, value: unknown): unknown {
  return typeof value === 'bigint' ? value.toString() : value;
}

/** A user's input is wrong: a manifest, an option, a configuration file. */
export class InvalidInputError extends PteropusError {}

/** The text of anything that was thrown. */
export function errorText(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
