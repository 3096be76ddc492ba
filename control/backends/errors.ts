/** What can go wrong in every backend. */
import { PteropusError } from '../common/errors.js';
import type { Key } from '../ruleset/types.js';

/** An item refers to another one that is not in the ruleset. */
export class DanglingReferenceError extends PteropusError {
  constructor(object: Key, field: string, value: Key) {
    super('refers to an item that is not there', { object, field, value });
  }
}
