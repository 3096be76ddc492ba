/** What can go wrong with the VPP that `pteropus vswitch` starts. */
import { PteropusError } from '../common/errors.js';

/** VPP cannot be started, or ends before it answers. */
export class VppStartError extends PteropusError {}

/** A VPP that we did not start has the socket. */
export class ForeignVppError extends PteropusError {}

/** There is no VPP where the configuration says. */
export class NoVppError extends PteropusError {}
