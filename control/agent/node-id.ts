/**
 * Claims a node id in the store: one key for each id, taken by compare-and-swap, lowest free first. The
 * journal remembers it, so that a node keeps its id when the store is emptied; a conflict is refused, never guessed.
 */

import { fromJson, toJson } from '../objects/json.js';
import { DATAPLANE_ANNOTATION, NODES_PREFIX, nodeKey } from '../objects/stored-keys.js';
import type { NodeRecord } from '../objects/types.js';
import type { Ip } from '../ruleset/types.js';
import type { Entry, Store } from '../store/store.js';
import { NodeIdConflictError, NodeIdsExhaustedError, NodeIdTakenError } from './errors.js';

export interface NodeClaim {
  readonly node: string;
  /** The id the journal holds; null = none yet. */
  readonly journaled: number | null;
  /** Ids go from 1 to this. */
  readonly largest: number;
  /** The underlay addresses that go with an id. */
  readonly addresses: (id: number) => readonly Ip[];
  /** What carries the node's packets; absent: our own data plane. */
  readonly dataplane?: 'vpp';
}

/**
 * Resolves with this node's record once it is in the store. Throws NodeIdConflictError when two claims meet,
 * NodeIdsExhaustedError when none is free.
 */
export async function claimNodeId(store: Store, claim: NodeClaim): Promise<NodeRecord> {
  // Every lost race means that another node got an id, so this ends.
  for (;;) {
    const { entries } = await store.list(NODES_PREFIX);
    const { id, old } = chooseId(entries, claim);
    const record = recordOf(claim.node, id, claim.addresses(id), claim.dataplane);
    const value = toJson(record);
    if (old !== null && old.value === value) return record;
    const condition = { key: nodeKey(id), revision: old?.revision ?? 0 };
    const { ok } = await store.transact([condition], [{ type: 'put', key: condition.key, value }]);
    if (ok) return record;
  }
}

interface Holder {
  readonly name: string;
  readonly addresses: readonly Ip[];
  readonly entry: Entry;
}

export function recordOf(
  node: string,
  id: number,
  addresses: readonly Ip[],
  dataplane?: NodeClaim['dataplane'],
): NodeRecord {
  const annotations = dataplane === undefined ? {} : { [DATAPLANE_ANNOTATION]: dataplane };
  return {
    kind: 'NodeRecord',
    metadata: { name: node, namespace: null, uid: null, labels: {}, annotations },
    id,
    addresses,
  };
}

/** The id to claim, and the own record that is there already. */
function chooseId(
  entries: readonly Entry[],
  claim: NodeClaim,
): { readonly id: number; readonly old: Entry | null } {
  const holders = new Map<number, Holder>();
  for (const entry of entries) {
    const record = fromJson(entry.value, entry.key);
    if (record.kind !== 'NodeRecord' || entry.key !== nodeKey(record.id)) {
      throw new NodeIdConflictError('is not a record of the node id in its key', { object: entry.key });
    }
    holders.set(record.id, { name: record.metadata.name, addresses: record.addresses, entry });
  }
  const own = [...holders].filter(([, { name }]) => name === claim.node);
  const [first, second] = own;
  const object = `node ${claim.node}`;
  if (first !== undefined && second !== undefined) {
    throw new NodeIdConflictError(`two records claim this node: ids ${first[0]} and ${second[0]}`, {
      object,
    });
  }
  if (first !== undefined) {
    const [id, { entry }] = first;
    if (claim.journaled !== null && claim.journaled !== id) {
      throw new NodeIdConflictError(`the journal says id ${claim.journaled}, the store says ${id}`, {
        object,
      });
    }
    checkAddresses(holders, claim, id);
    return { id, old: entry };
  }
  if (claim.journaled !== null) {
    const other = holders.get(claim.journaled);
    if (other !== undefined) {
      throw new NodeIdTakenError(`its id ${claim.journaled} is claimed by node ${other.name}`, { object });
    }
    checkAddresses(holders, claim, claim.journaled);
    return { id: claim.journaled, old: null };
  }
  for (let id = 1; id <= claim.largest; id++) {
    if (holders.has(id)) continue;
    checkAddresses(holders, claim, id);
    return { id, old: null };
  }
  throw new NodeIdsExhaustedError(`all ${claim.largest} node ids are taken`, { object });
}

/** Two nodes cannot share an underlay address: tunnels to one would end at the other. */
function checkAddresses(holders: ReadonlyMap<number, Holder>, claim: NodeClaim, id: number): void {
  const own = claim.addresses(id);
  for (const [other, { name, addresses }] of holders) {
    const shared = addresses.find((address) => own.includes(address));
    if (name === claim.node || shared === undefined) continue;
    throw new NodeIdConflictError(`its address ${shared} is claimed by node ${name}, id ${other}`, {
      object: `node ${claim.node}`,
    });
  }
}
