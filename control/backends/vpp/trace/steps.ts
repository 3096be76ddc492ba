/** A traced packet as lines for people: the stages it passed, and its outcome. What only carries packets from node to node is left out. */
import type { TraceStep } from '../../backend.js';
import { protocolName } from '../../protocols.js';
import type { Port, TraceNames } from './names.js';
import { outcomeOf } from './outcome.js';
import { type Flow, flowOf, flowsOf, type TracedPacket, type TraceRecord } from './parse.js';
import { type Stage, type Teller, withPort } from './stage.js';
import { cnat, NAT44, nat44 } from './translate.js';

/** Nodes that tell something, by their names; the first that fits. */
const TELLERS: readonly (readonly [RegExp, Teller])[] = [
  [/^acl-plugin-(in|out)-/, verdict],
  [/^cnat-input-|^ip[46]-cnat-tx$|^cnat-vip|-cnat-return$/, cnat(false)],
  [/^cnat-(output|snat)-/, cnat(true)],
  [/-(rewrite|midchain)$/, route],
  [/^vxlan[46]?-encap$/, tunnelled('encap')],
  [/^vxlan[46]?-input$/, tunnelled('decap')],
  [/^ip[46]-(punt-redirect|frag)$/, firstLine],
];

/** @param number the packet's, from 1 */
export function stepsOf(packet: TracedPacket, number: number, names: TraceNames): TraceStep[] {
  const arrival = arrivalOf(packet, names);
  const steps: TraceStep[] = [];
  const add = (time: number, { stage, text, port = arrival }: Stage): void => {
    steps.push({
      ...{ packet: number, time, stage, text: `${stage}: ${text}` },
      ...{ interface: port?.key ?? null, pod: port?.pod ?? null },
    });
  };
  const [first] = packet.records;
  if (first === undefined) return steps;
  const flow = arrived(packet);
  const on = arrival === null ? '' : ` on ${arrival.text}`;
  add(first.time, { stage: 'receive', text: `${flow === null ? kindOf(packet) : describe(flow)}${on}` });
  let before: Flow | null = null;
  let natted = false;
  let table: 'main' | 'pod' = arrival?.role === 'pod' ? 'pod' : 'main';
  for (const record of packet.records) {
    const flow = flowOf(record.lines);
    const change = natted && flow !== null && before !== null ? nat44(before, flow, names) : null;
    const stage = TELLERS.find(([node]) => node.test(record.node))?.[1](record, names, before, table) ?? null;
    for (const each of [change, stage]) if (each !== null) add(record.time, each);
    natted = NAT44.test(record.node) || (natted && flow === null);
    if (stage?.stage === 'decap') table = 'pod';
    before = flow ?? before;
  }
  const { outcome, detail, port } = outcomeOf(packet, names);
  const where = port === null ? '' : ` on ${port.text}`;
  const why = detail === null ? '' : ` (${detail})`;
  add(packet.records.at(-1)?.time ?? first.time, {
    ...{ stage: 'outcome', text: `${outcome}${where}${why}` },
    ...(port === null ? {} : { port }),
  });
  return steps;
}

/** The packet as it came. Old versions print the ports of some not at once. */
function arrived(packet: TracedPacket): Flow | null {
  const [flow, ...others] = flowsOf(packet);
  if (flow === undefined || flow.ports !== null) return flow ?? null;
  const same = others.find(
    ({ source, destination, protocol }) =>
      source === flow.source && destination === flow.destination && protocol === flow.protocol,
  );
  return { ...flow, ports: same?.ports ?? portsOfSession(packet, flow) };
}

/** CNAT prints both ends of a flow it makes, as they came. */
function portsOfSession({ records }: TracedPacket, { source, destination }: Flow): Flow['ports'] {
  for (const text of records.flatMap(({ lines }) => lines)) {
    const [, from, fromPort, to, toPort] = /session:\[(\S+);(\d+) -> (\S+);(\d+), /.exec(text) ?? [];
    if (from === source && to === destination) return [Number(fromPort), Number(toPort)];
  }
  return null;
}

/** The interface a packet came on: drivers tell the hardware's index, DPDK's its name, drops VPP's name. */
function arrivalOf({ records }: TracedPacket, names: TraceNames): Port | null {
  const [first] = records;
  const hardware = /\bhw_if_index (\d+)/.exec(first?.lines[0] ?? '')?.[1];
  if (hardware !== undefined) return names.byHardware(Number(hardware));
  const name = /^(?:af_xdp: )?(\S+) (?:\(\d+\)|rx queue)/.exec(first?.lines[0] ?? '')?.[1];
  return name === undefined ? null : names.byName(name);
}

function verdict({ node, lines }: TraceRecord, names: TraceNames): Stage | null {
  const text = lines[0] ?? '';
  const found =
    /sw_if_index (\d+), .*action: (\d+), match: acl (-?\d+) rule (-?\d+) trace_bits ([0-9a-f]+)/.exec(text);
  if (found === null) return null;
  const [index, action, acl, rule] = found.slice(1, 5).map(Number) as [number, number, number, number];
  const direction = node.startsWith('acl-plugin-in-') ? 'egress' : 'ingress';
  const stage = `policy ${direction}`;
  const port = names.byIndex(index);
  // VPP found the connection among those it knows, and asked no rule.
  if (acl < 0 && Number.parseInt(found[5] ?? '0', 16) >= 0x80000000) {
    return { stage: 'session', text: `known connection, ${action === 0 ? 'denied' : 'allowed'}`, port };
  }
  const decided = action === 0 ? 'denied' : 'allowed';
  if (acl < 0) return { stage, text: `${decided}: no rule is for it`, port };
  const known = names.rule(acl, rule)?.text ?? `rule ${rule} of access list ${acl}`;
  return { stage, text: `${decided} by ${known}`, port };
}

/** The table is that of where the packet came from: pods and tunnels, or the host and the uplink. */
function route(
  { lines }: TraceRecord,
  names: TraceNames,
  before: Flow | null,
  table: 'main' | 'pod',
): Stage | null {
  const found = /tx_sw_if_index (\d+) .*?: (?:\S+ )?via (\S+)/.exec(lines[0] ?? '');
  if (found === null) return null;
  const [, index, nextHop = ''] = found;
  const port = names.byIndex(Number(index));
  const destination = before?.destination ?? nextHop;
  const way = `${port?.text ?? `interface ${index}`}${destination === nextHop ? '' : ` via ${nextHop}`}`;
  return { stage: 'route', text: `${destination} in ${table} table -> ${way}`, port };
}

function tunnelled(stage: string): Teller {
  return ({ lines }, names) => {
    const found = /VXLAN \w+ (to|from) (\S+) vni (\d+)/.exec(lines.join(' '));
    if (found === null) return null;
    const [, way, name = '', vni] = found;
    return { stage, text: `VXLAN ${vni} ${way} ${names.byName(name)?.text ?? name}` };
  };
}

function firstLine({ node, lines }: TraceRecord): Stage | null {
  const text = lines[0]?.trim();
  return text === undefined ? null : { stage: node, text };
}

function describe({ protocol, source, destination, ports, length }: Flow): string {
  const name = protocolName(protocol);
  const [from, to] = ports ?? [null, null];
  const ends = `${withPort(source, from)} -> ${withPort(destination, to)}`;
  return `${name} ${ends}${length === null ? '' : `, ${length} bytes,`}`;
}

/** Of what is no IP packet. */
function kindOf({ records }: TracedPacket): string {
  const arp = records.find(({ node }) => node === 'arp-input');
  const what = /^(\w+),/.exec(arp?.lines[0] ?? '')?.[1] ?? '';
  return arp === undefined ? 'a packet' : `ARP ${what}`.trim();
}
