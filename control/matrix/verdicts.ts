/** The compiled rulesets of a cluster, asked the questions the oracle answers: the same shape, another source. Pure. */
import { cidrContains, type Family, parseCidr, parseIp } from '../common/ip.js';
import type { PaperCluster } from '../explain/cluster.js';
import { type Place, placeAt, placeOf, placeOfNode } from '../explain/ends.js';
import { getOrMake } from '../model/label-index.js';
import type {
  End,
  Oracle,
  OracleVerdict,
  Packet,
  ServiceQuestion,
  ServiceVerdict,
} from '../oracle/question.js';
import { type Judgement, judge } from '../ruleset/evaluate.js';
import { formatOrigin } from '../ruleset/format.js';
import type { Ruleset, ServiceItem } from '../ruleset/types.js';
import { Kinds } from './kinds.js';

/** Pods and nodes are asked at their addresses of one family. Throws where a question names what is not there. */
export function compiledJudge(cluster: PaperCluster, family: Family = 4): Oracle {
  const places = new Map<string, Place>();
  const placed = (end: End): Place => getOrMake(places, nameOf(end), () => placeOfEnd(cluster, end, family));
  const kinds = new Kinds(cluster);
  // Protocol and port -> kinds of both directions -> verdict.
  const known = new Map<string, Map<number, OracleVerdict>>();
  const verdict = (packet: Packet): OracleVerdict => {
    const [from, to] = [placed(packet.from), placed(packet.to)];
    const ofPort = getOrMake(
      known,
      `${packet.protocol} ${packet.port}`,
      () => new Map<number, OracleVerdict>(),
    );
    const kind = kinds.of(from, to, 'egress') * KINDS + kinds.of(to, from, 'ingress');
    return getOrMake(ofPort, kind, () => between(cluster, from, to, packet));
  };
  return {
    verdict,
    viaService: (question) => viaService(cluster, placed(question.from), question, verdict),
  };
}

/** More kinds than there can be. */
const KINDS = 2 ** 26;

function nameOf(end: End): string {
  if ('pod' in end) return `pod ${end.pod.namespace}/${end.pod.name}`;
  return 'node' in end ? `node ${end.node} ${end.ip ?? ''}` : end.ip;
}

function placeOfEnd(cluster: PaperCluster, end: End, family: Family): Place {
  if ('ip' in end && !('node' in end)) return placeAt(cluster, end.ip);
  if ('pod' in end) {
    const pod = cluster.model.get('Pod', end.pod.namespace, end.pod.name);
    if (pod === undefined) throw new Error(`no pod ${end.pod.namespace}/${end.pod.name}`);
    return placeOf(pod, family);
  }
  return end.ip === undefined
    ? placeOfNode(cluster, end.node, family)
    : { name: `node ${end.node}`, address: end.ip, pod: null, node: end.node };
}

/** Both judgements of one packet between two places; null where that end is no pod. */
export function judgements(
  { rulesets }: PaperCluster,
  from: Place,
  to: Place,
  { protocol, port }: Pick<Packet, 'protocol' | 'port'>,
): { readonly egress: Judgement | null; readonly ingress: Judgement | null } {
  const side = (subject: Place, peer: Place, direction: 'ingress' | 'egress'): Judgement | null => {
    const ruleset = subject.node === null ? undefined : rulesets.get(subject.node);
    if (subject.pod === null || ruleset === undefined) return null;
    const asked = { protocol: protocol === 'ICMP' ? null : protocol, port };
    return judge(ruleset, { ...asked, pod: subject.pod, direction, peer: peer.address });
  };
  return { egress: side(from, to, 'egress'), ingress: side(to, from, 'ingress') };
}

/** What decided, in the words of the oracle. */
function decidedBy(judgement: Judgement | null): string {
  if (judgement === null) return 'not a pod';
  const { by, origin, isolatedBy } = judgement;
  if (by === 'rule' && origin !== null) return formatOrigin(origin);
  if (by === 'isolated') return `closed by ${isolatedBy.map(formatOrigin).join(', ')}`;
  return by === 'unmatched' ? 'open' : by;
}

function between(
  cluster: PaperCluster,
  from: Place,
  to: Place,
  packet: Pick<Packet, 'protocol' | 'port'>,
): OracleVerdict {
  const { egress, ingress } = judgements(cluster, from, to, packet);
  const [egressAllowed, ingressAllowed] = [egress?.allowed !== false, ingress?.allowed !== false];
  return {
    allowed: egressAllowed && ingressAllowed,
    egressAllowed,
    ingressAllowed,
    egressBy: decidedBy(egress),
    ingressBy: decidedBy(ingress),
  };
}

function viaService(
  cluster: PaperCluster,
  from: Place,
  question: ServiceQuestion,
  verdict: Oracle['verdict'],
): ServiceVerdict {
  // Who comes from outside is dealt with by the node whose address it asks for, or by the first one.
  const entry = from.node ?? question.node ?? [...cluster.rulesets.keys()][0];
  const ruleset = entry === undefined ? undefined : cluster.rulesets.get(entry);
  const item = ruleset === undefined ? null : serviceItem(ruleset, question, from, entry ?? '');
  if (item === null) {
    const { namespace, name } = question.service;
    throw new Error(`no Service ${namespace}/${name} with ${question.protocol} port ${question.port}`);
  }
  const source = parseIp(from.address);
  if (
    item.sourceRanges !== null &&
    !item.sourceRanges.some((range) => cidrContains(parseCidr(range), source))
  )
    return { outcome: 'filtered', backends: [] };
  const chosen = from.node === null ? (item.outsideBackends ?? item.backends) : item.backends;
  if (chosen.length === 0 && item.backends.length > 0) return { outcome: 'elsewhere', backends: [] };
  const backends = chosen.map(({ address, port, pod }) => ({
    address,
    port,
    pod,
    verdict: verdict({ from: question.from, to: { ip: address }, protocol: question.protocol, port }),
  }));
  return { outcome: backends.length === 0 ? 'refused' : 'backends', backends };
}

function serviceItem(
  ruleset: Ruleset,
  { service: { namespace, name }, protocol, port, frontend, node }: ServiceQuestion,
  from: Place,
  entry: string,
): ServiceItem | null {
  const base = `service/${namespace}/${name}/${protocol}/${port}`;
  const scopes = {
    ClusterIP: ['internal'],
    NodePort: node === undefined || node === entry ? ['external'] : [`external/${node}`, 'external'],
    LoadBalancer: ['loadbalancer'],
    ExternalIP: ['externalip'],
  }[frontend];
  const family = from.address.includes(':') ? '/ipv6' : '';
  for (const scope of scopes) {
    const item = ruleset.get(`${base}/${scope}${family}`);
    if (item?.kind === 'service') return item;
  }
  return null;
}
