import { PteropusError } from '../common/errors.js';

/** The API server answered a request with an error. */
export class ApiRequestError extends PteropusError {
  constructor(
    message: string,
    object: string,
    /** HTTP status; null when there was no answer. */
    readonly status: number | null,
    cause?: unknown,
  ) {
    super(message, {
      object,
      cause,
      retryable: status === null || status >= 500 || status === 429 || status === 410,
    });
  }
}

/** Another ksr is the leader now: this one must not write. */
export class LeadershipLostError extends PteropusError {}
