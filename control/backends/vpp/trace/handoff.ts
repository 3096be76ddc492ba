/**
 * A packet that a worker hands to another one is two in VPP's traces: its beginning on one thread, and the rest on another, which says
 * where it came from. Here they are one again.
 */
import { type Flow, flowsOf, type TracedPacket } from './parse.js';

const HANDED = 'handoff_trace';
/** `HANDED-OFF: from thread 1 trace index 4` */
const FROM = /from thread (\d+) trace index (\d+)/;
/** Where packets end: nothing follows. */
const ENDED = /^(drop|punt)$|-tx$/;

export function joinHandoffs(packets: readonly TracedPacket[]): TracedPacket[] {
  const whole = packets.filter((packet) => originOf(packet) === null);
  const rests = packets.flatMap((packet) => {
    const origin = originOf(packet);
    return origin === null ? [] : [{ ...origin, packet }];
  });
  for (const { thread, index, packet } of rests) {
    const at = beginningOf(packet, thread, index, whole);
    const beginning = whole[at];
    // The rest of a packet whose beginning was overwritten is told by itself.
    if (beginning === undefined) whole.push(packet);
    else whole[at] = { thread, records: [...beginning.records, ...packet.records.slice(1)] };
  }
  return whole;
}

interface Origin {
  readonly thread: number;
  readonly index: number;
}

function originOf({ records: [first] }: TracedPacket): Origin | null {
  const found = first?.node === HANDED ? FROM.exec(first.lines.join(' ')) : null;
  return found === null ? null : { thread: Number(found[1]), index: Number(found[2]) };
}

/** VPP's index is the order in which it began to trace, as the text is but for packets of the same moment: so the ends must agree. */
function beginningOf(
  rest: TracedPacket,
  thread: number,
  index: number,
  all: readonly TracedPacket[],
): number {
  const mine = all.flatMap((packet, at) => (packet.thread === thread ? [{ packet, at }] : []));
  const [flow] = flowsOf(rest);
  const fits = ({ packet }: { readonly packet: TracedPacket }): boolean =>
    !ENDED.test(packet.records.at(-1)?.node ?? '') &&
    (flow === undefined || sameEnds(flow, flowsOf(packet).at(-1)));
  const named = mine[index];
  const found = named !== undefined && fits(named) ? named : mine.find(fits);
  return found?.at ?? -1;
}

function sameEnds(flow: Flow, other: Flow | undefined): boolean {
  return other?.source === flow.source && other.destination === flow.destination;
}
