/** What can go wrong with a statistics segment. */
import { PteropusError } from '../../../common/errors.js';

/** Something in the segment points out of it, or has a size that cannot be. Read while VPP changes it, that is nothing strange. */
export class StatsTornError extends PteropusError {}

/** The segment is not of a layout we know. */
export class StatsVersionError extends PteropusError {}

/** VPP changed the segment's structure all the time that we waited. */
export class StatsBusyError extends PteropusError {}
