/**
 * The oracle: what should be reachable, read slowly and plainly from the API's own documentation of NetworkPolicy
 * (https://kubernetes.io/docs/reference/kubernetes-api/policy-resources/network-policy-v1/) and ClusterNetworkPolicy. It looks at every policy for
 * every question, keeps no index, and shares no code with the parser, the model and the compiler it is there to check.
 */
import { inBlock, portsMatch, selects } from './match.js';
import { ofKind, Parties, type Party } from './parties.js';
import type { Oracle, OracleVerdict, Packet, ServiceQuestion, ServiceVerdict } from './question.js';
import { at, labelsOf, listAt, nameOf, namespaceOf } from './raw.js';
import { serviceTargets, type Targets } from './services.js';
import { tierVerdict } from './tiers.js';

/** An oracle over raw API objects (any order; kinds it does not know are ignored). */
export function oracle(objects: readonly unknown[]): Oracle {
  return new PlainOracle(objects);
}

type Direction = 'ingress' | 'egress';

/** Whether a direction lets a packet pass, and what decided. */
type Decision = readonly [allowed: boolean, by: string];

class PlainOracle implements Oracle {
  readonly #parties: Parties;
  readonly #policies: readonly unknown[];
  readonly #clusterPolicies: readonly unknown[];

  constructor(private readonly objects: readonly unknown[]) {
    this.#parties = new Parties(objects);
    this.#policies = ofKind(objects, 'NetworkPolicy');
    this.#clusterPolicies = ofKind(objects, 'ClusterNetworkPolicy');
  }

  verdict(packet: Packet): OracleVerdict {
    const from = this.#parties.at(packet.from);
    const to = this.#parties.at(packet.to);
    if (from.pod !== null && from.pod === to.pod)
      return {
        allowed: true,
        egressAllowed: true,
        ingressAllowed: true,
        egressBy: 'self',
        ingressBy: 'self',
      };
    const [out, egressBy] = this.#judge('egress', from, to, { ...packet, pod: to.pod });
    // A node must reach its own pods (probes); the other way a policy counts.
    const fromItsNode = from.pod === null && from.node !== null && to.pod !== null && from.node === to.node;
    const [in_, ingressBy] = fromItsNode
      ? [true, 'node']
      : this.#judge('ingress', to, from, { ...packet, pod: to.pod });
    return { allowed: out && in_, egressAllowed: out, ingressAllowed: in_, egressBy, ingressBy };
  }

  viaService(question: ServiceQuestion): ServiceVerdict {
    const from = this.#parties.at(question.from);
    const node = question.node ?? from.node;
    const targets: Targets = serviceTargets(this.objects, question, {
      ips: from.ips,
      node,
      entry: question.entry ?? from.node ?? node,
      isOutside: from.node === null,
    });
    if (typeof targets === 'string') return { outcome: targets, backends: [] };
    const backends = targets.map(({ address, port }) => {
      const { pod } = this.#parties.at({ ip: address });
      const name = pod === null ? null : { namespace: namespaceOf(pod), name: nameOf(pod) };
      const packet = { from: question.from, to: { ip: address }, protocol: question.protocol, port };
      return { address, port, pod: name, verdict: this.verdict(packet) };
    });
    return { outcome: backends.length === 0 ? 'refused' : 'backends', backends };
  }

  /** One direction: `subject` is the pod that is judged, `other` the far end; `asked` has the pod that is the destination. */
  #judge(direction: Direction, subject: Party, other: Party, asked: Asked): Decision {
    if (subject.pod === null) return [true, 'not a pod'];
    const admin = this.#tier('Admin', direction, subject.pod, other, asked);
    if (admin !== null) return admin;
    return (
      this.#networkPolicies(direction, subject.pod, other, asked) ??
      this.#tier('Baseline', direction, subject.pod, other, asked) ?? [true, 'open']
    );
  }

  /** null: the tier says nothing, or passes. */
  #tier(
    tier: 'Admin' | 'Baseline',
    direction: Direction,
    subject: unknown,
    other: Party,
    asked: Asked,
  ): Decision | null {
    const seen = (pod: unknown) => ({
      labels: labelsOf(pod),
      namespaceLabels: this.#parties.namespaceLabels(namespaceOf(pod)),
    });
    const far = { ips: other.ips, pod: other.pod === null ? null : seen(other.pod) };
    const said = tierVerdict(this.#clusterPolicies, tier, direction, seen(subject), far, asked);
    return said === null || said.verdict === 'Pass' ? null : [said.verdict === 'Accept', said.by];
  }

  /** null: no NetworkPolicy selects the pod in this direction. */
  #networkPolicies(direction: Direction, subject: unknown, other: Party, asked: Asked): Decision | null {
    const closing: string[] = [];
    for (const policy of this.#policies) {
      const namespace = namespaceOf(policy);
      if (namespace !== namespaceOf(subject) || !appliesTo(policy, direction)) continue;
      if (!selects(at(policy, 'spec', 'podSelector'), labelsOf(subject))) continue;
      const name = `NetworkPolicy ${namespace}/${nameOf(policy)}`;
      closing.push(name);
      for (const [i, rule] of (listAt(policy, 'spec', direction) ?? []).entries()) {
        const peers = listAt(rule, direction === 'ingress' ? 'from' : 'to');
        const anyPeer = peers === undefined || peers.length === 0;
        if (!anyPeer && !peers.some((peer) => this.#peerMatches(peer, namespace, other))) continue;
        if (portsMatch(listAt(rule, 'ports'), asked)) return [true, `${name} spec.${direction}[${i}]`];
      }
    }
    return closing.length === 0 ? null : [false, `closed by ${closing.sort().join(', ')}`];
  }

  #peerMatches(peer: unknown, policyNamespace: string, other: Party): boolean {
    const block = at(peer, 'ipBlock');
    if (block !== undefined) return other.ips.some((ip) => inBlock(block, ip));
    if (other.pod === null) return false;
    const podSelector = at(peer, 'podSelector');
    const namespaceSelector = at(peer, 'namespaceSelector');
    const namespace = namespaceOf(other.pod);
    const inNamespace =
      namespaceSelector === undefined
        ? namespace === policyNamespace
        : selects(namespaceSelector, this.#parties.namespaceLabels(namespace));
    return inNamespace && (podSelector === undefined || selects(podSelector, labelsOf(other.pod)));
  }
}

/** A packet, and the pod it is for. */
interface Asked extends Packet {
  readonly pod: unknown;
}

/** "If no policyTypes are specified, Ingress will always be set and Egress will be set if there are any egress rules." */
function appliesTo(policy: unknown, direction: 'ingress' | 'egress'): boolean {
  const types = listAt(policy, 'spec', 'policyTypes') ?? [];
  if (types.length > 0) return types.includes(direction === 'ingress' ? 'Ingress' : 'Egress');
  return direction === 'ingress' || (listAt(policy, 'spec', 'egress') ?? []).length > 0;
}
