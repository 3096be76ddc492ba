/** `sim trace FROM TO`: which probe that is, and the packets' way over the nodes in lines for a person. Pure. */
import { isIP } from 'node:net';
import { InvalidInputError } from '../common/errors.js';
import type { Party, Probe, ProbeProtocol } from './driver.js';
import type { ClusterState } from './matrix/state.js';
import { parseRef } from './options.js';
import type { Traced } from './session.js';

const TIMEOUT_MS = 1000;

/**
 * FROM: `NS/POD`, a node's name or `outside`. TO: `NS/POD`, `service/NS/NAME`, `outside` or an address, then `:PORT` and
 * `/udp`; without a port it is a ping. Names of workloads stand for their first pod. Throws InvalidInputError.
 */
export function resolveTrace(state: ClusterState, from: string, to: string): Probe {
  const match = /^(.+?)(?::(\d+))?(?:\/(tcp|udp|icmp))?$/.exec(to);
  const name = match?.[1] ?? to;
  const port = Number(match?.[2] ?? 0);
  const protocol = (match?.[3] ?? (port === 0 ? 'icmp' : 'tcp')) as ProbeProtocol;
  if (port > 65535 || (protocol !== 'icmp' && port === 0)) {
    throw new InvalidInputError('needs a port: NAME:PORT', { value: to });
  }
  return {
    from: partyOf(state, from),
    address: addressOf(state, name),
    port,
    protocol,
    timeoutMs: TIMEOUT_MS,
  };
}

function partyOf(state: ClusterState, name: string): Party {
  if (name === 'outside') return { type: 'outside' };
  if (state.nodes.some((node) => node.name === name)) return { type: 'node', node: name };
  const { metadata } = podOf(state, name);
  return { type: 'pod', pod: { namespace: metadata.namespace ?? 'default', name: metadata.name } };
}

function addressOf(state: ClusterState, name: string): string {
  if (isIP(name) !== 0) return name;
  if (name === 'outside') return state.outside.addresses[1] ?? state.outside.addresses[0] ?? '';
  const node = state.nodes.find((candidate) => candidate.name === name);
  if (node !== undefined) return node.address;
  if (!name.startsWith('service/')) return podOf(state, name).status.podIPs[0] ?? '';
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

function podOf(state: ClusterState, name: string) {
  const ref = parseRef(name);
  const full = `${ref.namespace}/${ref.name}`;
  const found =
    state.pods.find(({ pod }) => `${pod.metadata.namespace}/${pod.metadata.name}` === full) ??
    state.pods.find(({ workload }) => workload === full);
  if (found === undefined) throw new InvalidInputError('no such pod or workload', { value: name });
  return found.pod;
}

/** The first packet on every node it meets and the answer's way back; with `all`, every packet. */
export function formatTraced({ probe, result, steps }: Traced, state: ClusterState, all: boolean): string {
  const target = probe.port === 0 ? probe.address : `${probe.address}:${probe.port}`;
  const outcome =
    result.outcome === 'connected'
      ? `connected${result.answer === null ? '' : `, ${result.answer} answered`} (${result.millis.toFixed(1)} ms)`
      : result.outcome;
  const head = `${partyName(probe.from)} → ${addressName(state, probe.address)}${target}/${probe.protocol}: ${outcome}`;
  const shown = new Map<string, number>();
  const lines: string[] = [];
  let last = '';
  for (const step of steps) {
    const packet = `${step.node} ${step.packet}`;
    const seen = shown.get(packet) ?? shown.size + 1;
    shown.set(packet, seen);
    const onNode = [...shown.keys()].filter((key) => key.startsWith(`${step.node} `)).indexOf(packet);
    if (!all && onNode > 1) continue;
    if (packet !== last)
      lines.push(
        `${step.node}, packet ${step.packet}${step.interface === null ? '' : ` on ${step.interface}`}`,
      );
    last = packet;
    lines.push(`    ${step.stage.padEnd(14)} ${step.text}`);
  }
  return [head, ...(lines.length === 0 ? ['no node saw a packet of it'] : lines), ''].join('\n');
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
