/**
 * What the ACL plugin is told once: that a change of lists acts on open connections, and to count what rules decide. Of the first
 * VPP's API knows nothing, only its debug commands do.
 */
import { PteropusError } from '../../../common/errors.js';
import type { VppApi } from '../api/api.js';
import type { Descriptor, VppContext, VppObject } from '../objects/types.js';
import type { AclSettingsSpec } from './acl-renderer.js';
import { ACL_SETTINGS } from './names.js';

/** VPP did not take a setting, and did not say why. */
export class AclSettingsError extends PteropusError {}

type SettingsObject = VppObject<'acl-settings', AclSettingsSpec>;

export const aclSettingsDescriptor: Descriptor<'acl-settings', AclSettingsSpec> = {
  kind: 'acl-settings',
  messages: ['acl_stats_intf_counters_enable', 'cli_inband'],

  async read({ api }: VppContext): Promise<readonly SettingsObject[]> {
    const spec = await settings(api);
    if (!spec.reclassify && !spec.counters) return [];
    return [{ kind: 'acl-settings', key: ACL_SETTINGS, needs: [], spec }];
  },

  create: (vpp, { spec }) => apply(vpp, spec),
  update: (vpp, _old, { spec }) => apply(vpp, spec),
  remove: (vpp) => apply(vpp, { reclassify: false, counters: false }),
};

async function apply({ api }: VppContext, wanted: AclSettingsSpec): Promise<void> {
  const { reclassify, counters } = wanted;
  // VPP answers this message with the reply of another one (acl_del_reply): what came of it is looked up.
  api.request('acl_stats_intf_counters_enable', { enable: counters }).catch(() => undefined);
  await api.cli(`set acl-plugin reclassify-sessions ${reclassify ? 1 : 0}`);
  const there = await settings(api);
  if (there.reclassify !== reclassify || there.counters !== counters) {
    throw new AclSettingsError('VPP does not take the settings', { object: ACL_SETTINGS, value: there });
  }
}

async function settings(api: VppApi): Promise<AclSettingsSpec> {
  const [sessions, tables] = await Promise.all([
    api.cli('show acl-plugin sessions'),
    api.cli('show acl-plugin tables mask'),
  ]);
  return {
    reclassify: sessions.includes('Reclassify sessions: 1'),
    counters: tables.includes('Stats counters enabled for interface ACLs: 1'),
  };
}
