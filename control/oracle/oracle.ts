/**
 * The oracle: what should be reachable, read slowly and plainly from the API's own documentation of NetworkPolicy
 * (https://kubernetes.io/docs/reference/kubernetes-api/policy-resources/network-policy-v1/) and ClusterNetworkPolicy. It looks at every policy for
 * every question, keeps no index, and shares no code with the parser, the model and the compiler it is there to check.
 */
import { inBlock, portsMatch, selects } from './match.js';
import type { End, Oracle, OracleVerdict, Packet, ServiceQuestion, ServiceVerdict } from './question.js';
import { at, labelsOf, listAt, nameOf, namespaceOf, type Raw, textAt } from './raw.js';
import { serviceTargets, type Targets } from './services.js';
import { tierVerdict } from './tiers.js';

/** One end, with all that a policy can see of it. */
interface Party {
  readonly ips: readonly string[];
  /** null = not a pod with an address of its own. */
  readonly pod: unknown;
  readonly node: string | null;
}

/** An oracle over raw API objects (any order; kinds it does not know are ignored). */
export function oracle(objects: readonly unknown[]): Oracle {
  const ofKind = (kind: string): readonly unknown[] =>
    objects.filter((object) => at(object, 'kind') === kind);
  const pods = ofKind('Pod');
  const policies = ofKind('NetworkPolicy');
  const clusterPolicies = ofKind('ClusterNetworkPolicy');
  const namespaces = new Map(ofKind('Namespace').map((namespace) => [nameOf(namespace), namespace]));

  function namespaceLabels(name: string): Raw {
    return { ...labelsOf(namespaces.get(name)), 'kubernetes.io/metadata.name': name };
  }

  function party(end: End): Party {
    if ('pod' in end) {
      const pod = pods.find((p) => namespaceOf(p) === end.pod.namespace && nameOf(p) === end.pod.name);
      if (pod === undefined) throw new Error(`no pod ${end.pod.namespace}/${end.pod.name}`);
      const node = textAt(pod, 'spec', 'nodeName') ?? null;
      return { ips: ipsOf(pod), pod: hasOwnAddress(pod) ? pod : null, node };
    }
    if ('node' in end)
      return { ips: end.ip === undefined ? nodeIps(end.node) : [end.ip], pod: null, node: end.node };
    const pod = pods.find((p) => hasOwnAddress(p) && ipsOf(p).includes(end.ip));
    const node = pod === undefined ? ownerOf(end.ip) : textAt(pod, 'spec', 'nodeName');
    return { ips: [end.ip], pod: pod ?? null, node: node ?? null };
  }

  function nodeIps(name: string): readonly string[] {
    const node = ofKind('Node').find((candidate) => nameOf(candidate) === name);
    if (node === undefined) throw new Error(`no node ${name}`);
    return (listAt(node, 'status', 'addresses') ?? []).flatMap((address) =>
      textAt(address, 'type') === 'InternalIP' ? [textAt(address, 'address') ?? ''] : [],
    );
  }

  function ownerOf(ip: string): string | undefined {
    const node = ofKind('Node').find((candidate) => nodeIps(nameOf(candidate)).includes(ip));
    return node === undefined ? undefined : nameOf(node);
  }

  function peerMatches(peer: unknown, policyNamespace: string, other: Party): boolean {
    const block = at(peer, 'ipBlock');
    if (block !== undefined) return other.ips.some((ip) => inBlock(block, ip));
    if (other.pod === null) return false;
    const podSelector = at(peer, 'podSelector');
    const namespaceSelector = at(peer, 'namespaceSelector');
    const namespace = namespaceOf(other.pod);
    const inNamespace =
      namespaceSelector === undefined
        ? namespace === policyNamespace
        : selects(namespaceSelector, namespaceLabels(namespace));
    return inNamespace && (podSelector === undefined || selects(podSelector, labelsOf(other.pod)));
  }

  /** One direction: `subject` is the pod that is judged, `other` the far end, `to` whichever of them is the destination. */
  function judge(
    direction: 'ingress' | 'egress',
    subject: Party,
    other: Party,
    to: Party,
    packet: Packet,
  ): [boolean, string] {
    if (subject.pod === null) return [true, 'not a pod'];
    const seen = (pod: unknown) => ({
      labels: labelsOf(pod),
      namespaceLabels: namespaceLabels(namespaceOf(pod)),
    });
    const far = { ips: other.ips, pod: other.pod === null ? null : seen(other.pod) };
    const inTier = (tier: 'Admin' | 'Baseline') =>
      tierVerdict(clusterPolicies, tier, direction, seen(subject.pod), far, { ...packet, pod: to.pod });
    const admin = inTier('Admin');
    if (admin !== null && admin.verdict !== 'Pass') return [admin.verdict === 'Accept', admin.by];
    const closing: string[] = [];
    for (const policy of policies) {
      const namespace = namespaceOf(policy);
      if (namespace !== namespaceOf(subject.pod) || !appliesTo(policy, direction)) continue;
      if (!selects(at(policy, 'spec', 'podSelector'), labelsOf(subject.pod))) continue;
      const name = `NetworkPolicy ${namespace}/${nameOf(policy)}`;
      closing.push(name);
      for (const [i, rule] of (listAt(policy, 'spec', direction) ?? []).entries()) {
        const peers = listAt(rule, direction === 'ingress' ? 'from' : 'to');
        const anyPeer = peers === undefined || peers.length === 0;
        if (!anyPeer && !peers.some((peer) => peerMatches(peer, namespace, other))) continue;
        if (!portsMatch(listAt(rule, 'ports'), { ...packet, pod: to.pod })) continue;
        return [true, `${name} spec.${direction}[${i}]`];
      }
    }
    if (closing.length > 0) return [false, `closed by ${closing.sort().join(', ')}`];
    const baseline = inTier('Baseline');
    return baseline === null || baseline.verdict === 'Pass'
      ? [true, 'open']
      : [baseline.verdict === 'Accept', baseline.by];
  }

  function verdict(packet: Packet): OracleVerdict {
    const from = party(packet.from);
    const to = party(packet.to);
    if (from.pod !== null && from.pod === to.pod)
      return {
        allowed: true,
        egressAllowed: true,
        ingressAllowed: true,
        egressBy: 'self',
        ingressBy: 'self',
      };
    const [out, egressBy] = judge('egress', from, to, to, packet);
    // A node must reach its own pods (probes); the other way a policy counts.
    const fromItsNode = from.pod === null && from.node !== null && to.pod !== null && from.node === to.node;
    const [in_, ingressBy] = fromItsNode ? [true, 'node'] : judge('ingress', to, from, to, packet);
    return { allowed: out && in_, egressAllowed: out, ingressAllowed: in_, egressBy, ingressBy };
  }

  function viaService(question: ServiceQuestion): ServiceVerdict {
    const from = party(question.from);
    const node = question.node ?? from.node;
    const targets: Targets = serviceTargets(objects, question, {
      ips: from.ips,
      node,
      entry: question.entry ?? from.node ?? node,
      isOutside: from.node === null,
    });
    if (typeof targets === 'string') return { outcome: targets, backends: [] };
    const backends = targets.map(({ address, port }) => {
      const { pod } = party({ ip: address });
      const name = pod === null ? null : { namespace: namespaceOf(pod), name: nameOf(pod) };
      const packet = { from: question.from, to: { ip: address }, protocol: question.protocol, port };
      return { address, port, pod: name, verdict: verdict(packet) };
    });
    return { outcome: backends.length === 0 ? 'refused' : 'backends', backends };
  }

  return { verdict, viaService };
}

/** Pods on the host's network are the node as far as a network can see; pods that have ended hold no address. */
function hasOwnAddress(pod: unknown): boolean {
  const phase = textAt(pod, 'status', 'phase');
  return at(pod, 'spec', 'hostNetwork') !== true && phase !== 'Succeeded' && phase !== 'Failed';
}

/** `status.podIPs`, as objects (the API's form) or as plain texts. */
function ipsOf(pod: unknown): readonly string[] {
  const many = (listAt(pod, 'status', 'podIPs') ?? []).map((entry) =>
    typeof entry === 'string' ? entry : (textAt(entry, 'ip') ?? ''),
  );
  const one = textAt(pod, 'status', 'podIP');
  return many.length > 0 || one === undefined ? many : [one];
}

/** "If no policyTypes are specified, Ingress will always be set and Egress will be set if there are any egress rules." */
function appliesTo(policy: unknown, direction: 'ingress' | 'egress'): boolean {
  const types = listAt(policy, 'spec', 'policyTypes') ?? [];
  if (types.length > 0) return types.includes(direction === 'ingress' ? 'Ingress' : 'Egress');
  return direction === 'ingress' || (listAt(policy, 'spec', 'egress') ?? []).length > 0;
}
