/** Access lists in VPP. Ours are known by their tags; a list that is in use is replaced in place. */
import type { Fields } from '../api/api.js';
import type { Descriptor, ObjectKey, VppContext, VppObject } from '../objects/types.js';
import { type AclSpec, decodeRule, encodeRule } from './acl-rules.js';
import { aclTag, keyOfTag } from './names.js';

/** Asks for a new list, or for all lists. */
const NO_INDEX = 0xffffffff;

type AclObject = VppObject<'acl', AclSpec>;

export const aclDescriptor: Descriptor<'acl', AclSpec> = {
  kind: 'acl',
  messages: ['acl_add_replace', 'acl_del', 'acl_dump'],

  async read({ api, handles }: VppContext): Promise<readonly AclObject[]> {
    const found = new Map<ObjectKey, AclObject>();
    for (const details of await api.dump('acl_dump', { acl_index: NO_INDEX })) {
      const key = keyOfTag(String(details['tag']));
      if (key === null) continue;
      const index = Number(details['acl_index']);
      // A second list of one tag is nobody's, and goes.
      const own = found.has(key) ? `${key}#${index}` : key;
      const rules = details['r'];
      const spec: AclSpec = { rules: Array.isArray(rules) ? rules.map(decodeRule) : [] };
      found.set(own, { kind: 'acl', key: own, needs: [], spec });
      handles.set(own, index);
    }
    return [...found.values()];
  },

  async create({ api, handles }: VppContext, object: AclObject): Promise<void> {
    const reply = await api.request('acl_add_replace', message(object, NO_INDEX));
    handles.set(object.key, Number(reply['acl_index']));
  },

  async update({ api, handles }: VppContext, _old: AclObject, object: AclObject): Promise<void> {
    await api.request('acl_add_replace', message(object, handles.get(object.key)));
  },

  async remove({ api, handles }: VppContext, { key }: AclObject): Promise<void> {
    await api.request('acl_del', { acl_index: handles.get(key) });
  },
};

function message({ key, spec }: AclObject, index: number): Fields {
  return { acl_index: index, tag: aclTag(key), count: spec.rules.length, r: spec.rules.map(encodeRule) };
}
