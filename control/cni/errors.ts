import { PteropusError } from '../common/errors.js';

/** What the CNI program answers when it fails: a code of the specification and a text. */
export class CniError extends PteropusError {
  constructor(
    readonly code: number,
    message: string,
    readonly details = '',
  ) {
    super(message);
  }
}
