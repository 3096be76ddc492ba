import { plansOf } from '../ipam/arithmetic.js';
import type { NodeItem } from '../ruleset/types.js';
import { type Context, sortedSet } from './context.js';
import { rangesOf } from './input.js';

/** This node's identity. */
export function compileNode({ self, config }: Context): NodeItem {
  return {
    kind: 'node',
    key: 'node',
    name: self.name,
    id: self.id,
    addresses: self.addresses,
    podSubnets: plansOf(self.plan).map(({ podSubnet }) => podSubnet),
    podCidrs: sortedSet(rangesOf(config).map(({ podSubnetCIDR }) => podSubnetCIDR)),
  };
}
