/** Addresses of our interfaces. */
import type { VppApi } from '../api/api.js';
import type { Descriptor } from '../objects/types.js';
import { indexOf } from './interface-sources.js';
import { readInterfaces } from './interfaces.js';
import { address } from './objects.js';
import type { AddressObject, AddressSpec } from './specs.js';

const LINK_LOCAL = /^fe[89ab]/;

export const addresses: Descriptor<'address', AddressSpec> = {
  kind: 'address',
  messages: ['sw_interface_add_del_address', 'ip_address_dump', 'ip_unnumbered_dump'],

  async read({ api }) {
    const [details, unnumbered] = await Promise.all([
      readInterfaces(api),
      api.dump('ip_unnumbered_dump', { sw_if_index: 0xffff_ffff }),
    ]);
    // An unnumbered interface tells the addresses of the one it uses.
    const borrowing = new Set(unnumbered.map(indexOf));
    const own = details.filter((fields) => !borrowing.has(indexOf(fields)));
    const found = await Promise.all(
      own.map((fields) => readAddresses(api, indexOf(fields), String(fields['tag']))),
    );
    return found.flat();
  },

  async create({ api, handles }, { spec }) {
    await set(api, handles.get(spec.interface), spec.prefix, true);
  },

  async remove({ api, handles }, { spec }) {
    await set(api, handles.get(spec.interface), spec.prefix, false);
  },
};

async function set(api: VppApi, sw_if_index: number, prefix: string, is_add: boolean): Promise<void> {
  await api.request('sw_interface_add_del_address', { sw_if_index, is_add, prefix });
}

async function readAddresses(
  api: VppApi,
  sw_if_index: number,
  key: string,
): Promise<readonly AddressObject[]> {
  const found = await Promise.all(
    [false, true].map((is_ipv6) => api.dump('ip_address_dump', { sw_if_index, is_ipv6 })),
  );
  return found
    .flat()
    .map((fields) => String(fields['prefix']))
    .filter((prefix) => !LINK_LOCAL.test(prefix))
    .map((prefix) => address({ interface: key, prefix }));
}
