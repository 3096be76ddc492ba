/** Interfaces that are up. Pods' come last, so that none of their packets meets a half-made node, or the pod has no policy yet. */
import type { VppApi } from '../api/api.js';
import type { Descriptor } from '../objects/types.js';
import { readInterfaces, SOUND_SOCKETS } from './interfaces.js';
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
  async remove({ api, handles }, { spec }) {
    const index = handles.get(spec.interface);
    if (!(await losesItsSocket(api, index))) await set(api, index, []);
  },
};

/**
 * Old versions close the socket of a link that goes down, and close its number again when the interface goes: by then it may be that of
 * another interface. Such a one stays up until it goes, which it does next.
 */
async function losesItsSocket(api: VppApi, sw_if_index: number): Promise<boolean> {
  if (api.version >= SOUND_SOCKETS) return false;
  const [details] = await api.dump('sw_interface_dump', { sw_if_index });
  return String(details?.['interface_name']).startsWith('host-');
}

async function set(api: VppApi, sw_if_index: number, flags: readonly string[]): Promise<void> {
  await api.request('sw_interface_set_flags', { sw_if_index, flags });
}
