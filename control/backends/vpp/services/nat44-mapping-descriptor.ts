/** Mappings of NAT44-ED. VPP keeps those of one local and those of several apart. */
import type { Fields, Value } from '../api/api.js';
import type { Descriptor, VppContext } from '../objects/types.js';
import { addressText, protocolNumber, protocolOf } from './api-values.js';
import { has, isOn, TAG } from './nat44-descriptors.js';
import { type Local, type MappingObject, type MappingSpec, mapping } from './nat44-objects.js';

const NO_INTERFACE = 0xffff_ffff;

export const mappingDescriptor: Descriptor<'nat44-mapping', MappingSpec> = {
  kind: 'nat44-mapping',
  messages: [
    ...['nat44_add_del_static_mapping_v2', 'nat44_static_mapping_dump', 'nat44_add_del_lb_static_mapping'],
    ...['nat44_lb_static_mapping_add_del_local', 'nat44_lb_static_mapping_dump'],
  ],

  async read(vpp) {
    if (!(await isOn(vpp))) return [];
    const [single, several] = await Promise.all([
      vpp.api.dump('nat44_static_mapping_dump'),
      vpp.api.dump('nat44_lb_static_mapping_dump'),
    ]);
    return [...single.map(ofOne), ...several.map(ofSeveral)].filter((object) => object !== null);
  },

  create: (vpp, { spec }) => set(vpp, spec, true),

  async update(vpp, old, { spec }) {
    if (canChange(old.spec, spec)) {
      await changeLocals(vpp, old.spec, spec);
      return;
    }
    await set(vpp, old.spec, false);
    await set(vpp, spec, true);
  },

  remove: (vpp, { spec }) => set(vpp, spec, false),
};

function canChange(old: MappingSpec, now: MappingSpec): boolean {
  const several = old.locals.length > 1 && now.locals.length > 1;
  return several && old.source === now.source && old.affinity === now.affinity;
}

/** Connections to backends that stay are not touched. New ones come first: VPP wants two at any time. */
async function changeLocals({ api }: VppContext, old: MappingSpec, now: MappingSpec): Promise<void> {
  const key = ({ address, port, share, table }: Local): string => `${address} ${port} ${share} ${table}`;
  const [before, after] = [new Set(old.locals.map(key)), new Set(now.locals.map(key))];
  const change = (local: Local, is_add: boolean): Promise<unknown> =>
    api.request('nat44_lb_static_mapping_add_del_local', {
      ...{ is_add, external_addr: now.address, external_port: now.port },
      ...{ protocol: protocolNumber(now.protocol), local: fieldsOf(local) },
    });
  const place = ({ address, port }: Local): string => `${address} ${port}`;
  const kept = new Set(old.locals.map(place));
  const added = now.locals.filter((local) => !before.has(key(local)));
  // One that changes its share goes first: VPP knows it by its address and port.
  const [changed, fresh] = [
    added.filter((local) => kept.has(place(local))),
    added.filter((local) => !kept.has(place(local))),
  ];
  const gone = old.locals.filter((local) => !after.has(key(local)));
  await Promise.all([
    ...fresh.map((local) => change(local, true)),
    ...gone.map((local) => change(local, false)),
    ...changed.map((local) => change(local, true)),
  ]);
}

async function set({ api }: VppContext, spec: MappingSpec, is_add: boolean): Promise<void> {
  const flags = [
    'NAT_IS_OUT2IN_ONLY',
    spec.source === 'always' ? 'NAT_IS_TWICE_NAT' : 'NAT_IS_SELF_TWICE_NAT',
  ];
  const common = {
    is_add,
    flags,
    protocol: protocolNumber(spec.protocol),
    external_port: spec.port,
    tag: tagOf(spec),
  };
  const [only, ...others] = spec.locals;
  if (only !== undefined && others.length === 0) {
    await api.request('nat44_add_del_static_mapping_v2', {
      ...{
        ...common,
        match_pool: false,
        external_ip_address: spec.address,
        external_sw_if_index: NO_INTERFACE,
      },
      ...{ local_ip_address: only.address, local_port: only.port, vrf_id: only.table },
    });
    return;
  }
  await api.request('nat44_add_del_lb_static_mapping', {
    ...{ ...common, external_addr: spec.address, affinity: spec.affinity },
    ...{ local_num: spec.locals.length, locals: spec.locals.map(fieldsOf) },
  });
}

function fieldsOf({ address, port, share, table }: Local): Fields {
  return { addr: address, port, probability: share, vrf_id: table };
}

const sourceOf = (flags: Value | undefined): MappingSpec['source'] =>
  has(flags, 'SELF_TWICE_NAT') ? 'self' : 'always';

function ofOne(fields: Fields): MappingObject | null {
  const [protocol, affinity] = [protocolOf(fields['protocol']), affinityOf(fields)];
  if (protocol === null || affinity === null) return null;
  const local = {
    ...{ address: addressText(fields['local_ip_address']), port: Number(fields['local_port']), share: 0 },
    table: Number(fields['vrf_id']),
  };
  return mapping({
    ...{
      address: addressText(fields['external_ip_address']),
      port: Number(fields['external_port']),
      protocol,
    },
    ...{ source: sourceOf(fields['flags']), affinity, locals: [local] },
  });
}

function ofSeveral(fields: Fields): MappingObject | null {
  const [protocol, affinity] = [protocolOf(fields['protocol']), affinityOf(fields)];
  if (protocol === null || affinity === null) return null;
  const locals = (fields['locals'] as readonly Value[]).map((value): Local => {
    const local = value as Fields;
    return {
      ...{ address: addressText(local['addr']), port: Number(local['port']) },
      ...{ share: Number(local['probability']), table: Number(local['vrf_id']) },
    };
  });
  const key = ({ address, port }: Local): string => `${address} ${port}`;
  return mapping({
    ...{ address: addressText(fields['external_addr']), port: Number(fields['external_port']), protocol },
    ...{ source: sourceOf(fields['flags']), affinity },
    locals: locals.sort((a, b) => (key(a) < key(b) ? -1 : 1)),
  });
}

/** VPP does not tell the affinity of what it has: it is in the tag. */
const tagOf = ({ affinity }: MappingSpec): string => `${TAG} affinity ${affinity}`;

/** null: somebody else's. */
function affinityOf(fields: Fields): number | null {
  const [, seconds] = /^pteropus affinity (\d+)/.exec(String(fields['tag'])) ?? [];
  return seconds === undefined ? null : Number(seconds);
}
