/** Routing by access lists, read and written. All policies are ours: nobody else has them in a VPP of ours. */
import type { Fields, Value } from '../api/api.js';
import type { Descriptor, VppContext } from '../objects/types.js';
import {
  type AbfAttachmentSpec,
  type AbfPolicyObject,
  type AbfPolicySpec,
  abfAttachment,
  abfPolicy,
  abfPolicyKey,
} from './abf-objects.js';

const PRIORITY = 1;

export const abfPolicyDescriptor: Descriptor<'abf-policy', AbfPolicySpec> = {
  kind: 'abf-policy',
  messages: ['abf_policy_add_del', 'abf_policy_dump'],

  async read({ api, handles }) {
    const details = await api.dump('abf_policy_dump');
    return details.map(({ policy }): AbfPolicyObject => {
      const fields = policy as Fields;
      const path = (fields['paths'] as readonly Value[])[0] as Fields | undefined;
      const id = Number(fields['policy_id']);
      const to = (path?.['nh'] as Fields | undefined)?.['address'] as Fields | undefined;
      const family = String(path?.['proto']).endsWith('6') ? 'ip6' : 'ip4';
      const spec = {
        ...{ id, acl: handles.keyOf('acl', Number(fields['acl_index'])) ?? '' },
        ...{ interface: handles.keyOf('if', Number(path?.['sw_if_index'])) ?? '' },
        nextHop: String(to?.[family]),
      };
      handles.set(abfPolicyKey(id), id);
      return abfPolicy(spec);
    });
  },

  async create(vpp, object) {
    await setPolicy(vpp, object, true);
    vpp.handles.set(object.key, object.spec.id);
  },

  async remove(vpp, object) {
    await setPolicy(vpp, object, false);
  },
};

async function setPolicy(
  { api, handles }: VppContext,
  { spec }: AbfPolicyObject,
  is_add: boolean,
): Promise<void> {
  const family = spec.nextHop.includes(':') ? 6 : 4;
  const path = {
    ...{ sw_if_index: handles.get(spec.interface), weight: 1 },
    ...{ proto: `FIB_API_PATH_NH_PROTO_IP${family}`, type: 'FIB_API_PATH_TYPE_NORMAL' },
    nh: { address: { [`ip${family}`]: spec.nextHop } },
  };
  const policy = { policy_id: spec.id, acl_index: handles.get(spec.acl), n_paths: 1, paths: [path] };
  await api.request('abf_policy_add_del', { is_add, policy });
}

export const abfAttachmentDescriptor: Descriptor<'abf-attachment', AbfAttachmentSpec> = {
  kind: 'abf-attachment',
  messages: ['abf_itf_attach_add_del', 'abf_itf_attach_dump'],

  async read({ api, handles }) {
    const details = await api.dump('abf_itf_attach_dump');
    return details.flatMap(({ attach }) => {
      const fields = attach as Fields;
      const at = handles.keyOf('if', Number(fields['sw_if_index']));
      if (at === undefined) return [];
      const id = Number(fields['policy_id']);
      const family = fields['is_ipv6'] === true ? 6 : 4;
      return [abfAttachment({ policy: abfPolicyKey(id), id, interface: at, family })];
    });
  },

  create: (vpp, { spec }) => attach(vpp, spec, true),
  remove: (vpp, { spec }) => attach(vpp, spec, false),
};

async function attach({ api, handles }: VppContext, spec: AbfAttachmentSpec, is_add: boolean): Promise<void> {
  await api.request('abf_itf_attach_add_del', {
    is_add,
    attach: {
      ...{ policy_id: spec.id, sw_if_index: handles.get(spec.interface) },
      ...{ priority: PRIORITY, is_ipv6: spec.family === 6 },
    },
  });
}
