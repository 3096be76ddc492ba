/**
 * Interfaces that are up. Pods' come last, so that none of their packets meets a half-made node, or the pod has no policy yet; and they go
 * first, for the same reason.
 *
 * Old versions close the socket of a link that goes down, and close its number again when the interface goes: by then it may be that of
 * another interface. There an interface that goes stays up, and what VPP has for interfaces without IP drops its packets until it is gone.
 */
import type { Fields, VppApi } from '../api/api.js';
import type { Descriptor } from '../objects/types.js';
import { type Feature, hasAny, interfacesWith } from './features.js';
import { readInterfaces, SOUND_SOCKETS } from './interfaces.js';
import { up } from './objects.js';
import type { UpSpec } from './specs.js';

const UP = 'IF_STATUS_API_FLAG_ADMIN_UP';
const CLOSED: Feature = { arc: 'ip4-unicast', name: 'ip4-not-enabled' };
const CLOSED6: Feature = { arc: 'ip6-unicast', name: 'ip6-not-enabled' };

export const ups: Descriptor<'up', UpSpec> = {
  kind: 'up',
  messages: ['sw_interface_set_flags', 'feature_enable_disable'],

  async read({ api }) {
    const details = (await readInterfaces(api)).filter(
      ({ flags }) => Array.isArray(flags) && flags.includes(UP),
    );
    const onSockets = details.some((fields) => losesItsSocket(api, fields));
    const closed = new Set(onSockets ? await interfacesWith(api, CLOSED) : []);
    return details
      .filter(
        (fields) =>
          !losesItsSocket(api, fields) || !isPod(String(fields['tag'])) || !closed.has(String(fields['tag'])),
      )
      .map(({ tag }) => up({ interface: String(tag) }));
  },

  async create({ api, handles }, { spec }) {
    const index = handles.get(spec.interface);
    // One whose removal was begun, and who stays after all. Of others nothing is asked: routes are told next, for which they must be up.
    if (isOld(api) && isPod(spec.interface)) {
      const fields = await detailsOf(api, index);
      if (losesItsSocket(api, fields) && (await hasAny(api, fields, [CLOSED])))
        await close(api, index, false);
    }
    await set(api, index, [UP]);
  },

  async remove({ api, handles }, { spec }) {
    const index = handles.get(spec.interface);
    if (!isOld(api) || !losesItsSocket(api, await detailsOf(api, index))) await set(api, index, []);
    else if (isPod(spec.interface)) await close(api, index, true);
  },
};

function isPod(key: string): boolean {
  return key.startsWith('if/pod/');
}

function isOld({ version }: { readonly version: string }): boolean {
  return version < SOUND_SOCKETS;
}

function losesItsSocket(api: { readonly version: string }, details: Fields): boolean {
  return isOld(api) && String(details['interface_name']).startsWith('host-');
}

async function detailsOf(api: VppApi, sw_if_index: number): Promise<Fields> {
  const [details] = await api.dump('sw_interface_dump', { sw_if_index });
  return details ?? {};
}

async function close(api: VppApi, sw_if_index: number, enable: boolean): Promise<void> {
  await Promise.all(
    [CLOSED, CLOSED6].map(({ arc, name }) =>
      api.request('feature_enable_disable', { sw_if_index, enable, arc_name: arc, feature_name: name }),
    ),
  );
}

async function set(api: VppApi, sw_if_index: number, flags: readonly string[]): Promise<void> {
  await api.request('sw_interface_set_flags', { sw_if_index, flags });
}
