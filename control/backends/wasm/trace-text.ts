/** A trace record as a person's line: table indexes become names of policies, pods, services and tunnels. */
import * as L from '../../../dataplane-as/layout.js';
import type { TraceStep } from '../backend.js';
import { formatWord, swap16 } from './bytes.js';
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
}

export function readRecord(view: DataView, at: number): TraceRecord {
  const word = (offset: number): number => view.getUint32(at + offset, true);
  return {
    packet: word(L.TR_PACKET),
    time: word(L.TR_TIME),
    stage: view.getUint16(at + L.TR_STAGE, true),
    port: view.getUint16(at + L.TR_PORT, true),
    words: [word(L.TR_A), word(L.TR_B), word(L.TR_C), word(L.TR_D), word(L.TR_E)],
  };
}

const PROTOCOLS: Readonly<Record<number, string>> = { 1: 'ICMP', 6: 'TCP', 17: 'UDP', 132: 'SCTP' };

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

function describe({ stage, port, words }: TraceRecord, lowering: Lowering): [string, string] {
  const [a, b, c, d, e] = words;
  switch (stage) {
    case L.STAGE_RECEIVE: {
      const protocol = PROTOCOLS[d] ?? `protocol ${d}`;
      return ['receive', `${protocol} ${flow(a, b, c)}, ${e} bytes, on ${portName(port, lowering)}`];
    }
    case L.STAGE_DECAP:
      return ['decap', `VXLAN ${b} from ${formatWord(a)} (${adjacencyName(c, lowering)})`];
    case L.STAGE_SESSION_HIT:
      return ['session', `known connection, allowed by ${ruleName(b, lowering)}`];
    case L.STAGE_SERVICE: {
      const service = lowering.services.itemAt(a);
      const backend = service?.backends.find(({ address }) => address === formatWord(b));
      const pod = backend?.pod ? ` (pod ${backend.pod.namespace}/${backend.pod.name})` : '';
      const name = service === undefined ? `service ${a}` : `Service ${service.namespace}/${service.name}`;
      return ['service', `${name} -> ${formatWord(b)}:${swap16(c)}${pod}`];
    }
    case L.STAGE_EGRESS:
      return ['policy egress', verdict(c, d, lowering)];
    case L.STAGE_INGRESS:
      return ['policy ingress', verdict(c, d, lowering)];
    case L.STAGE_ROUTE:
      return [
        'route',
        `${formatWord(a)} in ${c === L.SPACE_POD ? 'pod' : 'main'} table -> ${adjacencyName(b, lowering)}`,
      ];
    case L.STAGE_SNAT:
      return ['snat', `source becomes ${formatWord(a)}:${swap16(b)}`];
    case L.STAGE_SESSION_NEW:
      return ['new session', `allowed by ${ruleName(b, lowering)}`];
    case L.STAGE_REWRITE:
      return ['rewrite', flow(a, b, c)];
    case L.STAGE_ENCAP:
      return ['encap', `VXLAN ${b} to ${formatWord(a)}, outer source port ${c}`];
    case L.STAGE_OUTCOME:
      return ['outcome', outcomeName(a) + (b === L.PORT_NONE ? '' : ` on ${portName(b, lowering)}`)];
    default:
      return [`stage ${stage}`, words.join(' ')];
  }
}

function flow(source: number, destination: number, ports: number): string {
  return `${formatWord(source)}:${swap16(ports & 0xffff)} -> ${formatWord(destination)}:${swap16(ports >>> 16)}`;
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
