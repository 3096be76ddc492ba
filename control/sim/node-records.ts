/** The nodes' claims to their ids, as both feeds and a cluster on paper have them: the ids follow the nodes' order. */
import type { ClusterConfig } from '../compiler/input.js';
import { nodeAddresses, planNode } from '../ipam/arithmetic.js';
import { toJson } from '../objects/json.js';
import { storedKey } from '../objects/stored-keys.js';
import type { NodeRecord } from '../objects/types.js';
import type { Store } from '../store/store.js';

export function nodeRecords(config: ClusterConfig, nodes: readonly string[]): readonly NodeRecord[] {
  return nodes.map((name, i) => {
    const addresses = nodeAddresses(planNode(config, i + 1));
    const metadata = { name, namespace: null, uid: null, labels: {}, annotations: {} };
    return { kind: 'NodeRecord', metadata, id: i + 1, addresses };
  });
}

/** Puts them into the store before the agents are there, so that it does not matter which agent comes up first. */
export async function reserveNodeIds(
  store: Store,
  config: ClusterConfig,
  nodes: readonly string[],
): Promise<void> {
  for (const record of nodeRecords(config, nodes)) {
    await store.put(storedKey(record), toJson(record));
  }
}
