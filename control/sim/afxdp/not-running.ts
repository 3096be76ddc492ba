import { PteropusError } from '../../common/errors.js';

/** What was asked for is not running: not started yet, closed, or about to be started again. */
export class NotRunningError extends PteropusError {}
