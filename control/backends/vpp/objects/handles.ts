/** The numbers VPP gave to objects, found both ways. */
import { PteropusError } from '../../../common/errors.js';
import type { Handles, ObjectKey } from './types.js';

/** VPP's number of an object was asked for before VPP gave one. */
export class NoHandleError extends PteropusError {}

export class HandleTable implements Handles {
  readonly #handles = new Map<ObjectKey, number>();
  readonly #keys = new Map<string, Map<number, ObjectKey>>();

  get(key: ObjectKey): number {
    const handle = this.#handles.get(key);
    if (handle === undefined) throw new NoHandleError('VPP gave it no number', { object: key });
    return handle;
  }

  find(key: ObjectKey): number | undefined {
    return this.#handles.get(key);
  }

  keyOf(kind: string, handle: number): ObjectKey | undefined {
    return this.#keys.get(kind)?.get(handle);
  }

  set(key: ObjectKey, handle: number): void {
    this.delete(key);
    this.#handles.set(key, handle);
    const kind = kindOf(key);
    const keys = this.#keys.get(kind) ?? new Map<number, ObjectKey>();
    keys.set(handle, key);
    this.#keys.set(kind, keys);
  }

  delete(key: ObjectKey): void {
    const handle = this.#handles.get(key);
    if (handle === undefined) return;
    this.#handles.delete(key);
    const keys = this.#keys.get(kindOf(key));
    // The number may be another object's by now.
    if (keys?.get(handle) === key) keys.delete(handle);
  }

  clear(): void {
    this.#handles.clear();
    this.#keys.clear();
  }

  /** The same numbers, for who may come to know others. */
  copy(): HandleTable {
    const copy = new HandleTable();
    for (const [key, handle] of this.#handles) copy.set(key, handle);
    return copy;
  }
}

/** The part of a key before the first slash. */
function kindOf(key: ObjectKey): string {
  const slash = key.indexOf('/');
  return slash < 0 ? key : key.slice(0, slash);
}
