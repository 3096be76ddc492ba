/** What the VPP at hand cannot hold. */
import type { VppApi } from '../api/api.js';
import type { Descriptor } from './types.js';

export interface Missing {
  /** Of objects. */
  readonly kind: string;
  /** Messages it lacks. */
  readonly messages: readonly string[];
}

export function missingOf(
  api: Pick<VppApi, 'has'>,
  descriptors: readonly Pick<Descriptor, 'kind' | 'messages'>[],
): readonly Missing[] {
  return descriptors.flatMap(({ kind, messages }) => {
    const lacking = messages.filter((message) => !api.has(message));
    return lacking.length === 0 ? [] : [{ kind, messages: lacking }];
  });
}
