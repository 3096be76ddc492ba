/** Rows, columns and cells for the matrix's tests. */
import type { ProbeResult } from '../driver.js';
import { serviceObject } from '../fixtures.js';
import { type Cell, type Expected, judgeCell, type Reach } from './cell.js';
import type { Column, Row } from './plan.js';

export function podRow(id: string, group = id): Row {
  const [namespace = '', name = ''] = id.split('/');
  return { id, type: 'pod', group, party: { type: 'pod', pod: { namespace, name } }, address: '10.1.1.9' };
}

export function nodeRow(id: string): Row {
  return { id, type: 'node', group: 'nodes', party: { type: 'node', node: id }, address: '192.168.16.1' };
}

export const OUTSIDE_ROW: Row = {
  id: 'outside',
  type: 'outside',
  group: 'outside',
  party: { type: 'outside' },
  address: '192.168.16.254',
};

export function podColumn(pod: string, port = 80, group = pod): Column {
  const [namespace = '', name = ''] = pod.split('/');
  return {
    id: `${pod}:${port}/tcp`,
    section: 'pods',
    group: `${group}:${port}/tcp`,
    protocol: 'tcp',
    port,
    targets: [{ address: '10.1.1.2', node: null }],
    pod: { namespace, name },
    service: null,
  };
}

export function serviceColumn(name: string, spec: object = {}): Column {
  const service = serviceObject(name, {
    clusterIP: '10.96.1.1',
    selector: { a: 'b' },
    ports: [{ port: 80 }],
    ...spec,
  });
  const id = `service ${name}:80/tcp`;
  return {
    id,
    section: 'services',
    group: id,
    protocol: 'tcp',
    port: 80,
    targets: [{ address: '10.96.1.1', node: null }],
    pod: null,
    service: { service, port: service.spec.ports[0]!, frontend: 'ClusterIP' },
  };
}

export function expected(reach: Reach, answers: readonly string[] | null = null): Expected {
  return {
    reach,
    answers: answers === null ? null : new Set(answers),
    endings: answers?.length ?? 1,
    reason: `allowed (egress: open; ingress: NetworkPolicy shop/web spec.ingress[0])`,
  };
}

export function result(outcome: ProbeResult['outcome'], answer: string | null = null): ProbeResult {
  return { outcome, answer, millis: 1 };
}

export function cell(row: Row, column: Column, want: Expected, ...results: readonly ProbeResult[]): Cell {
  const probes = results.map((one) => ({ address: column.targets[0]?.address ?? '', result: one }));
  return judgeCell({ row, column, targets: column.targets }, want, probes);
}
