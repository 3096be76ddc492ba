import type { Backend } from '../../backends/backend.js';
import type { Agent } from '../agent.js';
import { DataplaneUnavailableError } from '../errors.js';

/** The data plane as it is open now. Throws DataplaneUnavailableError. */
export function backendOf({ backend }: Agent): Backend {
  if (backend !== null) return backend;
  throw new DataplaneUnavailableError('the data plane is lost', { retryable: true });
}
