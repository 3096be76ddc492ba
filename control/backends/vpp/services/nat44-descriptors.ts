/** That NAT44-ED is on, its addresses, what keeps its address, and at which interfaces it works. */
import type { Fields, Value } from '../api/api.js';
import type { Descriptor, ObjectKey, VppContext } from '../objects/types.js';
import { addressText } from './api-values.js';
import {
  type IdentitySpec,
  identity,
  type Nat44InterfaceSpec,
  type Nat44Spec,
  nat44,
  nat44Interface,
  type PoolSpec,
  pool,
} from './nat44-objects.js';

/** Every table. */
const ANY_TABLE = 0xffff_ffff;
const NO_INTERFACE = 0xffff_ffff;
/** Of the number of sessions VPP makes room for. */
const SESSIONS = 1_048_576;
export const TAG = 'pteropus';

export const has = (flags: Value | undefined, flag: string): boolean =>
  Array.isArray(flags) && flags.includes(`NAT_IS_${flag}`);

/** Whether it is on; nothing else can be asked of it where it is off. */
export async function isOn({ api }: VppContext): Promise<boolean> {
  const config = await api.request('nat44_show_running_config');
  // Off, it has room for none.
  return Number(config['sessions']) > 0;
}

export const nat44Descriptor: Descriptor<'nat44', Nat44Spec> = {
  kind: 'nat44',
  messages: [
    'nat44_ed_plugin_enable_disable',
    'nat44_forwarding_enable_disable',
    'nat44_show_running_config',
  ],

  async read({ api }) {
    const config = await api.request('nat44_show_running_config');
    return Number(config['sessions']) > 0
      ? [nat44({ forwarding: config['forwarding_enabled'] === true })]
      : [];
  },

  async create(vpp, { spec }) {
    await vpp.api.request('nat44_ed_plugin_enable_disable', { sessions: SESSIONS, enable: true });
    await vpp.api.request('nat44_forwarding_enable_disable', { enable: spec.forwarding });
  },

  async update({ api }, _old, { spec }) {
    await api.request('nat44_forwarding_enable_disable', { enable: spec.forwarding });
  },

  async remove({ api }) {
    await api.request('nat44_ed_plugin_enable_disable', { enable: false });
  },
};

export const poolDescriptor: Descriptor<'nat44-pool', PoolSpec> = {
  kind: 'nat44-pool',
  messages: ['nat44_add_del_address_range', 'nat44_address_dump'],

  async read(vpp) {
    if (!(await isOn(vpp))) return [];
    const details = await vpp.api.dump('nat44_address_dump');
    return details.map((fields) =>
      pool({ address: addressText(fields['ip_address']), twice: has(fields['flags'], 'TWICE_NAT') }),
    );
  },

  create: (vpp, { spec }) => setPool(vpp, spec, true),
  remove: (vpp, { spec }) => setPool(vpp, spec, false),
};

async function setPool({ api }: VppContext, { address, twice }: PoolSpec, is_add: boolean): Promise<void> {
  await api.request('nat44_add_del_address_range', {
    ...{ first_ip_address: address, last_ip_address: address, vrf_id: ANY_TABLE, is_add },
    flags: twice ? ['NAT_IS_TWICE_NAT'] : [],
  });
}

export const identityDescriptor: Descriptor<'nat44-identity', IdentitySpec> = {
  kind: 'nat44-identity',
  messages: ['nat44_add_del_identity_mapping', 'nat44_identity_mapping_dump'],

  async read(vpp) {
    if (!(await isOn(vpp))) return [];
    const details = await vpp.api.dump('nat44_identity_mapping_dump');
    return details.map((fields) =>
      identity({
        address: addressText(fields['ip_address']),
        port: has(fields['flags'], 'ADDR_ONLY') ? null : Number(fields['port']),
        table: Number(fields['vrf_id']),
      }),
    );
  },

  create: (vpp, { spec }) => setIdentity(vpp, spec, true),
  remove: (vpp, { spec }) => setIdentity(vpp, spec, false),
};

async function setIdentity({ api }: VppContext, spec: IdentitySpec, is_add: boolean): Promise<void> {
  await api.request('nat44_add_del_identity_mapping', {
    ...{ is_add, flags: spec.port === null ? ['NAT_IS_ADDR_ONLY'] : [], ip_address: spec.address },
    ...{ protocol: spec.port === null ? 0 : 17, port: spec.port ?? 0, sw_if_index: NO_INTERFACE },
    ...{ vrf_id: spec.table, tag: TAG },
  });
}

export const nat44InterfaceDescriptor: Descriptor<'nat44-interface', Nat44InterfaceSpec> = {
  kind: 'nat44-interface',
  messages: [
    ...['nat44_interface_add_del_feature', 'nat44_interface_dump'],
    ...['nat44_ed_add_del_output_interface', 'nat44_ed_output_interface_get'],
  ],

  async read(vpp) {
    if (!(await isOn(vpp))) return [];
    const { api, handles } = vpp;
    const [inside, output] = await Promise.all([
      api.dump('nat44_interface_dump'),
      api.dump('nat44_ed_output_interface_get', { cursor: 0 }),
    ]);
    const of = (place: Nat44InterfaceSpec['place']) => (fields: Fields) => {
      const at: ObjectKey | undefined = handles.keyOf('if', Number(fields['sw_if_index']));
      return at === undefined ? [] : [nat44Interface({ interface: at, place })];
    };
    return [...inside.flatMap(of('both')), ...output.flatMap(of('output'))];
  },

  create: (vpp, { spec }) => setInterface(vpp, spec, true),
  remove: (vpp, { spec }) => setInterface(vpp, spec, false),
};

async function setInterface(
  { api, handles }: VppContext,
  spec: Nat44InterfaceSpec,
  is_add: boolean,
): Promise<void> {
  const sw_if_index = handles.get(spec.interface);
  if (spec.place === 'output') {
    await api.request('nat44_ed_add_del_output_interface', { is_add, sw_if_index });
    return;
  }
  // VPP makes one of the two of them.
  await Promise.all(
    ['NAT_IS_INSIDE', 'NAT_IS_OUTSIDE'].map((flag) =>
      api.request('nat44_interface_add_del_feature', { is_add, flags: [flag], sw_if_index }),
    ),
  );
}
