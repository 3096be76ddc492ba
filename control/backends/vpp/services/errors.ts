/** What this VPP's services cannot do, one class for each. */
import { PteropusError } from '../../../common/errors.js';
import type { ObjectKey } from '../objects/types.js';

/** The CNAT at hand chooses by addresses and ports alone. */
export class NoAffinityError extends PteropusError {
  constructor(object: ObjectKey) {
    super("this version's CNAT has no session affinity (services: nat44 has)", { object });
  }
}
