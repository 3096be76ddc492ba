/** Static neighbors of our interfaces. What VPP learned by ARP and ND is its own. */
import type { Fields, VppApi } from '../api/api.js';
import type { Descriptor } from '../objects/types.js';
import { neighbor } from './objects.js';
import type { NeighborObject, NeighborSpec } from './specs.js';

const STATIC = 'IP_API_NEIGHBOR_FLAG_STATIC';
const NO_FIB = 'IP_API_NEIGHBOR_FLAG_NO_FIB_ENTRY';

interface NeighborFields {
  readonly sw_if_index: number;
  readonly flags: readonly string[];
  readonly mac_address: string;
  readonly ip_address: string;
}

export const neighbors: Descriptor<'neighbor', NeighborSpec> = {
  kind: 'neighbor',
  messages: ['ip_neighbor_add_del', 'ip_neighbor_dump'],

  async read({ api, handles }) {
    const details = await Promise.all(
      ['ADDRESS_IP4', 'ADDRESS_IP6'].map((af) =>
        api.dump('ip_neighbor_dump', { sw_if_index: 0xffff_ffff, af }),
      ),
    );
    return details.flat().flatMap((fields): NeighborObject[] => {
      const found = fields['neighbor'] as unknown as NeighborFields;
      const key = handles.keyOf('if', found.sw_if_index);
      if (key === undefined || !found.flags.includes(STATIC)) return [];
      const { ip_address: ip, mac_address: mac } = found;
      return [neighbor({ interface: key, ip, mac, fib: !found.flags.includes(NO_FIB) })];
    });
  },

  async create({ api, handles }, { spec }) {
    await set(api, handles.get(spec.interface), spec, true);
  },

  async update({ api, handles }, old, { spec }) {
    const index = handles.get(spec.interface);
    const requests = [set(api, index, spec, true)];
    // A new MAC takes the old one's place; whether it is a way by itself is settled when it is made.
    if (old.spec.fib !== spec.fib) requests.unshift(set(api, index, old.spec, false));
    await Promise.all(requests);
  },

  async remove({ api, handles }, { spec }) {
    await set(api, handles.get(spec.interface), spec, false);
  },
};

function set(api: VppApi, sw_if_index: number, spec: NeighborSpec, is_add: boolean): Promise<Fields> {
  const flags = spec.fib ? [STATIC] : [STATIC, NO_FIB];
  return api.request('ip_neighbor_add_del', {
    is_add,
    neighbor: { sw_if_index, flags, mac_address: spec.mac, ip_address: spec.ip },
  });
}
