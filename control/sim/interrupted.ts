/** Stopping between steps: what is begun is ended, nothing new is begun. */
import { PteropusError } from '../common/errors.js';

/** Somebody asked to stop. */
export class InterruptedError extends PteropusError {}

/** Throws InterruptedError once the signal has been given. */
export function checkpoint(signal: AbortSignal | undefined): void {
  if (signal?.aborted === true) throw new InterruptedError('stopped');
}
