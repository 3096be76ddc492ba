/**
 * Kinds of pairs: who is judged by the same policies, and lies in the same of their address sets, gets the same verdict. So a cluster
 * costs as many judgements as it has kinds of pairs, not pairs.
 */
import type { PaperCluster } from '../explain/cluster.js';
import type { Place } from '../explain/ends.js';
import { getOrMake } from '../model/label-index.js';
import { itemOf, setContains } from '../ruleset/evaluate.js';
import type { Ip, Key, PolicyItem, Ruleset } from '../ruleset/types.js';

export type Direction = 'egress' | 'ingress';

/** What is looked up once for a pod. */
interface Subject {
  readonly own: readonly Ip[];
  readonly nodeAddresses: ReadonlySet<Ip>;
  readonly ruleset: Ruleset;
  readonly egress: PolicyItem | null;
  readonly ingress: PolicyItem | null;
}

/** Kinds that stand for no policy. */
const NO_POD = 0;
const SELF = 1;
const OWN_NODE = 2;
const OPEN = 3;
const FIRST = 4;

export class Kinds {
  private readonly subjects = new WeakMap<Place, Subject | null>();
  private readonly nodes = new Map<Ruleset, ReadonlySet<Ip>>();
  /** Policy -> address of the far end -> kind. Policies are named by their contents, so nodes have them in common. */
  private readonly known = new Map<Key, Map<Ip, number>>();
  private readonly numbers = new Map<string, number>();

  constructor(private readonly cluster: PaperCluster) {}

  /** A number that is the same where one direction of `subject` judges the other end alike. */
  of(subject: Place, { address }: Place, direction: Direction): number {
    const facts = this.factsOf(subject);
    if (facts === null) return NO_POD;
    if (facts.own.includes(address)) return SELF;
    if (direction === 'ingress' && facts.nodeAddresses.has(address)) return OWN_NODE;
    const policy = facts[direction];
    if (policy === null) return OPEN;
    const ofPolicy = getOrMake(this.known, policy.key, () => new Map<Ip, number>());
    return getOrMake(ofPolicy, address, () => {
      const sets = new Set(policy.rules.flatMap(({ peers }) => peers ?? []));
      const inside = [...sets].filter((key) =>
        setContains(itemOf(facts.ruleset, 'addressset', key), address),
      );
      const text = `${policy.key} ${inside.join(' ')}`;
      return getOrMake(this.numbers, text, () => FIRST + this.numbers.size);
    });
  }

  /** The policy that judges a place in one direction; null where there is none, or it is no pod. */
  policyOf(place: Place, direction: Direction): PolicyItem | null {
    return this.factsOf(place)?.[direction] ?? null;
  }

  private factsOf(place: Place): Subject | null {
    return getOrMake(this.subjects, place, (): Subject | null => {
      const ruleset = place.node === null ? undefined : this.cluster.rulesets.get(place.node);
      if (place.pod === null || ruleset === undefined) return null;
      const endpoint = itemOf(ruleset, 'endpoint', `endpoint/${place.pod.namespace}/${place.pod.name}`);
      const policy = (key: Key | null): PolicyItem | null =>
        key === null ? null : itemOf(ruleset, 'policy', key);
      return {
        own: itemOf(ruleset, 'interface', endpoint.interface).peerAddresses,
        nodeAddresses: getOrMake(this.nodes, ruleset, () => addressesOfNode(ruleset)),
        ruleset,
        egress: policy(endpoint.egress),
        ingress: policy(endpoint.ingress),
      };
    });
  }
}

/** Those of the host's own stack, which may always speak to the node's pods. */
function addressesOfNode(ruleset: Ruleset): ReadonlySet<Ip> {
  const host = ruleset.get('interface/host');
  const node = ruleset.get('node');
  return new Set([
    ...(host?.kind === 'interface' ? host.peerAddresses : []),
    ...(node?.kind === 'node' ? node.addresses : []),
  ]);
}
