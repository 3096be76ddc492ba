/**
 * How long VPP believes what it learned by ARP and ND without hearing of it again: then it asks three times, a second apart, and forgets.
 * Without that a router that another one stands in for would be missed until it says so itself. One setting of each family for all of VPP.
 */
import type { VppApi } from '../api/api.js';
import type { Descriptor } from '../objects/types.js';
import { neighborAging } from './objects.js';
import { FAMILIES, type NeighborAgingSpec } from './specs.js';

/** What VPP has by itself. */
const LIMIT = 50_000;
const NEVER = 0;

export const neighborAgings: Descriptor<'neighbor-aging', NeighborAgingSpec> = {
  kind: 'neighbor-aging',
  messages: ['ip_neighbor_config'],

  async read({ api }) {
    const text = await api.cli('show ip neighbor-config');
    return FAMILIES.flatMap((family) => {
      const seconds = agingIn(text, family);
      return seconds === NEVER ? [] : [neighborAging({ family, seconds })];
    });
  },

  create: ({ api }, { spec }) => set(api, spec),
  update: ({ api }, _old, { spec }) => set(api, spec),
  remove: ({ api }, { spec }) => set(api, { ...spec, seconds: NEVER }),
};

/** Each family's name is followed by a line of its settings. */
export function agingIn(text: string, family: 4 | 6): number {
  const pattern = new RegExp(`ip${family}:\\s+limit:\\d+, age:(\\d+)`, 'i');
  return Number(pattern.exec(text)?.[1] ?? NEVER);
}

async function set(api: VppApi, { family, seconds }: NeighborAgingSpec): Promise<void> {
  await api.request('ip_neighbor_config', {
    ...{ af: `ADDRESS_IP${family}`, max_number: LIMIT, max_age: seconds, recycle: true },
  });
}
