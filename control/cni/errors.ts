import { PteropusError } from '../common/errors.js';
import { CNI } from './codes.js';

/** What a CNI command answers when it fails: a code of the specification and a text. */
export class CniError extends PteropusError {
  constructor(
    readonly code: number,
    message: string,
    readonly details = '',
  ) {
    super(message);
  }
}

/** Code 7. */
export function invalidConfig(text: string): CniError {
  return new CniError(CNI.invalidConfig, `invalid network configuration: ${text}`);
}
