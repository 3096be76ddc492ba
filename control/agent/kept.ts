/** What the agent keeps of the store on this machine's disk, and starting from it while the store is away. */
import { errorText, PteropusError } from '../common/errors.js';
import { readStored } from '../objects/stored.js';
import { COMPLETE_KEY } from '../objects/stored-keys.js';
import type { KubeObject, NodeRecord } from '../objects/types.js';
import { Mirror } from '../store/mirror.js';
import type { Snapshot, Store } from '../store/store.js';
import type { JournalState } from './journal.js';

/** The objects as they were when the store was read last. */
export interface KeptObjects {
  readonly objects: readonly KubeObject[];
  readonly revision: number;
  /** This node's own record. */
  readonly record: NodeRecord;
}

export interface KeptSpec {
  readonly node: string;
  /** Path of the mirror; null = nothing is kept. */
  readonly path: string | null;
  readonly store: Store;
  /** How long a store is waited for before the agent starts from the mirror, milliseconds. */
  readonly waitMs: number;
  readonly log: (line: string) => void;
}

/**
 * Opens the mirror; `kept` is what to start from: null while the store answers, and where nothing usable was kept or the node
 * has no journal (a first start needs the store).
 */
export async function openKept(
  { node, path, store, waitMs, log }: KeptSpec,
  journaled: JournalState | null,
): Promise<{ readonly mirror: Mirror | null; readonly kept: KeptObjects | null }> {
  if (path === null) return { mirror: null, kept: null };
  const { mirror, content, damage } = await Mirror.open(path, log);
  if (damage !== null) log(`${damage}; it is made anew from the store`);
  if (content === null || journaled === null || (await answers(store, waitMs))) return { mirror, kept: null };
  const kept = readKept(content, node, journaled.id);
  log(
    kept === null
      ? `the store is away, and ${path} does not hold this node's record: waiting for the store`
      : `the store is away: starting with its state of revision ${kept.revision}, kept in ${path}`,
  );
  return { mirror, kept };
}

/** Whether the store answers within the time. Throws what is no failure of the store. */
export async function answers(store: Store, waitMs: number): Promise<boolean> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<boolean>((resolve) => {
    timer = setTimeout(() => resolve(false), waitMs);
  });
  const asked = store.get(COMPLETE_KEY).then(
    () => true,
    (error: unknown) => {
      if (error instanceof PteropusError && error.retryable) return false;
      throw new PteropusError(`the store cannot be used: ${errorText(error)}`, { cause: error });
    },
  );
  try {
    return await Promise.race([asked, late]);
  } finally {
    clearTimeout(timer);
    asked.catch(() => undefined);
  }
}

function readKept({ entries, revision }: Snapshot, node: string, id: number): KeptObjects | null {
  const objects = entries.flatMap(({ key, value }) => readStored(key, value).object ?? []);
  const record = objects.find(
    (object): object is NodeRecord =>
      object.kind === 'NodeRecord' && object.metadata.name === node && object.id === id,
  );
  return record === undefined ? null : { objects, revision, record };
}
