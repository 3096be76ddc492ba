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

/** Somebody removed the key that says the store is complete. */
export class MarkRemovedError extends PteropusError {}

/** Somebody removed all objects from the store. */
export class ObjectsRemovedError extends PteropusError {}

/** Whoever asked for a listing does not need it any more. */
export class ListingEndedError extends PteropusError {}
