/** Who sends what is not his is dropped: the route back to a packet's source must lead out of the interface it came in by (plugin urpf). */
import type { Fields, VppApi } from '../api/api.js';
import type { Descriptor } from '../objects/types.js';
import { interfacesWith } from './features.js';
import { sourceCheck } from './objects.js';
import { FAMILIES, type SourceCheckSpec } from './specs.js';

const STRICT = 'URPF_API_MODE_STRICT';
const OFF = 'URPF_API_MODE_OFF';

export const sourceChecks: Descriptor<'source-check', SourceCheckSpec> = {
  kind: 'source-check',
  messages: ['urpf_update'],

  /** Not from the plugin's own list: that keeps the modes of interfaces that are gone, for whichever gets their numbers. */
  async read({ api }) {
    const found = await Promise.all(
      FAMILIES.map(async (family) => {
        const feature = { arc: `ip${family}-unicast`, name: `ip${family}-rx-urpf-strict` };
        return (await interfacesWith(api, feature)).map((key) => sourceCheck({ interface: key, family }));
      }),
    );
    return found.flat();
  },

  async create({ api, handles }, { spec }) {
    const index = handles.get(spec.interface);
    // And does nothing where it believes to have done it.
    await Promise.all([set(api, index, spec.family, OFF), set(api, index, spec.family, STRICT)]);
  },

  async remove({ api, handles }, { spec }) {
    await set(api, handles.get(spec.interface), spec.family, OFF);
  },
};

async function set(api: VppApi, sw_if_index: number, family: 4 | 6, mode: string): Promise<void> {
  const fields: Fields = { is_input: true, mode, af: `ADDRESS_IP${family}`, sw_if_index };
  await api.request('urpf_update', fields);
}
