/** Equality of what VPP is told. */
import type { VppObject } from './types.js';

/** Whether two values of plain data are equal, whatever the order of an object's fields; an undefined field is no field. */
export function sameValue(a: unknown, b: unknown): boolean {
  if (a === b) return true;
  if (typeof a !== 'object' || typeof b !== 'object' || a === null || b === null) return false;
  if (Array.isArray(a) || a instanceof Uint8Array) {
    if (!(Array.isArray(b) || b instanceof Uint8Array) || Array.isArray(a) !== Array.isArray(b)) return false;
    if (a.length !== b.length) return false;
    for (let i = 0; i < a.length; i++) if (!sameValue(a[i], b[i])) return false;
    return true;
  }
  if (Array.isArray(b) || b instanceof Uint8Array) return false;
  const [left, right] = [a as Plain, b as Plain];
  for (const key in left) if (!sameValue(left[key], right[key])) return false;
  for (const key in right) if (right[key] !== undefined && left[key] === undefined) return false;
  return true;
}

type Plain = Readonly<Record<string, unknown>>;

/** Whether VPP would hold the same: kind and spec. Whatever else they carry is ours alone. */
export function sameObject(a: VppObject, b: VppObject): boolean {
  return a === b || (a.kind === b.kind && sameValue(a.spec, b.spec));
}
