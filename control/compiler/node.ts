import type { NodeItem } from '../ruleset/types.js';
import { type Context, sortedSet } from './context.js';

/** This node's identity. */
export function compileNode({ self, config }: Context): NodeItem {
  return {
    kind: 'node',
    key: 'node',
    name: self.name,
    id: self.id,
    addresses: self.addresses,
    podSubnets: [self.plan.podSubnet],
    podCidrs: sortedSet([config.podSubnetCIDR]),
  };
}
