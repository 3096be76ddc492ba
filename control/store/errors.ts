import { PteropusError } from '../common/errors.js';

/** The store cannot be reached. For a change the outcome is unknown: read before doing it again. */
export class StoreUnavailableError extends PteropusError {
  constructor(message: string, object: string, cause?: unknown) {
    super(message, { object, cause, retryable: true });
  }
}

/** The store was closed by this program. */
export class StoreClosedError extends PteropusError {}

/** A put named a lease that was revoked or ran out. */
export class LeaseNotFoundError extends PteropusError {}

/** The store's file is damaged in its middle; nothing of it is guessed. */
export class StoreDamagedError extends PteropusError {}

/** The store's file could not be written: the change did not happen. */
export class StoreWriteError extends PteropusError {}

/** A watch asked for events that are no longer kept, or for a revision this store never had. */
export class WatchLostError extends PteropusError {}

/** The store answered and refused: not allowed, or a request it does not take. */
export class StoreRefusedError extends PteropusError {}

/** More operations or bytes than a transaction may have. */
export class TransactionTooLargeError extends PteropusError {}
