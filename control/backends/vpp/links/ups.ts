/** Interfaces that are up. Pods' come last, so that none of their packets meets a half-made node, or the pod has no policy yet. */
import type { VppApi } from '../api/api.js';
import type { Descriptor } from '../objects/types.js';
import { readInterfaces } from './interfaces.js';
import { up } from './objects.js';
import type { UpSpec } from './specs.js';

const UP = 'IF_STATUS_API_FLAG_ADMIN_UP';

export const ups: Descriptor<'up', UpSpec> = {
  kind: 'up',
  messages: ['sw_interface_set_flags'],

  async read({ api }) {
    const details = await readInterfaces(api);
    return details
      .filter(({ flags }) => Array.isArray(flags) && flags.includes(UP))
      .map(({ tag }) => up({ interface: String(tag) }));
  },

  create: ({ api, handles }, { spec }) => set(api, handles.get(spec.interface), [UP]),
  remove: ({ api, handles }, { spec }) => set(api, handles.get(spec.interface), []),
};

async function set(api: VppApi, sw_if_index: number, flags: readonly string[]): Promise<void> {
  await api.request('sw_interface_set_flags', { sw_if_index, flags });
}
