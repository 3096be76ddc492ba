/** One object as it was read, before validation, and where it stands. */
import { InvalidInputError } from '../common/errors.js';
import type { Source } from './types.js';

/** Keys and list indexes from the top of an object: `['spec', 'ingress', 0, 'ports', 1, 'port']`. */
export type Path = readonly (string | number)[];

export interface RawDocument {
  /** Empty where the input had none (an API's JSON may leave it out). */
  readonly apiVersion: string;
  readonly kind: string;
  readonly value: unknown;
  /** null when it did not come from a file. */
  readonly source: Source | null;
  /** 1-based line of the field, or of the nearest field above it that exists; null without a file. */
  readonly locate: (path: Path) => number | null;
}

/** A field of an object breaks the API's rules. Names file, line, object, field and value. */
export class InvalidObjectError extends InvalidInputError {}

/** The text is no YAML or JSON at all. */
export class SyntaxInputError extends InvalidInputError {}

/** One input holds two objects of the same kind, namespace and name. */
export class DuplicateObjectError extends InvalidInputError {}

/** A document that does not come from a file: an API's JSON, a store, a test. */
export function documentOf(value: unknown): RawDocument {
  const { apiVersion, kind } = isRecord(value) ? value : {};
  return {
    apiVersion: typeof apiVersion === 'string' ? apiVersion : '',
    kind: typeof kind === 'string' ? kind : '',
    value,
    source: null,
    locate: () => null,
  };
}

/**
 * A document made out of a part of another one, such as a pod from a workload's template. Its fields are located at `at`
 * inside the parent, so that an error in the pod names the line in the template.
 */
export function documentFrom(
  parent: RawDocument,
  apiVersion: string,
  kind: string,
  value: unknown,
  at: Path,
): RawDocument {
  return {
    apiVersion,
    kind,
    value,
    source: parent.source,
    locate: (path) => parent.locate([...at, ...path]),
  };
}

/** `spec.ingress[0].ports`; keys that are no plain words are quoted: `metadata.labels["a.b/c"]`. */
export function formatPath(path: Path): string {
  return path.reduce<string>((text, step) => {
    if (typeof step === 'number') return `${text}[${step}]`;
    if (!/^[A-Za-z_][\w-]*$/.test(step)) return `${text}[${JSON.stringify(step)}]`;
    return text === '' ? step : `${text}.${step}`;
  }, '');
}

export function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
