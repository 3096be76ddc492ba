/**
 * A node's agent configuration from what all nodes share: the cluster's address plan, settings, and what the kubelet tells of this node.
 */
import { type AgentConfig, parseAgentConfig } from '../agent/agent-config.js';
import { isMapping } from '../cni/mapping.js';
import { InvalidInputError } from '../common/errors.js';

export interface ThisNode {
  /** Kubernetes name (spec.nodeName). */
  readonly name: string;
  /** The addresses the kubelet reports (status.hostIPs), the first family first. */
  readonly addresses: readonly string[];
}

export interface Rendered {
  /** As it is written: the agent checks it again. */
  readonly text: string;
  readonly config: AgentConfig;
}

/**
 * `settings`: the agent's configuration without `node` and `cluster`, with fields of its own: `uplinks` (node name -> link, where it is
 * another than `uplink`), `underlayAddresses` (node name -> addresses, for a cluster without nodeInterconnectCIDR), and `$ADDRESS` in
 * `rest.listen`, which stands for the node's first address. Throws InvalidInputError naming `object` and field.
 */
export function renderAgentConfig(
  settings: unknown,
  cluster: unknown,
  node: ThisNode,
  object: string,
): Rendered {
  if (!isMapping(settings)) throw new InvalidInputError('must be a JSON object', { object, value: settings });
  const { uplinks, underlayAddresses, uplink, rest, ...others } = settings;
  const own = (value: unknown, field: string): unknown => {
    if (value === undefined || value === null) return undefined;
    if (!isMapping(value))
      throw new InvalidInputError('must be a mapping of node names', { object, field, value });
    return Object.hasOwn(value, node.name) ? value[node.name] : undefined;
  };
  const addresses = own(underlayAddresses, 'underlayAddresses');
  const value = {
    ...others,
    node: node.name,
    uplink: own(uplinks, 'uplinks') ?? uplink,
    ...(rest === undefined ? {} : { rest: restOf(rest, node) }),
    ...(addresses === undefined ? {} : { addresses }),
    cluster,
  };
  return { text: `${JSON.stringify(value, null, 2)}\n`, config: parseAgentConfig(value, object) };
}

/** A configuration of another program: only `$ADDRESS` in `rest.listen` is replaced. Throws InvalidInputError. */
export function fillAddress(settings: unknown, node: Pick<ThisNode, 'addresses'>, object: string): string {
  if (!isMapping(settings)) throw new InvalidInputError('must be a JSON object', { object, value: settings });
  const { rest, ...others } = settings;
  const filled = { ...others, ...(rest === undefined ? {} : { rest: restOf(rest, node) }) };
  return `${JSON.stringify(filled, null, 2)}\n`;
}

function restOf(rest: unknown, node: Pick<ThisNode, 'addresses'>): unknown {
  if (!isMapping(rest) || typeof rest['listen'] !== 'string') return rest;
  const [first] = node.addresses;
  if (first === undefined) return rest;
  const address = first.includes(':') ? `[${first}]` : first;
  return { ...rest, listen: rest['listen'].replace('$ADDRESS', address) };
}
