/** The addresses that stand for others. VPP cannot be made to forget them: reserved ones say that there are none. */
import type { VppApi } from '../api/api.js';
import { VppRetvalError } from '../api/errors.js';
import { TABLE_IDS } from '../objects/names.js';
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
  ],

  async read({ api }) {
    const spec = await readSource(api);
    return spec === null ? [] : [source(spec)];
  },

  async create(vpp, { spec }) {
    await prepare(vpp);
    await set(vpp.api, spec);
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
 * tables that have interfaces already it never does, and reads what is no memory of its own. So an interface is put into the pods' table
 * for a moment.
 */
async function prepare({ api }: VppContext): Promise<void> {
  if (!hasFlows(api)) return;
  await api.request('feature_cnat_enable_disable', { sw_if_index: LOCAL_INTERFACE, enable_disable: false });
  const bind = (is_ipv6: boolean, vrf_id: number): Promise<unknown> =>
    api.request('sw_interface_set_table', { sw_if_index: LOCAL_INTERFACE, is_ipv6, vrf_id });
  for (const table of [TABLE_IDS.pod, TABLE_IDS.main]) {
    await Promise.all([bind(false, table), bind(true, table)]);
  }
}
