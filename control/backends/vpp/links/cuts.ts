/**
 * Segments of TCP that a TAP hands over whole are cut before they leave by an interface that takes none, and before they enter a tunnel,
 * where their headers are still the first ones.
 */
import type { VppApi } from '../api/api.js';
import type { Descriptor } from '../objects/types.js';
import { interfacesWith } from './features.js';
import { cut } from './objects.js';
import type { CutSpec } from './specs.js';

const FEATURE = { arc: 'ip4-output', name: 'gso-ip4' } as const;

export const cuts: Descriptor<'cut', CutSpec> = {
  kind: 'cut',
  messages: ['feature_gso_enable_disable'],

  async read({ api }) {
    return (await interfacesWith(api, FEATURE)).map((key) => cut({ interface: key }));
  },

  async create({ api, handles }, { spec }) {
    await set(api, handles.get(spec.interface), true);
  },

  async remove({ api, handles }, { spec }) {
    await set(api, handles.get(spec.interface), false);
  },
};

async function set(api: VppApi, sw_if_index: number, enable_disable: boolean): Promise<void> {
  await api.request('feature_gso_enable_disable', { sw_if_index, enable_disable });
}
