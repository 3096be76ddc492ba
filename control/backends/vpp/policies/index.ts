/** What the policies add to the registry. */
import type { Descriptor } from '../objects/types.js';
import { aclBindingDescriptor } from './acl-binding-descriptor.js';
import { aclDescriptor } from './acl-descriptor.js';
import { aclSettingsDescriptor } from './acl-settings-descriptor.js';

export { aclRenderer } from './acl-renderer.js';

/** Read after the interfaces, and in this order. */
export const POLICY_DESCRIPTORS: readonly Descriptor[] = [
  aclSettingsDescriptor,
  aclDescriptor,
  aclBindingDescriptor,
];
