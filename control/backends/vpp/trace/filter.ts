/** Which packets a person asked for. VPP's own filters know bytes at offsets, not addresses after translation: so it is done here. */
import { InvalidInputError } from '../../../common/errors.js';
import { canonicalIp } from '../../../common/ip.js';
import type { TraceFilter } from '../../backend.js';
import { type Flow, flowsOf, type TracedPacket } from './parse.js';

/** Addresses in canonical text. Throws InvalidInputError for ones that are none, and for two of different families. */
export function checkFilter(filter: TraceFilter): TraceFilter {
  const { source, destination, ...rest } = filter;
  const checked = {
    ...rest,
    ...(source === undefined ? {} : { source: canonicalIp(source) }),
    ...(destination === undefined ? {} : { destination: canonicalIp(destination) }),
  };
  if (isSix(source) !== isSix(destination) && source !== undefined && destination !== undefined) {
    const value = { source, destination };
    throw new InvalidInputError('both addresses must be of one family', { field: 'destination', value });
  }
  return checked;
}

const ICMP6 = 58;
const DISCOVERY = /^icmp6-(neighbor|router)-/;

/** Either direction of a connection, before and after its addresses are translated. A filter that asks for nothing takes all. */
export function matches(packet: TracedPacket, filter: TraceFilter): boolean {
  const { source, destination, protocol, port } = filter;
  if (source === undefined && destination === undefined && protocol === undefined && port === undefined)
    return true;
  // Neighbors asking for one another are nobody's connection.
  if (protocol !== ICMP6 && packet.records.some(({ node }) => DISCOVERY.test(node))) return false;
  return flowsOf(packet).some((flow) => fits(flow, filter) || fits(turned(flow), filter));
}

function fits(flow: Flow, { source, destination, protocol, port }: TraceFilter): boolean {
  return (
    (source === undefined || flow.source === source) &&
    (destination === undefined || flow.destination === destination) &&
    (protocol === undefined || flow.protocol === protocol) &&
    (port === undefined || (flow.ports?.includes(port) ?? false))
  );
}

function turned(flow: Flow): Flow {
  return { ...flow, source: flow.destination, destination: flow.source };
}

function isSix(address: string | undefined): boolean {
  return address?.includes(':') ?? false;
}
