/** Destinations that keep the source. VPP counts how often it was told one: once is what we tell it. */
import type { VppApi } from '../api/api.js';
import type { Descriptor } from '../objects/types.js';
import { type ExcludeSpec, exclude } from './cnat-objects.js';
import { readSource } from './cnat-source-descriptor.js';
import { parseSnatPolicy, type SnatPolicy } from './snat-policy-text.js';

const MESSAGE = 'cnat_snat_policy_add_del_exclude_pfx';

export const cnatExcludeDescriptor: Descriptor<'cnat-exclude', ExcludeSpec> = {
  kind: 'cnat-exclude',
  messages: [MESSAGE],

  async read({ api }) {
    const policy = await readSnatPolicy(api);
    return (policy?.excluded ?? []).map((prefix) => exclude(prefix));
  },

  async create({ api }, { spec }) {
    await api.request(MESSAGE, { is_add: 1, prefix: spec.prefix });
  },

  async remove({ api }, { spec }) {
    await api.request(MESSAGE, { is_add: 0, prefix: spec.prefix });
  },
};

/** null: there is none. */
export async function readSnatPolicy(api: VppApi): Promise<SnatPolicy | null> {
  if ((await readSource(api)) === null) return null;
  return parseSnatPolicy(await api.cli('show cnat snat-policy'));
}
