/** `sim trace FROM TO`: which probe that is, and the packets' way over the nodes in lines for a person. Pure. */
import { isIP } from 'node:net';
import { InvalidInputError } from '../common/errors.js';
import type { Party, Probe, ProbeProtocol } from './driver.js';
import { podNamed } from './lookup.js';
import { inFamily } from './matrix/family.js';
import type { ClusterState } from './matrix/state.js';
import { parseRef } from './options.js';
import type { Traced } from './session.js';

const TIMEOUT_MS = 1000;

/**
 * FROM: `NS/POD`, a node's name or `outside`. TO: `NS/POD`, `service/NS/NAME`, `outside` or an address, then `:PORT` and
 * `/udp`; without a port it is a ping. An IPv6 address with a port stands in brackets; `/tcp6`, `/udp6` and `/icmp6` mean a name's IPv6
 * address. Names of workloads stand for their first pod. Throws InvalidInputError.
 */
export function resolveTrace(state: ClusterState, from: string, to: string): Probe {
  const match = isIP(to) === 0 ? /^(.+?)(?::(\d+))?(?:\/(tcp|udp|icmp)(6)?)?$/.exec(to) : null;
  const name = (match?.[1] ?? to).replace(/^\[(.*)\]$/, '$1');
  const six = match?.[4] === '6' || isIP(name) === 6;
  const port = Number(match?.[2] ?? 0);
  const protocol = (match?.[3] ?? (port === 0 ? 'icmp' : 'tcp')) as ProbeProtocol;
  if (protocol !== 'icmp' && match?.[2] === undefined) {
    throw new InvalidInputError('needs a port: NAME:PORT', { value: to });
  }
  if (port > 65535 || (protocol !== 'icmp' && port === 0)) {
    throw new InvalidInputError('a port is 1-65535', { value: to });
  }
  return {
    from: partyOf(state, from),
    address: addressOf(six ? inFamily(state, 6) : state, name),
    port,
    protocol,
    timeoutMs: TIMEOUT_MS,
  };
}

function partyOf(state: ClusterState, name: string): Party {
  if (name === 'outside') return { type: 'outside' };
  if (state.nodes.some((node) => node.name === name)) return { type: 'node', node: name };
  const { metadata } = podNamed(state, parseRef(name));
  return { type: 'pod', pod: { namespace: metadata.namespace ?? 'default', name: metadata.name } };
}

/** Of a pod or workload; who names a Service alone is told how that is asked for. */
function podAddress(state: ClusterState, name: string): string {
  const ref = parseRef(name);
  try {
    return podNamed(state, ref).status.podIPs[0] ?? '';
  } catch (error) {
    const full = `${ref.namespace}/${ref.name}`;
    if (!state.services.some(({ metadata: m }) => `${m.namespace}/${m.name}` === full)) throw error;
    throw new InvalidInputError(`no such pod or workload; the Service is service/${full}`, { value: full });
  }
}

function addressOf(state: ClusterState, name: string): string {
  if (isIP(name) !== 0) return name;
  if (name === 'outside') return state.outside.addresses[1] ?? state.outside.addresses[0] ?? '';
  const node = state.nodes.find((candidate) => candidate.name === name);
  if (node !== undefined) return node.address;
  if (!name.startsWith('service/')) return podAddress(state, name);
  const ref = parseRef(name.slice('service/'.length));
  const service = state.services.find(
    ({ metadata }) => metadata.namespace === ref.namespace && metadata.name === ref.name,
  );
  const address = service?.spec.clusterIPs[0];
  if (address === undefined || address === 'None') {
    throw new InvalidInputError('no such Service, or it has no cluster IP', { value: name });
  }
  return address;
}

/** `10.1.3.9:42342 -> 10.1.2.6:7070` in a step's text, IPv6 in brackets; the group is the source address. */
const FLOW = /\[?(?<source>[\da-f.:]*[\da-f])\]?:\d+ -> [^\s,]+/;

function sourceOf(state: ClusterState, from: Party): string | undefined {
  if (from.type === 'outside') return state.outside.addresses[0];
  if (from.type === 'node') return state.nodes.find(({ name }) => name === from.node)?.address;
  const { namespace, name } = from.pod;
  return state.pods.find(
    ({ pod: { metadata } }) => metadata.namespace === namespace && metadata.name === name,
  )?.pod.status.podIPs[0];
}

/** On every node the first packet of each direction; with `all`, every packet. */
export function formatTraced({ probe, result, steps }: Traced, state: ClusterState, all: boolean): string {
  const host = probe.address.includes(':') ? `[${probe.address}]` : probe.address;
  const target = probe.port === 0 ? probe.address : `${host}:${probe.port}`;
  const outcome =
    result.outcome === 'connected'
      ? `connected${result.answer === null ? '' : `, ${result.answer} answered`} (${result.millis.toFixed(1)} ms)`
      : result.outcome === 'error' && result.answer !== null
        ? `error: ${result.answer}`
        : result.outcome;
  const head = `${partyName(probe.from)} → ${addressName(state, probe.address)}${target}/${probe.protocol}: ${outcome}`;
  const packets = new Map<string, Traced['steps'][number][]>();
  for (const step of steps) {
    const key = `${step.node} ${step.packet}`;
    packets.set(key, [...(packets.get(key) ?? []), step]);
  }
  const seen = new Set<string>();
  const shown = [...packets.values()].flatMap((own) => {
    const [first] = own;
    if (first === undefined) return [];
    const flow = `${first.node} ${FLOW.exec(first.text)?.[0] ?? first.packet}`;
    if (seen.has(flow) && !all) return [];
    seen.add(flow);
    return [{ first, own }];
  });
  // Clocks are told in milliseconds; what happens within one is put in the order it must have had.
  const source = sourceOf(probe.address.includes(':') ? inFamily(state, 6) : state, probe.from);
  const rank = ({ first: { text } }: (typeof shown)[number]) =>
    (FLOW.exec(text)?.groups?.['source'] === source ? 0 : 2) + (text.endsWith('on uplink') ? 1 : 0);
  const ordered = all ? shown : [...shown].sort((a, b) => rank(a) - rank(b));
  const lines = ordered.flatMap(({ first, own }) => [
    `${first.node}, packet ${first.packet}`,
    ...own.map(({ text }) => `    ${text}`),
  ]);
  return [head, ...(lines.length === 0 ? ['no data plane saw a packet of it'] : lines), ''].join('\n');
}

function partyName(party: Party): string {
  if (party.type === 'pod') return `${party.pod.namespace}/${party.pod.name}`;
  return party.type === 'node' ? party.node : 'outside';
}

function addressName(state: ClusterState, address: string): string {
  const pod = state.pods.find(({ pod: p }) => p.status.podIPs.includes(address))?.pod;
  if (pod !== undefined) return `${pod.metadata.namespace}/${pod.metadata.name} at `;
  const service = state.services.find(({ spec }) => spec.clusterIPs.includes(address));
  return service === undefined ? '' : `Service ${service.metadata.namespace}/${service.metadata.name} at `;
}
