/** What can go wrong between the ruleset and VPP's objects, one class for each. */
import { PteropusError } from '../../../common/errors.js';
import type { Key } from '../../../ruleset/types.js';
import type { ObjectKey } from './types.js';

/** VPP cannot do what an item asks for, or the item contradicts another one. Nothing was sent. */
export class RenderError extends PteropusError {
  constructor(
    message: string,
    object: Key,
    details: { readonly field?: string; readonly value?: unknown } = {},
  ) {
    super(message, { object, ...details });
  }
}

/** The VPP at hand lacks messages that an item's objects need: another version, or a plugin that is not loaded. */
export class UnsupportedError extends PteropusError {
  constructor(
    readonly objectKey: ObjectKey,
    readonly kind: string,
    readonly messages: readonly string[],
  ) {
    super(`this VPP cannot hold ${objectKey}: it lacks ${messages.join(', ')}`);
  }
}

/** Objects need each other in a circle, or one that nothing makes: a renderer's fault. */
export class PlanError extends PteropusError {
  constructor(
    message: string,
    readonly objectKeys: readonly ObjectKey[],
  ) {
    super(`${message}: ${objectKeys.slice(0, 5).join(', ')}`);
  }
}

/** VPP refused one object of an item. */
export class ObjectRefusedError extends PteropusError {
  constructor(
    readonly action: 'create' | 'update' | 'remove',
    readonly objectKey: ObjectKey,
    cause: Error & { readonly retryable?: boolean },
  ) {
    super(`VPP does not ${action} ${objectKey}: ${cause.message}`, {
      cause,
      retryable: cause.retryable ?? false,
    });
  }
}
