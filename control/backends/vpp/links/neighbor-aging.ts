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

/**
 * Releases before this one ask for IPv6 neighbors by ARP, get no answer, and forget all of them: every 34 s a packet to each would be lost.
 * There they are believed until they say otherwise; the limit says what it stands for.
 */
const SOUND_PROBES = '23.06';

const believes = (api: VppApi, family: 4 | 6): boolean => family === 6 && api.version < SOUND_PROBES;

export const neighborAgings: Descriptor<'neighbor-aging', NeighborAgingSpec> = {
  kind: 'neighbor-aging',
  messages: ['ip_neighbor_config'],

  async read({ api }) {
    const text = await api.cli('show ip neighbor-config');
    return FAMILIES.flatMap((family) => {
      const { age, limit } = settingsIn(text, family);
      const seconds = believes(api, family) ? Math.max(NEVER, limit - LIMIT) : age;
      return seconds === NEVER ? [] : [neighborAging({ family, seconds })];
    });
  },

  create: ({ api }, { spec }) => set(api, spec),
  update: ({ api }, _old, { spec }) => set(api, spec),
  remove: ({ api }, { spec }) => set(api, { ...spec, seconds: NEVER }),
};

/** Each family's name is followed by a line of its settings. */
function settingsIn(text: string, family: 4 | 6): { readonly limit: number; readonly age: number } {
  const [, limit, age] = new RegExp(`ip${family}:\\s+limit:(\\d+), age:(\\d+)`, 'i').exec(text) ?? [];
  return { limit: Number(limit ?? LIMIT), age: Number(age ?? NEVER) };
}

async function set(api: VppApi, { family, seconds }: NeighborAgingSpec): Promise<void> {
  await api.request('ip_neighbor_config', {
    ...(believes(api, family)
      ? { max_number: LIMIT + seconds, max_age: NEVER }
      : { max_number: LIMIT, max_age: seconds }),
    ...{ af: `ADDRESS_IP${family}`, recycle: true },
  });
}
