/** What an agent needs before it can begin: its node id, its plan, and the node's own links. */
import { errorText, InvalidInputError, PteropusError } from '../common/errors.js';
import type { ClusterConfig } from '../compiler/input.js';
import { podMtu } from '../compiler/interfaces.js';
import { largestNodeId, nodeAddresses, planNode } from '../ipam/arithmetic.js';
import type { NodeRecord } from '../objects/types.js';
import type { AgentOptions } from './agent-options.js';
import { agreeOnRanges } from './cluster-ranges.js';
import { AgentNotReadyError, NodeIdTakenError } from './errors.js';
import type { JournalState } from './journal.js';
import { claimNodeId } from './node-id.js';
import { NodeState } from './node-state.js';

/**
 * Claims the node's id and sets its links up; waits for a store that is not up yet. Throws NodeIdConflictError (also
 * ClusterRangesError), NodeIdsExhaustedError, InvalidInputError, and what the link driver throws.
 */
export async function prepareNode(
  options: AgentOptions,
  journaled: JournalState | null,
  log: (line: string) => void,
  /** Our record as it was last, while the store is away: it is claimed again when the store is back. */
  kept: NodeRecord | null = null,
): Promise<NodeState> {
  const { node, config, store, links } = options;
  if (journaled !== null && journaled.node !== node) {
    throw new InvalidInputError(`the journal is node ${journaled.node}'s`, { object: `node ${node}` });
  }
  if (config.nodeInterconnectCIDR === null && options.addresses === undefined) {
    throw new InvalidInputError('without nodeInterconnectCIDR the node needs its underlay addresses', {
      object: `node ${node}`,
      field: 'addresses',
    });
  }
  const addressesOf = (id: number): readonly string[] => {
    return options.addresses ?? nodeAddresses(planNode(config, id));
  };
  const claimId = (id: number | null): Promise<NodeRecord> =>
    claimNodeId(store, {
      node,
      journaled: id,
      largest: largestNodeId(config),
      addresses: addressesOf,
      ...(options.dataplane === undefined ? {} : { dataplane: options.dataplane }),
    });
  const claim = () =>
    untilReachable(
      async () => {
        await agreeOnRanges(store, node, config);
        try {
          return await claimId(journaled?.id ?? null);
        } catch (error) {
          // Pods that run here have addresses of the other one now: to cut them off is not for us to decide.
          if (!(error instanceof NodeIdTakenError) || (await anyLinkLeft(links, config, journaled)))
            throw error;
          log(`${errorText(error)}, and no pod runs here: taking another one`);
          return await claimId(null);
        }
      },
      log,
      options.waiting,
    );
  const record = kept ?? (await claim());
  const plan = planNode(config, record.id);
  const nodeLinks = await links.setupNode({ node, plan, config, addresses: record.addresses });
  return new NodeState({ record, plan, links: nodeLinks }, config);
}

/** Whether a pod of the journal is still there. */
async function anyLinkLeft(
  links: AgentOptions['links'],
  config: ClusterConfig,
  journaled: JournalState | null,
): Promise<boolean> {
  const pods = journaled?.pods ?? [];
  const specs = pods.map(({ feed = 'afxdp', ...pod }) => ({
    ...pod,
    feed,
    gateways: [],
    mtu: podMtu(config),
  }));
  const there = new Set(await links.podLinks(specs));
  return pods.some(({ link }) => there.has(link));
}

/** Repeats `action` while it fails for a reason that passes, with growing pauses; `waiting` is told each time why. */
export async function untilReachable<T>(
  action: () => Promise<T>,
  log: (line: string) => void,
  waiting: (reason: string) => void = () => undefined,
): Promise<T> {
  for (let pause = 5; ; pause = Math.min(pause * 2, 1000)) {
    try {
      return await action();
    } catch (error) {
      if (!(error instanceof PteropusError) || !error.retryable || error instanceof AgentNotReadyError)
        throw error;
      waiting(errorText(error));
      if (pause >= 160) log(`waiting: ${errorText(error)}`);
      await new Promise((resolve) => setTimeout(resolve, pause));
    }
  }
}
