/** What there is to measure: rows (who asks), columns (what is asked for) and the cells that make sense. Pure. */
import type { Family } from '../../common/ip.js';
import type { Service, ServicePort } from '../../objects/types.js';
import type { PodRef } from '../../ruleset/types.js';
import type { OutsidePort, Party, ProbeProtocol } from '../driver.js';
import type { ClusterState } from './state.js';

export interface Row {
  /** `shop/web-0`, `node-1`, `outside`. */
  readonly id: string;
  readonly type: 'pod' | 'node' | 'outside';
  /** What replicas have in common: `shop/web`, `nodes`, `outside`. */
  readonly group: string;
  readonly party: Party;
  /** Its source address. */
  readonly address: string;
  /** How many that are alike it stands for, itself among them; 1 where absent. */
  readonly stands?: number;
}

export interface Target {
  readonly address: string;
  /** The node whose own address this is, for NodePorts. */
  readonly node: string | null;
}

export interface Column {
  /** `shop/web-0:80/tcp`, `service shop/web:80/tcp`, `service shop/web nodePort 30080/tcp`, `outside 203.0.113.10:443/tcp`. */
  readonly id: string;
  readonly section: 'pods' | 'services' | 'outside';
  readonly group: string;
  readonly protocol: ProbeProtocol;
  /** 0 for icmp. */
  readonly port: number;
  readonly targets: readonly Target[];
  readonly pod: PodRef | null;
  readonly service: ServiceColumn | null;
  /** See `Row`. */
  readonly stands?: number;
}

export interface ServiceColumn {
  readonly service: Service;
  readonly port: ServicePort;
  readonly frontend: 'ClusterIP' | 'NodePort' | 'LoadBalancer';
}

export interface PlannedCell {
  readonly row: Row;
  readonly column: Column;
  readonly targets: readonly Target[];
}

export interface MatrixPlan {
  readonly rows: readonly Row[];
  readonly columns: readonly Column[];
  readonly cells: readonly PlannedCell[];
}

export interface PlanOptions {
  /** Ping every pod, not only those without ports. */
  readonly icmp: boolean;
  /** Of all addresses; 4 when absent. Columns of IPv6 say so: `shop/web-0:80/tcp6`. */
  readonly family?: Family;
}

export function planMatrix(state: ClusterState, options: PlanOptions): MatrixPlan {
  const rows = [...podRows(state), ...nodeRows(state), ...outsideRows(state)];
  const columns = [
    ...podColumns(state, options),
    ...serviceColumns(state, options),
    ...outsideColumns(state, options),
  ];
  const cells = rows.flatMap((row) =>
    columns.flatMap((column): readonly PlannedCell[] => {
      const targets = targetsFor(row, column);
      return targets.length === 0 ? [] : [{ row, column, targets }];
    }),
  );
  return { rows, columns, cells };
}

/** Host-network pods speak with the node's address: the node's row is theirs. */
function podRows({ pods }: ClusterState): readonly Row[] {
  return pods
    .filter(({ pod }) => !pod.spec.hostNetwork)
    .map(({ pod, workload }) => {
      const ref = { namespace: pod.metadata.namespace ?? 'default', name: pod.metadata.name };
      return {
        id: `${ref.namespace}/${ref.name}`,
        type: 'pod' as const,
        group: workload,
        party: { type: 'pod' as const, pod: ref },
        address: pod.status.podIPs[0] ?? '',
      };
    });
}

function nodeRows({ nodes }: ClusterState): readonly Row[] {
  return nodes.map(({ name, address }) => ({
    id: name,
    type: 'node' as const,
    group: 'nodes',
    party: { type: 'node' as const, node: name },
    address,
  }));
}

function outsideRows({ outside }: ClusterState): readonly Row[] {
  const address = outside.addresses[0];
  if (address === undefined) return [];
  return [{ id: 'outside', type: 'outside', group: 'outside', party: { type: 'outside' }, address }];
}

/** `tcp`, or `tcp6` for a column of IPv6. */
function labelOf(protocol: ProbeProtocol, { family }: PlanOptions): string {
  return family === 6 ? `${protocol}6` : protocol;
}

function podColumns({ pods }: ClusterState, options: PlanOptions): readonly Column[] {
  const { icmp } = options;
  return pods.flatMap(({ pod, workload }) => {
    const name = `${pod.metadata.namespace}/${pod.metadata.name}`;
    const column = (protocol: ProbeProtocol, port: number): Column => {
      const label = labelOf(protocol, options);
      const suffix = protocol === 'icmp' ? ` ${label}` : `:${port}/${label}`;
      return {
        id: `${name}${suffix}`,
        section: 'pods',
        group: `${workload}${suffix}`,
        protocol,
        port,
        targets: [{ address: pod.status.podIPs[0] ?? '', node: null }],
        pod: { namespace: pod.metadata.namespace ?? 'default', name: pod.metadata.name },
        service: null,
      };
    };
    const ports = new Map<string, Column>();
    for (const { containerPort, protocol } of pod.spec.containers.flatMap((c) => c.ports)) {
      if (protocol === 'SCTP') continue;
      const made = column(protocol === 'TCP' ? 'tcp' : 'udp', containerPort);
      ports.set(made.id, made);
    }
    if (ports.size === 0 || icmp) return [...ports.values(), column('icmp', 0)];
    return [...ports.values()];
  });
}

function serviceColumns(state: ClusterState, options: PlanOptions): readonly Column[] {
  return state.services.flatMap((service) => {
    const { spec, status, metadata } = service;
    if (spec.type === 'ExternalName' || spec.clusterIPs[0] === 'None') return [];
    const name = `service ${metadata.namespace}/${metadata.name}`;
    return spec.ports.flatMap((port): readonly Column[] => {
      if (port.protocol === 'SCTP') return [];
      const protocol = port.protocol === 'TCP' ? 'tcp' : 'udp';
      const kind = labelOf(protocol, options);
      const column = (
        frontend: ServiceColumn['frontend'],
        label: string,
        number: number,
        targets: readonly Target[],
      ): Column => ({
        id: label,
        section: 'services',
        group: label,
        protocol,
        port: number,
        targets,
        pod: null,
        service: { service, port, frontend },
      });
      const out: Column[] = [];
      const six = options.family === 6;
      const clusterIp = spec.clusterIPs.filter((ip) => ip.includes(':') === six).map(plain);
      if (clusterIp.length > 0) {
        out.push(column('ClusterIP', `${name}:${port.port}/${kind}`, port.port, clusterIp));
      }
      if (port.nodePort !== null) {
        const nodes = state.nodes.map(({ name: node, address }) => ({ address, node }));
        out.push(column('NodePort', `${name} nodePort ${port.nodePort}/${kind}`, port.nodePort, nodes));
      }
      for (const { ip } of status.loadBalancer.filter(({ ipMode }) => ipMode === 'VIP')) {
        const label = `${name} loadBalancer ${ip}:${port.port}/${kind}`;
        out.push(column('LoadBalancer', label, port.port, [plain(ip)]));
      }
      return out;
    });
  });
}

const plain = (address: string): Target => ({ address, node: null });

/** The outside host's public address answers; its address on the underlay is the cluster's gateway. */
function outsideColumns({ outside }: ClusterState, options: PlanOptions): readonly Column[] {
  return outside.addresses
    .slice(1)
    .flatMap((address) => [
      ...outside.ports.map(({ protocol, port }) =>
        outsideColumn(address, protocol === 'TCP' ? 'tcp' : 'udp', port, options),
      ),
      outsideColumn(address, 'icmp', 0, options),
    ]);
}

function outsideColumn(
  address: string,
  protocol: ProbeProtocol,
  port: OutsidePort['port'],
  options: PlanOptions,
): Column {
  const label = labelOf(protocol, options);
  const host = address.includes(':') ? `[${address}]` : address;
  const id = protocol === 'icmp' ? `outside ${address} ${label}` : `outside ${host}:${port}/${label}`;
  return {
    id,
    section: 'outside',
    group: id,
    protocol,
    port,
    targets: [plain(address)],
    pod: null,
    service: null,
  };
}

/** Which of a column's addresses the row can ask for; none = the cell does not exist. */
function targetsFor(row: Row, { section, targets, service }: Column): readonly Target[] {
  // The outside world neither asks itself nor has a route to cluster IPs.
  if (row.type === 'outside' && (section === 'outside' || service?.frontend === 'ClusterIP')) return [];
  // A node's packets to its own address stay inside its own stack and never see the data plane.
  if (row.type === 'node') return targets.filter(({ node }) => node !== row.id);
  return targets;
}
