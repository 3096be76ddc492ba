/** What the services add to the registry. */
import type { Descriptor, Renderer, VppOptions } from '../objects/types.js';
import { abfAttachmentDescriptor, abfPolicyDescriptor } from './abf-descriptors.js';
import { cnatExcludeDescriptor } from './cnat-exclude-descriptor.js';
import { cnatInterfaceDescriptor } from './cnat-interface-descriptor.js';
import { cnatServicesRenderer } from './cnat-services.js';
import { cnatSourceRenderer } from './cnat-source.js';
import { cnatSourceDescriptor } from './cnat-source-descriptor.js';
import { cnatTranslationDescriptor } from './cnat-translation-descriptor.js';
import { uplinkFilterRenderer } from './uplink-filter.js';

/** Read after the interfaces, and in this order. */
export const SERVICE_DESCRIPTORS: readonly Descriptor[] = [
  cnatSourceDescriptor,
  cnatExcludeDescriptor,
  cnatTranslationDescriptor,
  cnatInterfaceDescriptor,
  abfPolicyDescriptor,
  abfAttachmentDescriptor,
];

export function serviceRenderers(_options: VppOptions): readonly Renderer[] {
  return [cnatSourceRenderer, cnatServicesRenderer, uplinkFilterRenderer];
}
