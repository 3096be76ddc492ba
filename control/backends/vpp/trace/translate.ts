/** Translated addresses in traces. CNAT prints what it wrote; what NAT44 wrote is seen at the next node that prints the packet. */
import type { TraceNames } from './names.js';
import type { Flow } from './parse.js';
import { type Stage, type Teller, withPort } from './stage.js';

type Ends = Pick<Flow, 'source' | 'destination' | 'ports'>;

/** Nodes of NAT44: they leave the packet to be printed by others. */
export const NAT44 = /^nat44-/;

/** `UDP [10.1.1.2;7000 -> 10.1.1.3;81] …`, `session:[…] => 10.1.1.2;7001 -> 10.1.1.3;81 input` */
const WRITTEN = /(?:^\w+ \[|^session:\[.*\] => )(\S+);(\d+) -> (\S+);(\d+)\b/;

/**
 * CNAT prints the connection's state first, then all it knows of it; the addresses it wrote, if any, are in brackets at the start of a
 * line, or (23.02) behind an arrow.
 * @param output whether the node is where packets leave: there it is the source that is written
 */
export function cnat(output: boolean): Teller {
  return ({ lines }, names, before) => {
    const state = lines[0]?.replace(/ \[.*/, '').trim() ?? '';
    const written = lines.map((line) => WRITTEN.exec(line)).find((found) => found !== null);
    if (written === undefined || written === null) return null;
    const [, source = '', from, destination = '', to] = written;
    const after: Ends = { source, destination, ports: [Number(from), Number(to)] };
    if (state.startsWith('return') || names.service(after.source, after.ports?.[0]) !== null)
      return answer(after);
    return output ? ownSource(after, state) : chosen(before, after, names, state);
  };
}

/** What NAT44 made of a packet; null: nothing. */
export function nat44(before: Flow, after: Flow, names: TraceNames): Stage | null {
  if (before.destination !== after.destination) return chosen(before, after, names, null);
  if (before.source === after.source) return null;
  return names.service(after.source, after.ports?.[0]) === null ? ownSource(after, null) : answer(after);
}

function answer({ source, destination, ports }: Ends): Stage {
  const [from, to] = ports ?? [null, null];
  return {
    stage: 'service',
    text: `answer becomes ${withPort(source, from)} -> ${withPort(destination, to)}`,
  };
}

function ownSource({ source, ports }: Ends, state: string | null): Stage {
  return { stage: 'snat', text: `source becomes ${withPort(source, ports?.[0] ?? null)}${suffix(state)}` };
}

function chosen(before: Flow | null, after: Ends, names: TraceNames, state: string | null): Stage {
  const { destination, ports } = after;
  const service = before === null ? null : names.service(before.destination, before.ports?.[1]);
  const pod = names.podAt(destination);
  const whose = pod === null ? '' : ` (${pod})`;
  const end = withPort(destination, ports?.[1] ?? null);
  return { stage: 'service', text: `${service ?? 'translation'} -> ${end}${whose}${suffix(state)}` };
}

function suffix(state: string | null): string {
  return state === null ? '' : `, ${state}`;
}
