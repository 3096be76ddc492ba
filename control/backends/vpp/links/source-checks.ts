/** Who sends what is not his is dropped: the route back to a packet's source must lead out of the interface it came in by (plugin urpf). */
import type { Fields, VppApi } from '../api/api.js';
import type { Descriptor } from '../objects/types.js';
import { interfacesWith } from './features.js';
import { sourceCheck } from './objects.js';
import { FAMILIES, type SourceCheckObject, type SourceCheckSpec } from './specs.js';

const STRICT = 'URPF_API_MODE_STRICT';
const OFF = 'URPF_API_MODE_OFF';

export const sourceChecks: Descriptor<'source-check', SourceCheckSpec> = {
  kind: 'source-check',
  messages: ['urpf_update'],

  async read({ api, handles }) {
    if (!api.has('urpf_interface_dump')) return readFeatures(api);
    const details = await api.dump('urpf_interface_dump', { sw_if_index: 0xffff_ffff });
    return details.flatMap((fields): SourceCheckObject[] => {
      const key = handles.keyOf('if', Number(fields['sw_if_index']));
      if (key === undefined || fields['is_input'] !== true || fields['mode'] !== STRICT) return [];
      return [sourceCheck({ interface: key, family: fields['af'] === 'ADDRESS_IP6' ? 6 : 4 })];
    });
  },

  async create({ api, handles }, { spec }) {
    await set(api, handles.get(spec.interface), spec.family, STRICT);
  },

  async remove({ api, handles }, { spec }) {
    await set(api, handles.get(spec.interface), spec.family, OFF);
  },
};

async function set(api: VppApi, sw_if_index: number, family: 4 | 6, mode: string): Promise<void> {
  const fields: Fields = { is_input: true, mode, af: `ADDRESS_IP${family}`, sw_if_index };
  await api.request('urpf_update', fields);
}

async function readFeatures(api: VppApi): Promise<readonly SourceCheckObject[]> {
  const found = await Promise.all(
    FAMILIES.map(async (family) => {
      const feature = { arc: `ip${family}-unicast`, name: `ip${family}-rx-urpf-strict` };
      return (await interfacesWith(api, feature)).map((key) => sourceCheck({ interface: key, family }));
    }),
  );
  return found.flat();
}
