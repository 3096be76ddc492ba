/** The addresses that stand for others. VPP cannot be made to forget them: reserved ones say that there are none. */
import type { VppApi } from '../api/api.js';
import { VppRetvalError } from '../api/errors.js';
import { TABLE_IDS, TUNNEL_TABLE } from '../objects/names.js';
import type { Descriptor, VppContext } from '../objects/types.js';
import { addressText } from './api-values.js';
import { type SourceObject, type SourceSpec, source } from './cnat-objects.js';
import { hasFlows } from './cnat-version.js';

/** RFC 7600's dummy address, and the discard prefix of RFC 6666. */
const NONE4 = '192.0.0.8';
const NONE6 = '100::';
const NO_INTERFACE = 0xffff_ffff;
/** Always there, never up. */
const LOCAL_INTERFACE = 0;
/** Of one table for all, and without a route to the addresses: those are the host's as well. */
const FLAGS = ['CNAT_SNAT_POLICY_F_NO_CLIENT', 'CNAT_SNAT_POLICY_F_USE_AS_DEFAULT'];

export const cnatSourceDescriptor: Descriptor<'cnat-source', SourceSpec> = {
  kind: 'cnat-source',
  messages: [
    ...['cnat_set_snat_addresses', 'cnat_get_snat_addresses', 'cnat_set_snat_policy'],
    'sw_interface_set_table',
    'cnat_snat_policy_add_del_if',
  ],

  async read({ api }) {
    const spec = await readSource(api);
    return spec === null ? [] : [source(spec)];
  },

  async create(vpp, { spec }) {
    if (hasFlows(vpp.api)) {
      await prepare(vpp);
      await spareTunnels(vpp, spec);
    }
    await set(vpp.api, spec);
    // What VPP says itself (multicast reports, say) belongs to no flow. Were its source translated, CNAT would do the same to all that does.
    await vpp.api.request('cnat_snat_policy_add_del_if', {
      ...{ sw_if_index: LOCAL_INTERFACE, is_add: 1, table: 'CNAT_POLICY_POD' },
    });
    await vpp.api.request('cnat_set_snat_policy', { policy: 'CNAT_POLICY_K8S' });
  },

  async update({ api }, _old: SourceObject, { spec }) {
    await set(api, spec);
  },

  async remove({ api }) {
    // By interfaces and prefixes, of which there are none now.
    await api.request('cnat_set_snat_policy', { policy: 'CNAT_POLICY_IF_PFX' });
    await set(api, { address4: null, address6: null });
  },
};

/** null: none were ever set, or they were taken away. */
export async function readSource(api: VppApi): Promise<SourceSpec | null> {
  try {
    const reply = await api.request('cnat_get_snat_addresses');
    const [ip4, ip6] = [addressText(reply['snat_ip4']), addressText(reply['snat_ip6'])];
    const spec = {
      address4: ip4 === NONE4 || ip4 === '0.0.0.0' ? null : ip4,
      address6: ip6 === NONE6 || ip6 === '::' ? null : ip6,
    };
    return spec.address4 === null && spec.address6 === null ? null : spec;
  } catch (error) {
    if (error instanceof VppRetvalError) return null;
    throw error;
  }
}

async function set(api: VppApi, { address4, address6 }: SourceSpec): Promise<void> {
  const addresses = {
    ...{ snat_ip4: address4 ?? NONE4, snat_ip6: address6 ?? NONE6, sw_if_index: NO_INTERFACE },
  };
  if (hasFlows(api)) {
    const all = { ...addresses, fwd_fib_index: 0, ret_fib_index: 0, flags: FLAGS };
    await api.request('cnat_set_snat_addresses_v2', all);
  } else {
    await api.request('cnat_set_snat_addresses', addresses);
  }
}

/**
 * CNAT wakes up at the first thing it is told, and then makes room for the flows of a table when an interface is put into it; for those of
 * tables that have interfaces already it never does, and reads what is no memory of its own. So an interface is put into each for a moment.
 */
async function prepare({ api }: VppContext): Promise<void> {
  await api.request('feature_cnat_enable_disable', { sw_if_index: LOCAL_INTERFACE, enable_disable: false });
  for (const vrf_id of [TUNNEL_TABLE, TABLE_IDS.pod, TABLE_IDS.main]) {
    const bind = (is_ipv6: boolean): Promise<unknown> =>
      api.request('sw_interface_set_table', { sw_if_index: LOCAL_INTERFACE, is_ipv6, vrf_id });
    await Promise.all([bind(false), bind(true)]);
  }
}

/**
 * CNAT takes two IPv6 addresses for the same whose last 32 bits are, and a pod of another node that sends to the pod of its number here for
 * one that meets itself. What comes out of tunnels gets rules of its own therefore, that translate nothing. They must be made before those
 * of all the other tables, which would be changed otherwise.
 */
async function spareTunnels({ api }: VppContext, { address6 }: SourceSpec): Promise<void> {
  const [index, pods] = await Promise.all([fibIndex(api, TUNNEL_TABLE), fibIndex(api, TABLE_IDS.pod)]);
  if (index === null || (await readSource(api)) !== null) return;
  // Ports are kept up to the number of the last table with rules of its own, and of those below that have none there are no ports.
  if (pods !== null && pods < index) return;
  await api.request('cnat_set_snat_addresses_v2', {
    ...{ fwd_fib_index: index, ret_fib_index: index, sw_if_index: NO_INTERFACE },
    ...{ snat_ip4: '0.0.0.0', snat_ip6: address6 ?? NONE6, flags: ['CNAT_SNAT_POLICY_F_NO_CLIENT'] },
  });
  await api.cli(`set cnat snat-policy if-pfx fib ${index}`);
}

/** VPP's own number of an IPv6 table; null: there is no such table. */
async function fibIndex(api: VppApi, table: number): Promise<number | null> {
  const text = await api.cli(`show ip6 fib table ${table} summary`);
  const index = /fib_index:(\d+)/.exec(text)?.[1];
  return index === undefined ? null : Number(index);
}
