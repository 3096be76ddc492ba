/** A trace record as a person's line: table indexes become names of policies, pods, services and tunnels. */
import * as L from '../../../dataplane-as/layout/index.js';
import type { Ip } from '../../ruleset/types.js';
import type { TraceStep } from '../backend.js';
import { protocolName } from '../protocols.js';
import { formatWord, swap16 } from './bytes.js';
import { readIp6 } from './bytes6.js';
import type { Lowering } from './lowering.js';
import { outcomeName, WELL_KNOWN_RULES } from './outcomes.js';

/** One record of the ring, as it lies there. */
export interface TraceRecord {
  readonly packet: number;
  readonly time: number;
  readonly stage: number;
  readonly port: number;
  /** The stage's five words. */
  readonly words: readonly [number, number, number, number, number];
  /** Of an IPv6 packet: source, and destination or the one address the stage is about. */
  readonly six: readonly [Ip, Ip] | null;
}

export function readRecord(view: DataView, at: number): TraceRecord {
  const word = (offset: number): number => view.getUint32(at + offset, true);
  const stage = view.getUint16(at + L.TR_STAGE, true);
  const six = (stage & L.STAGE_IP6) !== 0;
  return {
    packet: word(L.TR_PACKET),
    time: word(L.TR_TIME),
    stage: stage & ~L.STAGE_IP6,
    port: view.getUint16(at + L.TR_PORT, true),
    words: [word(L.TR_A), word(L.TR_B), word(L.TR_C), word(L.TR_D), word(L.TR_E)],
    six: six ? [readIp6(view, at + L.TR_SRC6), readIp6(view, at + L.TR_DST6)] : null,
  };
}

export function traceStep(record: TraceRecord, lowering: Lowering): TraceStep {
  const item = lowering.ports.itemAt(record.port);
  const [stage, text] = describe(record, lowering);
  return {
    packet: record.packet,
    time: record.time,
    stage,
    text: `${stage}: ${text}`,
    interface: item?.key ?? null,
    pod: item?.pod ?? null,
  };
}

function describe({ stage, port, words, six }: TraceRecord, lowering: Lowering): [string, string] {
  const [a, b, c, d, e] = words;
  const source = six?.[0] ?? formatWord(a);
  switch (stage) {
    case L.STAGE_RECEIVE: {
      const protocol = protocolName(d);
      return [
        'receive',
        `${protocol} ${flow(source, six?.[1] ?? formatWord(b), c)}, ${e} bytes, on ${portName(port, lowering)}`,
      ];
    }
    case L.STAGE_DECAP:
      return ['decap', `VXLAN ${b} from ${formatWord(a)} (${adjacencyName(c, lowering)})`];
    case L.STAGE_SESSION_HIT:
      return ['session', `known connection, allowed by ${ruleName(b, lowering)}`];
    case L.STAGE_SERVICE: {
      const service = lowering.services.itemAt(a);
      const name = service === undefined ? `service ${a}` : `Service ${service.namespace}/${service.name}`;
      if (c === 0) return ['service', `${name}: ${refusal(b)}`];
      const found = six?.[1] ?? formatWord(b);
      const backend = service?.backends.find(({ address }) => address === found);
      const pod = backend?.pod ? ` (pod ${backend.pod.namespace}/${backend.pod.name})` : '';
      return ['service', `${name} -> ${withPort(found, swap16(c))}${pod}`];
    }
    case L.STAGE_EGRESS:
      return ['policy egress', verdict(c, d, lowering)];
    case L.STAGE_INGRESS:
      return ['policy ingress', verdict(c, d, lowering)];
    case L.STAGE_ROUTE:
      return [
        'route',
        `${six?.[1] ?? source} in ${c === L.SPACE_POD ? 'pod' : 'main'} table -> ${adjacencyName(b, lowering)}`,
      ];
    case L.STAGE_SNAT:
      return ['snat', `source becomes ${withPort(six?.[1] ?? source, swap16(b))}`];
    case L.STAGE_SESSION_NEW:
      return ['new session', `allowed by ${ruleName(b, lowering)}`];
    case L.STAGE_REWRITE:
      return ['rewrite', flow(source, six?.[1] ?? formatWord(b), c)];
    case L.STAGE_ENCAP:
      return ['encap', `VXLAN ${b} to ${formatWord(a)}, outer source port ${c}`];
    case L.STAGE_OUTCOME:
      return ['outcome', outcomeName(a) + (b === L.PORT_NONE ? '' : ` on ${portName(b, lowering)}`)];
    default:
      return [`stage ${stage}`, words.join(' ')];
  }
}

function flow(source: Ip, destination: Ip, ports: number): string {
  return `${withPort(source, swap16(ports & 0xffff))} -> ${withPort(destination, swap16(ports >>> 16))}`;
}

function withPort(address: Ip, port: number): string {
  return address.includes(':') ? `[${address}]:${port}` : `${address}:${port}`;
}

function verdict(action: number, rule: number, lowering: Lowering): string {
  return `${action === L.ACTION_ALLOW ? 'allowed' : 'denied'} by ${ruleName(rule, lowering)}`;
}

function ruleName(rule: number, lowering: Lowering): string {
  return WELL_KNOWN_RULES.get(rule) ?? lowering.policies.ruleText(rule) ?? `rule ${rule}`;
}

function portName(port: number, lowering: Lowering): string {
  const item = lowering.ports.itemAt(port);
  if (item === undefined) return `port ${port}`;
  return item.pod === null ? item.role : `pod ${item.pod.namespace}/${item.pod.name}`;
}

function adjacencyName(adjacency: number, lowering: Lowering): string {
  if ((adjacency & L.S_DIRECT) !== 0) return portName((adjacency & ~L.S_DIRECT) >>> 0, lowering);
  const target = lowering.routes.targetAt(adjacency);
  if (target === undefined) return 'nowhere';
  if (target.type === 'tunnel') return target.tunnel;
  if (target.type !== 'interface') return target.type;
  const item = lowering.ports.itemOf(target.interface);
  const name = item?.pod ? `pod ${item.pod.namespace}/${item.pod.name}` : target.interface;
  return target.nextHop === null ? name : `${name} via ${target.nextHop}`;
}

/** Why a Service had nobody for a packet: `outcome` as in dataplane-as/services.ts. */
function refusal(outcome: number): string {
  if (outcome === L.DROP_SERVICE_SOURCE) return 'the client is not in loadBalancerSourceRanges';
  if (outcome === L.DROP_SERVICE_ELSEWHERE)
    return 'no endpoint is on this node, and externalTrafficPolicy is Local';
  return 'no endpoint is ready';
}
