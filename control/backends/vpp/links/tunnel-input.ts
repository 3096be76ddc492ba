/**
 * Tunnel packets are taken out of the uplink's traffic by VPP's VXLAN bypass: only those to one of our tunnels' own addresses, from its
 * peer, with its VNI. All others go where their destination's route leads, to the host, like any datagram.
 */
import type { VppApi } from '../api/api.js';
import type { Descriptor } from '../objects/types.js';
import { interfacesWith } from './features.js';
import { tunnelInput } from './objects.js';
import { FAMILIES, type TunnelInputSpec } from './specs.js';

export const tunnelInputs: Descriptor<'tunnel-input', TunnelInputSpec> = {
  kind: 'tunnel-input',
  messages: ['sw_interface_set_vxlan_bypass'],

  async read({ api }) {
    const found = await Promise.all(
      FAMILIES.map(async (family) => {
        const feature = { arc: `ip${family}-unicast`, name: `ip${family}-vxlan-bypass` };
        return (await interfacesWith(api, feature)).map((key) => tunnelInput({ interface: key, family }));
      }),
    );
    return found.flat();
  },

  async create({ api, handles }, { spec }) {
    const index = handles.get(spec.interface);
    // VPP remembers it for the number of an interface that is gone, and then does nothing for a new one that has this number.
    await Promise.all([set(api, index, spec.family, false), set(api, index, spec.family, true)]);
  },

  async remove({ api, handles }, { spec }) {
    await set(api, handles.get(spec.interface), spec.family, false);
  },
};

async function set(api: VppApi, sw_if_index: number, family: 4 | 6, enable: boolean): Promise<void> {
  await api.request('sw_interface_set_vxlan_bypass', { sw_if_index, is_ipv6: family === 6, enable });
}
