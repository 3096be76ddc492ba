/**
 * What each cell should show, asked of the oracle: the evaluator that reads the objects as the API documentation does and
 * shares nothing with the compiler. Pure.
 */
import { oracle } from '../../oracle/oracle.js';
import type { End, Oracle, OracleVerdict } from '../../oracle/question.js';
import { nodeObjects } from '../world.js';
import type { Expected, Reach } from './cell.js';
import { type HiddenBy, hiddenBy } from './hidden.js';
import type { ExpectedCell } from './measure.js';
import type { Column, MatrixPlan, PlannedCell, Row, ServiceColumn, Target } from './plan.js';
import type { ClusterState } from './state.js';

/** One destination that an attempt may end at. */
interface Ending {
  readonly reachable: boolean;
  /** Who answers, when it is known by name. */
  readonly answer: string | null;
  readonly reason: string;
}

export function expectCells(
  plan: MatrixPlan,
  state: ClusterState,
  judge: Oracle = oracleOf(state),
): readonly ExpectedCell[] {
  const listeners = listenersOf(state);
  const hidden = hiddenBy(state);
  // The outside host sends what is for load balancers to the first node.
  const gateway = state.nodes[0]?.name;
  return plan.cells.map((planned) => ({
    planned,
    expected: combine(endings(judge, { listeners, hidden }, planned, gateway)),
  }));
}

function oracleOf(state: ClusterState): Oracle {
  return oracle([
    ...nodeObjects(state.nodes),
    ...state.namespaces,
    ...state.pods.map(({ pod }) => pod),
    ...state.services,
    ...state.slices,
    ...state.rawPolicies,
  ]);
}

/** `ADDRESS PROTOCOL/PORT` -> who listens there. */
type Listeners = ReadonlyMap<string, string>;

function listenersOf({ pods, outside }: ClusterState): Listeners {
  const listeners = new Map<string, string>();
  for (const { pod } of pods) {
    for (const { protocol, containerPort } of pod.spec.containers.flatMap((container) => container.ports)) {
      const key = `${pod.status.podIPs[0]} ${protocol}/${containerPort}`;
      listeners.set(key, `${pod.metadata.namespace}/${pod.metadata.name}`);
    }
  }
  for (const address of outside.addresses) {
    for (const { protocol, port } of outside.ports)
      listeners.set(`${address} ${protocol}/${port}`, 'outside');
  }
  return listeners;
}

/** What is asked of the cluster itself. */
interface Facts {
  readonly listeners: Listeners;
  readonly hidden: HiddenBy;
}

function endings(
  judge: Oracle,
  facts: Facts,
  { row, column, targets }: PlannedCell,
  gateway: string | undefined,
): readonly Ending[] {
  const from = endOf(row);
  if (column.service !== null) {
    const { service } = column;
    const atGateway = row.type === 'outside' && service.frontend === 'LoadBalancer';
    return targets.flatMap(({ address, node }) =>
      serviceEndings(judge, facts, { from, outside: row.type === 'outside' }, service, {
        address,
        node: atGateway ? (gateway ?? null) : node,
      }),
    );
  }
  return targets.map(({ address }) => {
    const to: End = column.pod === null ? { ip: address } : { pod: column.pod };
    const protocol = PROTOCOLS[column.protocol];
    const verdict = judge.verdict({ from, to, protocol, port: column.port });
    return ending(verdict, facts.listeners, column, address, column.port);
  });
}

const PROTOCOLS = { tcp: 'TCP', udp: 'UDP', icmp: 'ICMP' } as const;

function endOf(row: Row): End {
  if (row.party.type === 'pod') return { pod: row.party.pod };
  return row.party.type === 'node' ? { node: row.party.node, ip: row.address } : { ip: row.address };
}

/** Where a packet to this address of a Service may end; a refusal is one ending as well. */
function serviceEndings(
  judge: Oracle,
  { listeners, hidden }: Facts,
  { from, outside }: { readonly from: End; readonly outside: boolean },
  { service, port, frontend }: ServiceColumn,
  target: Target,
): readonly Ending[] {
  const name = `${service.metadata.namespace}/${service.metadata.name}`;
  const verdict = judge.viaService({
    from,
    service: { namespace: service.metadata.namespace ?? 'default', name: service.metadata.name },
    port: port.port,
    protocol: port.protocol,
    frontend,
    ...(target.node === null ? {} : { node: target.node }),
  });
  if (verdict.outcome !== 'backends') {
    const why = {
      refused: `Service ${name} has no ready endpoint${target.node === null ? '' : ` for ${target.node}`}`,
      filtered: `loadBalancerSourceRanges of Service ${name} leave this source out`,
      elsewhere: `externalTrafficPolicy of Service ${name} is Local, and ${target.node} has no endpoint`,
    }[verdict.outcome];
    return [{ reachable: false, answer: null, reason: why }];
  }
  const protocol = port.protocol === 'UDP' ? 'udp' : 'tcp';
  return verdict.backends.map((backend) => {
    const { address } = backend;
    const seen = outside ? hidden(target.node, address) : null;
    const packet = { to: { ip: address }, protocol: port.protocol, port: backend.port };
    const judged = seen === null ? backend.verdict : judge.verdict({ ...packet, from: seen });
    return ending(judged, listeners, { protocol }, address, backend.port);
  });
}

function ending(
  verdict: OracleVerdict,
  listeners: Listeners,
  { protocol }: Pick<Column, 'protocol'>,
  address: string,
  port: number,
): Ending {
  const listener =
    protocol === 'icmp' ? null : (listeners.get(`${address} ${PROTOCOLS[protocol]}/${port}`) ?? null);
  const reason = explain(verdict);
  if (!verdict.allowed) return { reachable: false, answer: listener, reason };
  if (protocol !== 'icmp' && listener === null) {
    return { reachable: false, answer: null, reason: `${reason}, but nothing listens on ${address}:${port}` };
  }
  return { reachable: true, answer: listener, reason };
}

function explain({ allowed, egressBy, ingressBy }: OracleVerdict): string {
  return `${allowed ? 'allowed' : 'denied'} (egress: ${egressBy}; ingress: ${ingressBy})`;
}

function combine(all: readonly Ending[]): Expected {
  const good = all.filter(({ reachable }) => reachable);
  const reach: Reach = good.length === 0 ? 'no' : good.length === all.length ? 'yes' : 'some';
  const names = good.map(({ answer }) => answer);
  const answers = names.includes(null) ? null : new Set(names.filter((name) => name !== null));
  const reasons = [...new Set(all.map(({ reason }) => reason))];
  const more = reasons.length > 2 ? ` and ${reasons.length - 2} more` : '';
  return { reach, answers, endings: all.length, reason: reasons.slice(0, 2).join('; or ') + more };
}
