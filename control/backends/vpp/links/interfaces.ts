/**
 * Interfaces. Each carries its object's key as its tag, so that it is known again; the tag is set last and taken away first, so that an
 * interface with a tag is whole.
 */
import type { Fields, VppApi } from '../api/api.js';
import type { Descriptor, VppContext } from '../objects/types.js';
import { readSources, sourceByName } from './interface-reading.js';
import { createInterface, deleteInterface, indexOf } from './interface-sources.js';
import { iface } from './objects.js';
import type { InterfaceSource, InterfaceSpec } from './specs.js';

const OURS = /^if\//;
const UP = 'IF_STATUS_API_FLAG_ADMIN_UP';
/** Releases before this one close the packet socket of an interface that goes down, and never open it again. */
export const SOUND_SOCKETS = '26.06';
/** A table that is never wanted. */
const NO_TABLE = -1;

/** sw_interface_details of our interfaces. Throws what VppApi.dump throws. */
export async function readInterfaces(api: VppApi): Promise<readonly Fields[]> {
  const all = await api.dump('sw_interface_dump', { sw_if_index: 0xffff_ffff });
  return all.filter((details) => OURS.test(String(details['tag'])));
}

export const interfaces: Descriptor<'if', InterfaceSpec> = {
  kind: 'if',
  messages: [
    ...['sw_interface_dump', 'sw_interface_tag_add_del', 'sw_interface_set_table', 'sw_interface_get_table'],
    'sw_interface_set_mac_address',
  ],

  async read({ api, handles }) {
    const [details, sources] = await Promise.all([readInterfaces(api), readSources(api)]);
    return Promise.all(
      details.map(async (fields) => {
        const index = indexOf(fields);
        const key = String(fields['tag']);
        const source = sources.get(index) ?? sourceByName(fields);
        handles.set(key, index);
        const table = isDead(api, source, fields) ? NO_TABLE : await readTable(api, index);
        return iface(key, { source, mac: macOf(source, fields), table });
      }),
    );
  },

  async create(vpp, { key, spec }) {
    const { api } = vpp;
    const index = await createInterface(api, spec);
    try {
      await dress(api, index, spec);
      await api.request('sw_interface_tag_add_del', { is_add: true, sw_if_index: index, tag: key });
    } catch (error) {
      await deleteInterface(api, spec.source, index).catch(() => undefined);
      throw error;
    }
    vpp.handles.set(key, index);
  },

  async remove({ api, handles }: VppContext, { key, spec }) {
    const index = handles.get(key);
    await api.request('sw_interface_tag_add_del', { is_add: false, sw_if_index: index });
    if (spec.source.type === 'existing') await setTable(api, index, 0);
    await deleteInterface(api, spec.source, index);
  },
};

/** What the message that made it could not say. */
async function dress(api: VppApi, index: number, { source, mac, table }: InterfaceSpec): Promise<void> {
  const requests: Promise<unknown>[] = [];
  if (mac !== null && (source.type === 'existing' || source.type === 'af_xdp')) {
    requests.push(api.request('sw_interface_set_mac_address', { sw_if_index: index, mac_address: mac }));
  }
  if (table !== 0) requests.push(setTable(api, index, table));
  await Promise.all(requests);
}

async function setTable(api: VppApi, sw_if_index: number, vrf_id: number): Promise<void> {
  await Promise.all(
    [false, true].map((is_ipv6) => api.request('sw_interface_set_table', { sw_if_index, is_ipv6, vrf_id })),
  );
}

/** It has to be made anew. */
function isDead(
  { version }: { readonly version: string },
  source: InterfaceSource,
  details: Fields,
): boolean {
  const { flags } = details;
  const down = !(Array.isArray(flags) && flags.includes(UP));
  return source.type === 'af_packet' && down && version < SOUND_SOCKETS;
}

/** NO_TABLE where the families are not in the same one. */
async function readTable(api: VppApi, sw_if_index: number): Promise<number> {
  const [ip4, ip6] = await Promise.all(
    [false, true].map((is_ipv6) => api.request('sw_interface_get_table', { sw_if_index, is_ipv6 })),
  );
  return ip4?.['vrf_id'] === ip6?.['vrf_id'] ? Number(ip4?.['vrf_id']) : NO_TABLE;
}

function macOf(source: InterfaceSource, details: Fields): string | null {
  return source.type === 'vxlan' ? null : String(details['l2_address']);
}
