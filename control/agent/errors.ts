import { PteropusError } from '../common/errors.js';

/** The sandbox has a link of that name already (CNI specification: ADD must fail then). */
export class LinkExistsError extends PteropusError {}

/** The sandbox's namespace cannot be used: absent, or the node's own. */
export class SandboxError extends PteropusError {}

/** Two sandboxes of one pod are being wired at the same time. */
export class PodBusyError extends PteropusError {}

/** The data plane refuses changes; nothing of the transaction is in force. */
export class ApplyError extends PteropusError {}

/** The data plane cannot be reached now. */
export class DataplaneUnavailableError extends PteropusError {}

/** So many events wait that another one would only make it worse. */
export class AgentBusyError extends PteropusError {}

/** The agent is not ready, or is closing. */
export class AgentNotReadyError extends PteropusError {}

/** The store was emptied, or is being filled: what it lacks may be a policy, so it is not believed until it says that it is complete. */
export class StoreIncompleteError extends PteropusError {
  constructor() {
    super('the store is not complete: it was emptied, or is being filled; what is in force stays', {
      retryable: true,
    });
  }
}

/** The journal and the store tell different node ids, or two nodes claim one. Nothing is guessed. */
export class NodeIdConflictError extends PteropusError {}

/** Another node has the id that the journal holds: ours was given back while we were away, or a disk was copied. */
export class NodeIdTakenError extends NodeIdConflictError {}

/** The node is configured with other address ranges than the cluster. */
export class ClusterRangesError extends NodeIdConflictError {}

/** Every node id that the address ranges have room for is taken. */
export class NodeIdsExhaustedError extends PteropusError {}

/** The journal cannot be written: the change it should keep is undone. */
export class JournalWriteError extends PteropusError {}
