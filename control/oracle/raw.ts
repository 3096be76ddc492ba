/**
 * How the oracle reads objects: straight from the API's JSON, without validation and without anything the compiler uses, so that
 * the two cannot share a mistake. Whatever has the wrong type reads as absent; `null` is absent.
 */
export type Raw = Readonly<Record<string, unknown>>;

export function at(value: unknown, ...path: readonly string[]): unknown {
  let here = value;
  for (const key of path) {
    if (typeof here !== 'object' || here === null || !Object.hasOwn(here, key)) return undefined;
    here = (here as Raw)[key];
  }
  return here ?? undefined;
}

/** A list, or undefined where there is none: an empty list is a list. */
export function listAt(value: unknown, ...path: readonly string[]): readonly unknown[] | undefined {
  const list = at(value, ...path);
  return Array.isArray(list) ? (list as readonly unknown[]) : undefined;
}

export function textAt(value: unknown, ...path: readonly string[]): string | undefined {
  const text = at(value, ...path);
  return typeof text === 'string' && text !== '' ? text : undefined;
}

export function numberAt(value: unknown, ...path: readonly string[]): number | undefined {
  const number = at(value, ...path);
  return typeof number === 'number' ? number : undefined;
}

export function labelsOf(object: unknown): Raw {
  return (at(object, 'metadata', 'labels') ?? {}) as Raw;
}

export function nameOf(object: unknown): string {
  return textAt(object, 'metadata', 'name') ?? '';
}

export function namespaceOf(object: unknown): string {
  return textAt(object, 'metadata', 'namespace') ?? 'default';
}
