/**
 * What the journal says is wired here against the links that are really there. A link goes with its sandbox's namespace, so
 * a pod whose link is gone has ended without a DEL: its addresses are freed. A link that no pod has is what a crash left.
 */
import { AddressConflictError } from '../ipam/allocator.js';
import type { PodRecord } from './journal.js';
import { type LinkDriver, POD_LINK_PREFIX } from './links.js';
import { type NodeState, podKey } from './node-state.js';

export interface Audit {
  /** Pods whose link is gone. */
  readonly gone: readonly PodRecord[];
  /** Pod links on the node that belong to no pod. */
  readonly strays: readonly string[];
}

/** Looks at the machine; changes nothing. */
export async function auditPods(
  links: LinkDriver,
  state: NodeState,
  records: readonly PodRecord[],
): Promise<Audit> {
  const present = new Set(await links.podLinks(records.map((record) => state.linkSpec(record))));
  const known = new Set(records.map(({ link }) => link));
  return {
    gone: records.filter(({ link }) => !present.has(link)),
    strays: [...present].filter((link) => !known.has(link) && link.startsWith(POD_LINK_PREFIX)),
  };
}

/**
 * Takes pods of the journal that are still there into the state. One whose addresses are not this node's (the ranges were
 * changed under it) stays wired, and is told: to cut it off is not for us to decide.
 */
export function restorePods(
  state: NodeState,
  records: readonly PodRecord[],
  log: (line: string) => void,
): void {
  const known = new Set(state.pods().map(({ link }) => link));
  for (const record of records) {
    if (known.has(record.link)) continue;
    const name = podKey(record.pod);
    try {
      state.addresses.restore(name, record.addresses);
    } catch (error) {
      if (!(error instanceof AddressConflictError)) throw error;
      log(`pod ${name} stays wired with ${record.addresses.join(', ')}: ${error.message}`);
    }
    state.attach(record);
  }
}
