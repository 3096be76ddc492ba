/**
 * What the ACL plugin is told once: that a change of lists acts on open connections, and to count what rules decide. Of the first
 * VPP's API knows nothing, only its debug commands do.
 */
import type { Descriptor, VppContext, VppObject } from '../objects/types.js';
import type { AclSettingsSpec } from './acl-renderer.js';
import { ACL_SETTINGS } from './names.js';

type SettingsObject = VppObject<'acl-settings', AclSettingsSpec>;

export const aclSettingsDescriptor: Descriptor<'acl-settings', AclSettingsSpec> = {
  kind: 'acl-settings',
  messages: ['acl_stats_intf_counters_enable', 'cli_inband'],

  async read({ api }: VppContext): Promise<readonly SettingsObject[]> {
    const [sessions, tables] = await Promise.all([
      api.cli('show acl-plugin sessions'),
      api.cli('show acl-plugin tables mask'),
    ]);
    const spec: AclSettingsSpec = {
      reclassify: isOn(sessions, 'Reclassify sessions'),
      counters: isOn(tables, 'Stats counters enabled for interface ACLs'),
    };
    if (!spec.reclassify && !spec.counters) return [];
    return [{ kind: 'acl-settings', key: ACL_SETTINGS, needs: [], spec }];
  },

  create: (vpp, { spec }) => apply(vpp, spec),
  update: (vpp, _old, { spec }) => apply(vpp, spec),
  remove: (vpp) => apply(vpp, { reclassify: false, counters: false }),
};

async function apply({ api }: VppContext, { reclassify, counters }: AclSettingsSpec): Promise<void> {
  await Promise.all([
    api.cli(`set acl-plugin reclassify-sessions ${reclassify ? 1 : 0}`),
    api.request('acl_stats_intf_counters_enable', { enable: counters }),
  ]);
}

function isOn(text: string, name: string): boolean {
  return text.includes(`${name}: 1`);
}
