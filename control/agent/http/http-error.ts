import { PteropusError } from '../../common/errors.js';

/** A request that gets an error as its answer. */
export class HttpError extends PteropusError {
  constructor(
    readonly status: number,
    message: string,
    readonly headers: Readonly<Record<string, string>> = {},
  ) {
    super(message);
  }
}
