/**
 * ClusterNetworkPolicy (policy.networking.k8s.io/v1alpha2), read from the comments of its API types: one tier, rule by rule, in order of
 * priority. Equal priorities are open in the API; Pteropus takes the name, and so does this.
 */
import { type Destination, inCidr, portsMatch, selects } from './match.js';
import { at, listAt, nameOf, numberAt, type Raw, textAt } from './raw.js';

/** What a rule can see of the pod it is about, and of the far end. */
export interface Seen {
  readonly labels: Raw;
  readonly namespaceLabels: Raw;
}

export interface Far {
  readonly ips: readonly string[];
  /** null = not a pod with an address of its own. */
  readonly pod: Seen | null;
}

export type TierVerdict = { readonly verdict: 'Accept' | 'Deny' | 'Pass'; readonly by: string } | null;

/** The first rule of a tier that matches; null = none does. */
export function tierVerdict(
  policies: readonly unknown[],
  tier: 'Admin' | 'Baseline',
  direction: 'ingress' | 'egress',
  subject: Seen,
  far: Far,
  to: Destination,
): TierVerdict {
  const mine = policies
    .filter((policy) => at(policy, 'spec', 'tier') === tier && isAbout(policy, subject))
    .sort(
      (a, b) =>
        (numberAt(a, 'spec', 'priority') ?? 0) - (numberAt(b, 'spec', 'priority') ?? 0) ||
        (nameOf(a) < nameOf(b) ? -1 : 1),
    );
  for (const policy of mine) {
    const wholeKnown = onlyKeys(at(policy, 'spec'), ['tier', 'priority', 'subject', 'ingress', 'egress']);
    for (const [i, rule] of (listAt(policy, 'spec', direction) ?? []).entries()) {
      const action = at(rule, 'action') as 'Accept' | 'Deny' | 'Pass';
      const by = `ClusterNetworkPolicy ${nameOf(policy)} spec.${direction}[${i}]`;
      if (!wholeKnown || !understood(rule, direction)) {
        // "For Accept rules: matching no traffic. For Deny and Pass rules: a 'Deny all' rule."
        if (action === 'Accept') continue;
        return { verdict: 'Deny', by };
      }
      const peers = listAt(rule, direction === 'ingress' ? 'from' : 'to') ?? [];
      if (peers.some((peer) => peerFits(peer, far)) && protocolsFit(rule, to)) return { verdict: action, by };
    }
  }
  return null;
}

function isAbout(policy: unknown, { labels, namespaceLabels }: Seen): boolean {
  const namespaces = at(policy, 'spec', 'subject', 'namespaces');
  if (namespaces !== undefined) return selects(namespaces, namespaceLabels);
  const pods = at(policy, 'spec', 'subject', 'pods');
  return selects(at(pods, 'namespaceSelector'), namespaceLabels) && selects(at(pods, 'podSelector'), labels);
}

function peerFits(peer: unknown, { ips, pod }: Far): boolean {
  const networks = listAt(peer, 'networks');
  if (networks !== undefined) return ips.some((ip) => networks.some((cidr) => inCidr(String(cidr), ip)));
  if (pod === null) return false;
  const namespaces = at(peer, 'namespaces');
  if (namespaces !== undefined) return selects(namespaces, pod.namespaceLabels);
  return (
    selects(at(peer, 'pods', 'namespaceSelector'), pod.namespaceLabels) &&
    selects(at(peer, 'pods', 'podSelector'), pod.labels)
  );
}

/** "If unspecified, protocol-specific attributes will not be used to match traffic." */
function protocolsFit(rule: unknown, to: Destination): boolean {
  const protocols = listAt(rule, 'protocols');
  if (protocols === undefined) return true;
  return protocols.some((entry) => {
    const name = textAt(entry, 'destinationNamedPort');
    if (name !== undefined) return portsMatch([{ protocol: to.protocol, port: name }], to);
    const port = at(entry, to.protocol.toLowerCase(), 'destinationPort');
    if (port === undefined) return false;
    const start = numberAt(port, 'number') ?? numberAt(port, 'range', 'start') ?? 0;
    const end = numberAt(port, 'number') ?? numberAt(port, 'range', 'end') ?? -1;
    return start <= to.port && to.port <= end;
  });
}

/** Whether every part of a rule is one the documentation of v1alpha2 names (the experimental peers left out). */
function understood(rule: unknown, direction: 'ingress' | 'egress'): boolean {
  const side = direction === 'ingress' ? 'from' : 'to';
  const kinds = direction === 'ingress' ? ['namespaces', 'pods'] : ['namespaces', 'pods', 'networks'];
  return (
    onlyKeys(rule, ['name', 'action', side, 'protocols']) &&
    (listAt(rule, side) ?? []).every(
      (peer) =>
        Object.keys(peer as Raw).length === 1 &&
        onlyKeys(peer, kinds) &&
        onlyKeys(at(peer, 'pods'), ['namespaceSelector', 'podSelector']),
    ) &&
    (listAt(rule, 'protocols') ?? []).every(protocolUnderstood)
  );
}

function protocolUnderstood(entry: unknown): boolean {
  if (textAt(entry, 'destinationNamedPort') !== undefined) return true;
  const protocol = ['tcp', 'udp', 'sctp'].find((name) => at(entry, name) !== undefined);
  if (protocol === undefined) return false;
  const port = at(entry, protocol, 'destinationPort');
  return (
    onlyKeys(at(entry, protocol), ['destinationPort']) &&
    onlyKeys(port, ['number', 'range']) &&
    (numberAt(port, 'number') !== undefined || numberAt(port, 'range', 'start') !== undefined)
  );
}

function onlyKeys(value: unknown, keys: readonly string[]): boolean {
  return Object.keys((value ?? {}) as Raw).every((key) => keys.includes(key));
}
