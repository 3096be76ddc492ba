/**
 * Pods are told their gateway's MAC, and VPP theirs, so ARP has nothing to say at their interfaces. VPP would answer whoever asks with a
 * neighbor's address as his own, and would learn that.
 */
import type { VppApi } from '../api/api.js';
import type { Descriptor } from '../objects/types.js';
import { type Feature, interfacesWith } from './features.js';
import { readInterfaces } from './interfaces.js';
import { arpOff } from './objects.js';
import type { ArpOffSpec } from './specs.js';

const ARC = 'arp';
const REPLY: Feature = { arc: ARC, name: 'arp-reply' };
/** Where IPv4 is off, VPP has this in its place. */
const DISABLED: Feature = { arc: ARC, name: 'arp-disabled' };

export const arpOffs: Descriptor<'arp-off', ArpOffSpec> = {
  kind: 'arp-off',
  messages: ['feature_enable_disable'],

  async read({ api }) {
    const [details, either] = await Promise.all([readInterfaces(api), interfacesWith(api, REPLY, DISABLED)]);
    const others = new Set(either);
    // Bridged ones have neither.
    const pods = details.map(({ tag }) => String(tag)).filter((key) => key.startsWith('if/pod/'));
    const keys = pods.filter((key) => !others.has(key));
    return keys.map((key) => arpOff({ interface: key }));
  },

  async create({ api, handles }, { spec }) {
    await set(api, handles.get(spec.interface), false);
  },

  async remove({ api, handles }, { spec }) {
    await set(api, handles.get(spec.interface), true);
  },
};

async function set(api: VppApi, sw_if_index: number, enable: boolean): Promise<void> {
  await api.request('feature_enable_disable', {
    ...{ sw_if_index, enable, arc_name: REPLY.arc, feature_name: REPLY.name },
  });
}
