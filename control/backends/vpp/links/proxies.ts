/** ARP answered on behalf of an address. */
import type { VppApi } from '../api/api.js';
import type { Descriptor } from '../objects/types.js';
import { proxyAddress, proxyInterface } from './objects.js';
import type { ProxyAddressSpec, ProxyInterfaceSpec } from './specs.js';

interface ProxyFields {
  readonly table_id: number;
  readonly low: string;
  readonly hi: string;
}

export const proxyAddresses: Descriptor<'proxy-address', ProxyAddressSpec> = {
  kind: 'proxy-address',
  messages: ['proxy_arp_add_del', 'proxy_arp_dump'],

  async read({ api }) {
    const details = await api.dump('proxy_arp_dump');
    return details
      .map((fields) => fields['proxy'] as unknown as ProxyFields)
      .filter(({ low, hi }) => low === hi)
      .map(({ table_id, low }) => proxyAddress({ table: table_id, address: low }));
  },

  async create({ api }, { spec }) {
    await set(api, spec, true);
  },

  async remove({ api }, { spec }) {
    await set(api, spec, false);
  },
};

async function set(api: VppApi, { table, address }: ProxyAddressSpec, is_add: boolean): Promise<void> {
  await api.request('proxy_arp_add_del', { is_add, proxy: { table_id: table, low: address, hi: address } });
}

export const proxyInterfaces: Descriptor<'proxy-interface', ProxyInterfaceSpec> = {
  kind: 'proxy-interface',
  messages: ['proxy_arp_intfc_enable_disable', 'proxy_arp_intfc_dump'],

  async read({ api, handles }) {
    const details = await api.dump('proxy_arp_intfc_dump');
    return details.flatMap((fields) => {
      const key = handles.keyOf('if', Number(fields['sw_if_index']));
      return key === undefined ? [] : [proxyInterface({ interface: key })];
    });
  },

  async create({ api, handles }, { spec }) {
    const sw_if_index = handles.get(spec.interface);
    await api.request('proxy_arp_intfc_enable_disable', { sw_if_index, enable: true });
  },

  async remove({ api, handles }, { spec }) {
    const sw_if_index = handles.get(spec.interface);
    await api.request('proxy_arp_intfc_enable_disable', { sw_if_index, enable: false });
  },
};
