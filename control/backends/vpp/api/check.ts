/** What a VPP lacks of the messages somebody needs: asked once at connect, so that all of it is known before anything is sent. */
import type { VppApi } from './api.js';

export interface MessageProblem {
  readonly message: string;
  /** `VPP 23.02 has no such message`. */
  readonly problem: string;
}

/** Every message that is missing or has another form, in the order of `names`, each once. */
export function checkMessages(api: VppApi, names: Iterable<string>): readonly MessageProblem[] {
  return [...new Set(names)].flatMap((message) => {
    if (api.has(message)) return [];
    return [{ message, problem: api.lacks?.(message) ?? `VPP ${api.version} has no such message` }];
  });
}
