/** Reads what VPP holds of ours. */
import type { HandleTable } from './handles.js';
import type { ReadOnce } from './read-once.js';
import type { There } from './there.js';
import type { Descriptor, VppContext } from './types.js';

export interface Reading {
  /** Its connection asks the same only once, until that is forgotten. */
  readonly vpp: VppContext & { readonly handles: HandleTable };
  readonly once: ReadOnce;
  /** In the order in which they are read. */
  readonly descriptors: readonly Descriptor[];
  /** Becomes what was read. */
  readonly there: There;
}

/** Throws what VPP refuses, and when VPP is lost; then nothing of what is there is known. */
export async function readAll({ vpp, once, descriptors, there }: Reading): Promise<void> {
  vpp.handles.clear();
  there.clear();
  try {
    for (const descriptor of descriptors) await readKind(descriptor, vpp, there);
  } finally {
    once.forget();
  }
}

/** Objects of some kinds; the others stay as they are known. Throws as `readAll`. */
export async function readKinds(
  { vpp, once, descriptors, there }: Reading,
  kinds: ReadonlySet<string>,
): Promise<void> {
  try {
    for (const descriptor of descriptors) {
      if (!kinds.has(descriptor.kind)) continue;
      for (const { kind, key } of [...there.values()]) {
        if (kind !== descriptor.kind) continue;
        there.delete(key);
        vpp.handles.delete(key);
      }
      await readKind(descriptor, vpp, there);
    }
  } finally {
    once.forget();
  }
}

async function readKind(descriptor: Descriptor, vpp: VppContext, there: There): Promise<void> {
  for (const object of await descriptor.read(vpp)) there.set(object);
}
