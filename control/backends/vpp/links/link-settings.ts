/** Largest packet, IPv6, and whose addresses are used: all of it changes while packets pass. */
import type { Fields, VppApi } from '../api/api.js';
import { VppRetvalError } from '../api/errors.js';
import type { Descriptor, VppContext } from '../objects/types.js';
import { indexOf } from './interface-sources.js';
import { readInterfaces } from './interfaces.js';
import { link } from './objects.js';
import type { LinkSpec } from './specs.js';

export const links: Descriptor<'link', LinkSpec> = {
  kind: 'link',
  messages: [
    ...['sw_interface_set_mtu', 'sw_interface_set_unnumbered', 'ip_unnumbered_dump'],
    ...['sw_interface_ip6_enable_disable', 'sw_interface_ip6nd_ra_config'],
    'sw_interface_ip6_get_link_local_address',
  ],

  async read({ api, handles }) {
    const [details, unnumbered] = await Promise.all([
      readInterfaces(api),
      api.dump('ip_unnumbered_dump', { sw_if_index: 0xffff_ffff }),
    ]);
    const users = new Map(
      unnumbered.map((fields) => [indexOf(fields), handles.keyOf('if', Number(fields['ip_sw_if_index']))]),
    );
    return Promise.all(
      details.map(async (fields) => {
        const index = indexOf(fields);
        const ip6 = await hasIp6(api, index);
        const spec = { interface: String(fields['tag']), mtu: mtuOf(fields), ip6 };
        return link({ ...spec, unnumbered: users.get(index) ?? null });
      }),
    );
  },

  async create(vpp, { spec }) {
    await change(vpp, null, spec);
  },

  async update(vpp, old, { spec }) {
    await change(vpp, old.spec, spec);
  },

  async remove({ api, handles }, { spec }) {
    const sw_if_index = handles.get(spec.interface);
    await Promise.all([
      ...unnumber(api, handles.get(spec.interface), spec.unnumbered, handles, false),
      ...(spec.ip6 ? [api.request('sw_interface_ip6_enable_disable', { sw_if_index, enable: false })] : []),
    ]);
  },
};

/** `old` null: as VPP makes an interface. */
async function change(vpp: VppContext, old: LinkSpec | null, now: LinkSpec): Promise<void> {
  const { api, handles } = vpp;
  const sw_if_index = handles.get(now.interface);
  const requests: Promise<unknown>[] = [];
  if (now.mtu !== old?.mtu) {
    requests.push(api.request('sw_interface_set_mtu', { sw_if_index, mtu: [now.mtu, 0, 0, 0] }));
  }
  if (now.unnumbered !== (old?.unnumbered ?? null)) {
    requests.push(...unnumber(api, sw_if_index, old?.unnumbered ?? null, handles, false));
    requests.push(...unnumber(api, sw_if_index, now.unnumbered, handles, true));
  }
  if (now.ip6 !== (old?.ip6 ?? false)) {
    requests.push(api.request('sw_interface_ip6_enable_disable', { sw_if_index, enable: now.ip6 }));
    // VPP advertises itself as a router where it is not told otherwise.
    if (now.ip6) {
      requests.push(api.request('sw_interface_ip6nd_ra_config', { sw_if_index, suppress: 1 }));
    }
  }
  await Promise.all(requests);
}

function unnumber(
  api: VppApi,
  index: number,
  other: string | null,
  handles: VppContext['handles'],
  is_add: boolean,
): Promise<unknown>[] {
  if (other === null) return [];
  // The message calls the user unnumbered_sw_if_index, and the interface whose addresses it uses sw_if_index.
  const fields: Fields = { sw_if_index: handles.get(other), unnumbered_sw_if_index: index, is_add };
  return [api.request('sw_interface_set_unnumbered', fields)];
}

/** Of layer 3; 0 where the protocols have one each. */
function mtuOf({ mtu }: Fields): number {
  return Array.isArray(mtu) ? Number(mtu[0]) : 0;
}

/** VPP has no link-local address for an interface where IPv6 is off. */
async function hasIp6(api: VppApi, sw_if_index: number): Promise<boolean> {
  try {
    const { ip } = await api.request('sw_interface_ip6_get_link_local_address', { sw_if_index });
    return ip !== '::';
  } catch (error) {
    if (error instanceof VppRetvalError) return false;
    throw error;
  }
}
