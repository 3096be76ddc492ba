/** Addresses and pods of the node, and the nodes it knows. */

import type { ClusterConfig } from '../../compiler/input.js';
import { podInterfaceKey } from '../../compiler/interfaces.js';
import { NodeIdRangeError, planNode, plansOf } from '../../ipam/arithmetic.js';
import type { Agent } from '../agent.js';
import type { Query } from './query.js';
import { json, list, type Route } from './route.js';
import { type AgentSource, running } from './source.js';

export function addressRoutes(source: AgentSource): readonly Route[] {
  return [
    {
      method: 'GET',
      path: '/config',
      summary: 'the cluster configuration this agent works with, defaults filled in',
      query: [],
      handle: () => json(source.config),
    },
    {
      method: 'GET',
      path: '/ipam',
      summary: 'node id, the addresses that follow from it, and how much of each pod address pool is used',
      query: [],
      handle: () => json(ipamOf(running(source))),
    },
    {
      method: 'GET',
      path: '/ipam/allocations',
      summary: 'address by address, the pod that has it',
      query: ['address'],
      handle: (query) => list(allocations(running(source), query.text('address'))),
    },
    {
      method: 'GET',
      path: '/pods',
      summary: 'pods wired on this node, as the journal keeps them',
      query: ['namespace', 'name'],
      handle: (query) => list(podsOf(running(source), query)),
    },
    {
      method: 'GET',
      path: '/nodes',
      summary: 'the nodes this one knows: id, underlay addresses, pod subnets',
      query: [],
      handle: () => list(nodesOf(running(source))),
    },
  ];
}

function ipamOf({ id, state }: Agent): object {
  const { record, plan } = state.identity;
  return { node: record.metadata.name, id, addresses: record.addresses, plan, pools: state.addresses.use() };
}

function* allocations({ state }: Agent, wanted: string | null): Iterable<object> {
  for (const { pod, containerId, addresses } of state.pods()) {
    for (const address of addresses) {
      if (wanted === null || wanted === address) yield { address, ...pod, containerId };
    }
  }
}

function* podsOf({ state, inForce }: Agent, query: Query): Iterable<object> {
  const [namespace, name] = [query.text('namespace'), query.text('name')];
  for (const record of state.pods()) {
    if (namespace !== null && record.pod.namespace !== namespace) continue;
    if (name !== null && record.pod.name !== name) continue;
    yield { ...record, inForce: inForce?.has(podInterfaceKey(record.pod)) ?? false };
  }
}

function* nodesOf({ state }: Agent): Iterable<object> {
  for (const { id, metadata, addresses } of state.model.all('NodeRecord')) {
    yield { id, name: metadata.name, addresses, podSubnets: podSubnets(state.config, id) };
  }
}

/** [] for an id the ranges have no room for: such a node cannot be reached. */
function podSubnets(config: ClusterConfig, id: number): readonly string[] {
  try {
    return plansOf(planNode(config, id)).map(({ podSubnet }) => podSubnet);
  } catch (error) {
    if (error instanceof NodeIdRangeError) return [];
    throw error;
  }
}
