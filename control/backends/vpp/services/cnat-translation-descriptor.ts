/** CNAT's translations. What VPP does not tell of one is kept in the source ports of its paths, which it has no use for. */
import type { Fields, Value, VppApi } from '../api/api.js';
import type { Descriptor, VppContext } from '../objects/types.js';
import { addressText, protocolName, protocolOf } from './api-values.js';
import { type Path, type TranslationObject, type TranslationSpec, translation } from './cnat-objects.js';
import { hasFlows } from './cnat-version.js';
import { NoAffinityError } from './errors.js';

const NONE = 0xffff_ffff;
const MAGLEV = 'CNAT_LB_TYPE_MAGLEV';
/** Bits of a path's source port; the others count its copies. */
const AFFINITY = 0x8000;
const COPIES = 0x7fff;
/** No route to the address, so that it is reached as always where nothing is translated. */
const FLAG_NO_ROUTE = 8;

export const cnatTranslationDescriptor: Descriptor<'cnat-translation', TranslationSpec> = {
  kind: 'cnat-translation',
  messages: ['cnat_translation_update', 'cnat_translation_del', 'cnat_translation_dump'],

  async read({ api, handles }) {
    const details = await api.dump('cnat_translation_dump');
    return details.flatMap((fields) => {
      const object = objectOf(fields['translation'] as Fields);
      if (object === null) return [];
      handles.set(object.key, Number((fields['translation'] as Fields)['id']));
      return [object];
    });
  },

  create: put,

  async update(vpp, old, object) {
    // Of a translation that is there VPP changes nothing but the paths.
    if (old.spec.maglev !== object.spec.maglev || old.spec.affinity !== object.spec.affinity) {
      await remove(vpp, old);
    }
    await put(vpp, object);
  },

  remove,
};

async function put({ api, handles }: VppContext, { key, spec }: TranslationObject): Promise<void> {
  if (spec.affinity && !hasFlows(api)) throw new NoAffinityError(key);
  const reply = await api.request('cnat_translation_update', { translation: message(api, spec) });
  handles.set(key, Number(reply['id']));
}

async function remove({ api, handles }: VppContext, { key }: TranslationObject): Promise<void> {
  const id = handles.get(key);
  await api.request('cnat_translation_del', { id });
  handles.delete(key);
}

function message(api: VppApi, spec: TranslationSpec): Fields {
  const { address, port, protocol, maglev, paths } = spec;
  const mark = spec.affinity ? AFFINITY : 0;
  const nowhere = address.includes(':') ? '::' : '0.0.0.0';
  const common = {
    ...{ vip: endpoint(address, port), id: NONE, ip_proto: protocolName(protocol) },
    lb_type: maglev ? MAGLEV : 'CNAT_LB_TYPE_DEFAULT',
    paths: paths.map((path) => ({
      ...{ dst_ep: endpoint(path.address, path.port), src_ep: endpoint(nowhere, mark | path.copy), flags: 0 },
    })),
  };
  if (!hasFlows(api)) return { ...common, is_real_ip: 1, flags: 0 };
  return {
    ...common,
    ...{ is_real_ip: 0, flags: FLAG_NO_ROUTE },
    flow_hash_config: spec.affinity ? ['IP_API_V2_FLOW_HASH_SRC_IP'] : [],
  };
}

function endpoint(addr: string, port: number): Fields {
  const if_af = addr.includes(':') ? 'ADDRESS_IP6' : 'ADDRESS_IP4';
  return { addr, sw_if_index: NONE, if_af, port };
}

function objectOf(fields: Fields): TranslationObject | null {
  const vip = fields['vip'] as Fields;
  const protocol = protocolOf(fields['ip_proto']);
  // On an interface's address, or of a protocol that no service has: somebody else's.
  if (Number(vip['sw_if_index']) !== NONE || protocol === null) return null;
  const paths = (fields['paths'] as readonly Value[]).map((path) => path as Fields);
  const marks = Number((paths[0]?.['src_ep'] as Fields | undefined)?.['port'] ?? 0);
  return translation({
    ...{ address: addressText(vip['addr']), port: Number(vip['port']), protocol },
    ...{ maglev: fields['lb_type'] === MAGLEV, affinity: (marks & AFFINITY) !== 0 },
    paths: paths.map(pathOf),
  });
}

function pathOf(fields: Fields): Path {
  const [to, from] = [fields['dst_ep'] as Fields, fields['src_ep'] as Fields];
  return {
    ...{ address: addressText(to['addr']), port: Number(to['port']) },
    copy: Number(from['port']) & COPIES,
  };
}
