/** The mesh's bridge domain, its members, and who is behind which of them. */
import type { Fields, VppApi } from '../api/api.js';
import type { Descriptor } from '../objects/types.js';
import * as make from './objects.js';
import type { BridgeEntryObject, BridgeEntrySpec, BridgeSpec, MemberObject, MemberSpec } from './specs.js';

const TAG = 'pteropus';
const ALL = 0xffff_ffff;

interface MemberFields {
  readonly sw_if_index: number;
  readonly shg: number;
}

async function readBridges(api: VppApi): Promise<readonly Fields[]> {
  const details = await api.dump('bridge_domain_dump', { bd_id: ALL, sw_if_index: ALL });
  return details.filter((fields) => fields['bd_tag'] === TAG);
}

export const bridges: Descriptor<'bridge', BridgeSpec> = {
  kind: 'bridge',
  messages: ['bridge_domain_add_del', 'bridge_domain_dump'],

  async read({ api }) {
    return (await readBridges(api)).map((fields) => make.bridge({ id: Number(fields['bd_id']) }));
  },

  async create({ api }, { spec }) {
    await api.request('bridge_domain_add_del', {
      ...{ bd_id: spec.id, bd_tag: TAG, is_add: true, forward: true },
      ...{ flood: false, uu_flood: false, learn: false, arp_term: false, arp_ufwd: false },
    });
  },

  async remove({ api }, { spec }) {
    await api.request('bridge_domain_add_del', { bd_id: spec.id, is_add: false });
  },
};

export const members: Descriptor<'bridge-member', MemberSpec> = {
  kind: 'bridge-member',
  messages: ['sw_interface_set_l2_bridge', 'bridge_domain_dump'],

  async read({ api, handles }) {
    return (await readBridges(api)).flatMap((fields): MemberObject[] => {
      const bridge = Number(fields['bd_id']);
      const list = fields['sw_if_details'] as unknown as readonly MemberFields[];
      return list.flatMap(({ sw_if_index, shg: group }) => {
        const key = handles.keyOf('if', sw_if_index);
        const bvi = sw_if_index === fields['bvi_sw_if_index'];
        return key === undefined ? [] : [make.member({ bridge, interface: key, bvi, group })];
      });
    });
  },

  async create({ api, handles }, { spec }) {
    await join(api, handles.get(spec.interface), spec, true);
  },

  async remove({ api, handles }, { spec }) {
    await join(api, handles.get(spec.interface), spec, false);
  },
};

async function join(api: VppApi, index: number, spec: MemberSpec, enable: boolean): Promise<void> {
  const port_type = spec.bvi ? 'L2_API_PORT_TYPE_BVI' : 'L2_API_PORT_TYPE_NORMAL';
  await api.request('sw_interface_set_l2_bridge', {
    ...{ rx_sw_if_index: index, bd_id: spec.bridge, port_type, shg: spec.group, enable },
  });
}

export const bridgeEntries: Descriptor<'bridge-entry', BridgeEntrySpec> = {
  kind: 'bridge-entry',
  messages: ['l2fib_add_del', 'l2_fib_table_dump'],

  async read({ api, handles }) {
    const found = await Promise.all(
      (await readBridges(api)).map((fields) =>
        api.dump('l2_fib_table_dump', { bd_id: Number(fields['bd_id']) }),
      ),
    );
    return found.flat().flatMap((fields): BridgeEntryObject[] => {
      const key = handles.keyOf('if', Number(fields['sw_if_index']));
      // VPP enters the MAC of the virtual interface itself.
      if (key === undefined || fields['bvi_mac'] === true || fields['static_mac'] !== true) return [];
      const [bridge, mac] = [Number(fields['bd_id']), String(fields['mac'])];
      return [make.bridgeEntry({ bridge, mac, interface: key })];
    });
  },

  async create({ api, handles }, { spec }) {
    await enter(api, spec, { is_add: true, static_mac: true, sw_if_index: handles.get(spec.interface) });
  },

  /** An entry that is there already takes the new interface. */
  async update({ api, handles }, _old, { spec }) {
    await enter(api, spec, { is_add: true, static_mac: true, sw_if_index: handles.get(spec.interface) });
  },

  async remove({ api, handles }, { spec }) {
    await enter(api, spec, { is_add: false, sw_if_index: handles.get(spec.interface) });
  },
};

async function enter(api: VppApi, { bridge, mac }: BridgeEntrySpec, fields: Fields): Promise<void> {
  await api.request('l2fib_add_del', { bd_id: bridge, mac, ...fields });
}
