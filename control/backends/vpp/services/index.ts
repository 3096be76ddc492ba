/** What the services add to the registry. */
import type { Descriptor, Renderer, VppOptions } from '../objects/types.js';
import { abfAttachmentDescriptor, abfPolicyDescriptor } from './abf-descriptors.js';
import { cnatExcludeDescriptor } from './cnat-exclude-descriptor.js';
import { cnatInterfaceDescriptor } from './cnat-interface-descriptor.js';
import { cnatServicesRenderer } from './cnat-services.js';
import { cnatSourceRenderer } from './cnat-source.js';
import { cnatSourceDescriptor } from './cnat-source-descriptor.js';
import { cnatTranslationDescriptor } from './cnat-translation-descriptor.js';
import {
  identityDescriptor,
  nat44Descriptor,
  nat44InterfaceDescriptor,
  poolDescriptor,
} from './nat44-descriptors.js';
import { mappingDescriptor } from './nat44-mapping-descriptor.js';
import { nat44ServicesRenderer } from './nat44-services.js';
import { nat44SourceRenderer } from './nat44-source.js';
import { uplinkFilterRenderer } from './uplink-filter.js';

/** Read after the interfaces, and in this order. */
export const SERVICE_DESCRIPTORS: readonly Descriptor[] = [
  cnatSourceDescriptor,
  cnatExcludeDescriptor,
  cnatTranslationDescriptor,
  cnatInterfaceDescriptor,
  abfPolicyDescriptor,
  abfAttachmentDescriptor,
  nat44Descriptor,
  poolDescriptor,
  identityDescriptor,
  nat44InterfaceDescriptor,
  mappingDescriptor,
];

/** NAT44-ED translates IPv4; IPv6 is CNAT's in any case. */
export function serviceRenderers({ services }: VppOptions): readonly Renderer[] {
  const cnat = [cnatSourceRenderer, cnatServicesRenderer, uplinkFilterRenderer];
  return services === 'nat44' ? [...cnat, nat44SourceRenderer, nat44ServicesRenderer] : cnat;
}
