/** What the policies add to the registry. */
import { PteropusError } from '../../../common/errors.js';
import type { Descriptor, Renderer, VppOptions } from '../objects/types.js';
import { aclBindingDescriptor } from './acl-binding-descriptor.js';
import { aclDescriptor } from './acl-descriptor.js';
import { aclRenderer } from './acl-renderer.js';
import { aclSettingsDescriptor } from './acl-settings-descriptor.js';

/** What was chosen to enforce policies would not. */
export class PoliciesNotEnforcedError extends PteropusError {}

/** Read after the interfaces, and in this order. */
export const POLICY_DESCRIPTORS: readonly Descriptor[] = [
  aclSettingsDescriptor,
  aclDescriptor,
  aclBindingDescriptor,
];

/**
 * Throws PoliciesNotEnforcedError for `npol`: that plugin, in VPP since 26.02, holds policies and answers what they say of a packet, but
 * no node of the graph asks it (up to 26.06), so that every packet would pass.
 */
export function policyRenderers({ policies }: VppOptions): readonly Renderer[] {
  if (policies === 'npol') {
    throw new PoliciesNotEnforcedError(NPOL_REFUSED, { object: 'vpp', field: 'policies', value: policies });
  }
  return [aclRenderer];
}

export const NPOL_REFUSED = 'the npol plugin holds policies but judges no packet by them: use acl';
