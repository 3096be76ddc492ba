/** Which access lists judge an interface. VPP takes both directions in one message. */
import type { Fields } from '../api/api.js';
import type { Descriptor, Handles, ObjectKey, VppContext, VppObject } from '../objects/types.js';
import type { AclBindingSpec } from './acl-renderer.js';
import { bindingKey } from './names.js';

const EVERY_INTERFACE = 0xffffffff;

type BindingObject = VppObject<'acl-binding', AclBindingSpec>;

export const aclBindingDescriptor: Descriptor<'acl-binding', AclBindingSpec> = {
  kind: 'acl-binding',
  messages: ['acl_interface_set_acl_list', 'acl_interface_list_dump'],

  async read({ api, handles }: VppContext): Promise<readonly BindingObject[]> {
    const details = await api.dump('acl_interface_list_dump', { sw_if_index: EVERY_INTERFACE });
    return details.flatMap((fields): BindingObject[] => {
      const on = handles.keyOf('if', Number(fields['sw_if_index']));
      const lists = fields['acls'];
      if (on === undefined || !Array.isArray(lists) || lists.length === 0) return [];
      const keys = lists.map((index) => nameOf(handles, Number(index)));
      const inputs = Number(fields['n_input']);
      const spec: AclBindingSpec = {
        interface: on,
        input: keys.slice(0, inputs),
        output: keys.slice(inputs),
      };
      const ours = [...new Set(keys)].filter((key) => handles.find(key) !== undefined);
      return [{ kind: 'acl-binding', key: bindingKey(on), needs: [on, ...ours], spec }];
    });
  },

  create: set,
  // One by one: VPP does nothing else while it puts a list in force, and forwards between one and the next.
  update: (vpp, _old, object) => {
    const turn = (turns.get(vpp) ?? Promise.resolve()).then(
      () => set(vpp, object),
      () => set(vpp, object),
    );
    turns.set(vpp, turn);
    return turn;
  },

  async remove({ api, handles }: VppContext, { spec }: BindingObject): Promise<void> {
    await api.request('acl_interface_set_acl_list', message(handles.get(spec.interface), [], []));
  },
};

const turns = new WeakMap<VppContext, Promise<void>>();

async function set({ api, handles }: VppContext, { spec }: BindingObject): Promise<void> {
  const indexes = (keys: readonly ObjectKey[]): number[] => keys.map((key) => handles.get(key));
  await api.request(
    'acl_interface_set_acl_list',
    message(handles.get(spec.interface), indexes(spec.input), indexes(spec.output)),
  );
}

function message(interfaceIndex: number, input: readonly number[], output: readonly number[]): Fields {
  const acls = [...input, ...output];
  return { sw_if_index: interfaceIndex, count: acls.length, n_input: input.length, acls };
}

/** A list of somebody else's has a name that none of ours has. */
function nameOf(handles: Handles, index: number): ObjectKey {
  return handles.keyOf('acl', index) ?? `foreign/${index}`;
}
