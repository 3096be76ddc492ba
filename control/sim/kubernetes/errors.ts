/** What can go wrong between the simulator and an API server. */
import { type ErrorDetails, PteropusError } from '../../common/errors.js';

/** The API server answered with a status of 400 or more, or not at all (code 0). */
export class ApiError extends PteropusError {
  constructor(
    message: string,
    /** HTTP status; 0 = no answer. */
    readonly code: number,
    details: ErrorDetails,
  ) {
    super(message, { retryable: code === 0 || code === 409 || code === 429 || code >= 500, ...details });
  }

  /**
   * Somebody else changed or deleted it meanwhile, or its namespace is going. (The API server refuses what is to be made there with 403 and
   * the cause NamespaceTerminating, of which the message says this much.)
   */
  get overtaken(): boolean {
    const { code, message } = this;
    return (
      code === 404 || code === 409 || (code === 403 && message.includes('because it is being terminated'))
    );
  }
}

/** A program that the environment is made of is not on this machine. */
export class MissingProgramError extends PteropusError {}

/** The cluster did not become what the manifests say in time. */
export class NotConvergedError extends PteropusError {}
