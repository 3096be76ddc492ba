/**
 * Every renderer and every descriptor there is. A new thing VPP shall hold is a line here.
 *
 * The key of an object names what VPP identifies it by (a route: table and prefix), so that a new object never collides with an
 * old one of another key; where that cannot be, both carry the same text in `claims`.
 */
import { LINK_DESCRIPTORS, LINK_RENDERERS } from './links/index.js';
import type { Descriptor, Renderer, VppOptions } from './objects/types.js';
import { POLICY_DESCRIPTORS, policyRenderers } from './policies/index.js';
import { SERVICE_DESCRIPTORS, serviceRenderers } from './services/index.js';

/** In the order in which they are read: a kind comes after those whose handles it refers to. */
export const DESCRIPTORS: readonly Descriptor[] = [
  ...LINK_DESCRIPTORS,
  ...POLICY_DESCRIPTORS,
  ...SERVICE_DESCRIPTORS,
];

/** The renderers in use under these options. */
export function renderersOf(options: VppOptions): readonly Renderer[] {
  return [...LINK_RENDERERS, ...policyRenderers(options), ...serviceRenderers(options)];
}
