/** Services: where a connection to a virtual address may end. */
import { sameList } from '../common/ends.js';
import { cidrContains, parseCidr, parseIp } from '../common/ip.js';
import { getOrMake } from '../model/label-index.js';
import { ALGORITHM_ANNOTATION } from '../model/problems.js';
import type { Service, ServicePort } from '../objects/types.js';
import { sortedBy } from '../ruleset/canonical.js';
import type { Frontend, HealthCheckItem, Ip, ServiceBackend, ServiceItem } from '../ruleset/types.js';
import { allAddresses, type Context, familyOf, sortedSet } from './context.js';
import { type PortEndpoints, ServiceEndpoints } from './endpoints.js';
import { compileHealthCheck } from './health-check.js';
import { rangesOf } from './input.js';
import type { NodeView } from './node-view.js';

/** Services with this label belong to another proxy. */
const PROXY_NAME_LABEL = 'service.kubernetes.io/service-proxy-name';

const FAMILIES = [4, 6] as const;

/**
 * What a Service becomes depends on itself, its slices, the NodeRecords, the zone labels of the Nodes (this one and those of the
 * endpoints) and the weight annotations of the pods behind it.
 */
export function compileServices(context: Context): readonly (ServiceItem | HealthCheckItem)[] {
  const services = sortedBy(
    [...context.model.all('Service')].filter(isProxied),
    ({ metadata }) => `${metadata.namespace}/${metadata.name}`,
  );
  return [
    ...withoutStolenFrontends(services.flatMap((service) => compileService(context, service))),
    ...services.flatMap((service) => compileHealthCheck(context, service)),
  ];
}

/** One Service by itself, before frontends that two Services claim are settled (`withoutStolenFrontends`). */
export function compileService(
  context: Context,
  service: Service,
  endpoints = new ServiceEndpoints(context, service),
): readonly ServiceItem[] {
  return service.spec.ports.flatMap((port) =>
    FAMILIES.flatMap((family) => compilePort(context, service, port, endpoints.of(port, family), family)),
  );
}

/** Headless Services and ExternalName are DNS's business. */
export function isProxied({ metadata, spec }: Service): boolean {
  return (
    spec.type !== 'ExternalName' &&
    spec.clusterIPs.length > 0 &&
    !spec.clusterIPs.includes('None') &&
    !Object.hasOwn(metadata.labels, PROXY_NAME_LABEL)
  );
}

interface PortScope {
  /** Last part of the key. */
  readonly name: string;
  readonly scope: ServiceItem['scope'];
  readonly frontends: readonly Frontend[];
  readonly backends: readonly ServiceBackend[];
  readonly sourceRanges: readonly string[] | null;
  readonly outsideBackends: ServiceItem['outsideBackends'];
}

function compilePort(
  context: Context,
  service: Service,
  port: ServicePort,
  endpoints: PortEndpoints,
  family: 4 | 6,
): readonly ServiceItem[] {
  const scopes = [
    clusterIpScope(context, service, port, endpoints, family),
    ...nodePortScopes(context, service, port, endpoints, family),
    externalIpScope(context, service, port, endpoints, family),
    loadBalancerScope(context, service, port, endpoints, family),
  ];
  const namespace = service.metadata.namespace ?? '';
  const { name } = service.metadata;
  const { sessionAffinity, sessionAffinityTimeoutSeconds } = service.spec;
  return scopes.flatMap((scope) => {
    const { frontends } = scope;
    if (frontends.length === 0) return [];
    const suffix = family === 4 ? '' : '/ipv6';
    return [
      {
        kind: 'service',
        key: `service/${namespace}/${name}/${port.protocol}/${port.port}/${scope.name}${suffix}`,
        namespace,
        name,
        portName: port.name,
        protocol: port.protocol,
        scope: scope.scope,
        frontends,
        backends: scope.backends,
        affinitySeconds: sessionAffinity === 'ClientIP' ? sessionAffinityTimeoutSeconds : null,
        algorithm: service.metadata.annotations[ALGORITHM_ANNOTATION] === 'maglev' ? 'maglev' : 'random',
        sourceRanges: scope.sourceRanges,
        outsideBackends: scope.outsideBackends,
      },
    ];
  });
}

/** Those of one family, in order. */
function ordered(frontends: readonly Frontend[], family: 4 | 6): readonly Frontend[] {
  return sortedBy(
    frontends.filter(({ address }) => familyOf(address) === family),
    frontendKey,
  );
}

function clusterIpScope(
  context: Context,
  { spec }: Service,
  { port }: ServicePort,
  endpoints: PortEndpoints,
  family: 4 | 6,
): PortScope {
  const local = spec.internalTrafficPolicy === 'Local';
  return {
    name: 'internal',
    scope: 'internal',
    frontends: ordered(
      spec.clusterIPs.map((address) => ({ address, port, type: 'ClusterIP' })),
      family,
    ),
    backends: local ? endpoints.on(context.self.name) : endpoints.anywhere(),
    sourceRanges: null,
    outsideBackends: null,
  };
}

/**
 * NodePorts are served on the addresses of all nodes, not just of this one: a pod that talks to another node's port
 * is then judged by the backend it reaches, as for any Service, and not by the node's address. With the policy Local each node's
 * addresses lead to the endpoints on that node.
 */
function nodePortScopes(
  context: Context,
  { spec }: Service,
  { nodePort }: ServicePort,
  endpoints: PortEndpoints,
  family: 4 | 6,
): readonly PortScope[] {
  if (nodePort === null || (spec.type !== 'NodePort' && spec.type !== 'LoadBalancer')) return [];
  const { self, peers } = context;
  const common = { scope: 'external', sourceRanges: null, outsideBackends: null } as const;
  if (spec.externalTrafficPolicy === 'Cluster') {
    const frontends = everyNodesFrontends(context, nodePort, family);
    return [{ ...common, name: 'external', frontends, backends: endpoints.anywhere() }];
  }
  return [self, ...peers].map((node) => ({
    ...common,
    name: node === self ? 'external' : `external/${node.name}`,
    frontends: nodePortFrontends(nodePortAddresses(context, [node], family), nodePort),
    backends: endpoints.on(node.name),
  }));
}

/**
 * On all nodes, in order. Kept as long as the nodes stay as they are, because an endpoint that comes or goes must not cost as much as
 * there are nodes.
 */
function everyNodesFrontends(context: Context, port: number, family: 4 | 6): readonly Frontend[] {
  const known = getOrMake(EVERY_NODE, context.peers, () => new Map<string, readonly Frontend[]>());
  return getOrMake(known, `${family} ${port}`, () =>
    nodePortFrontends(everyNodesAddresses(context, family), port),
  );
}

/** Nodes but this one -> family and port -> frontends. A list of nodes belongs to one node and configuration. */
const EVERY_NODE = new WeakMap<readonly NodeView[], Map<string, readonly Frontend[]>>();

/** In the order that `ordered` gives their frontends of any port. */
function everyNodesAddresses(context: Context, family: 4 | 6): readonly Ip[] {
  const { self, peers } = context;
  const known = getOrMake(EVERY_ADDRESS, peers, () => new Map<4 | 6, readonly Ip[]>());
  return getOrMake(known, family, () => nodePortAddresses(context, [self, ...peers], family));
}

const EVERY_ADDRESS = new WeakMap<readonly NodeView[], Map<4 | 6, readonly Ip[]>>();

function nodePortAddresses({ config }: Context, nodes: readonly NodeView[], family: 4 | 6): readonly Ip[] {
  const ranges = config.nodePortAddresses.map(parseCidr);
  const addresses = nodes
    .flatMap(allAddresses)
    .filter((ip) => familyOf(ip) === family)
    .filter((ip) => ranges.length === 0 || ranges.some((range) => cidrContains(range, parseIp(ip))));
  return sortedBy(addresses, (address) => `${address} `);
}

function nodePortFrontends(addresses: readonly Ip[], port: number): readonly Frontend[] {
  return addresses.map((address) => ({ address, port, type: 'NodePort' }));
}

/** Addresses the owner of the Service brings to the cluster, as far as the administrator allows them. */
function externalIpScope(
  context: Context,
  { spec }: Service,
  { port }: ServicePort,
  endpoints: PortEndpoints,
  family: 4 | 6,
): PortScope {
  const ranges = context.config.externalIPCIDRs.map(parseCidr);
  const addresses = spec.externalIPs.filter(
    (ip) =>
      ranges.some((range) => cidrContains(range, parseIp(ip))) &&
      !spec.clusterIPs.includes(ip) &&
      !belongsToCluster(context, ip),
  );
  return {
    name: 'externalip',
    scope: 'external',
    frontends: ordered(
      sortedSet(addresses).map((address) => ({ address, port, type: 'ExternalIP' })),
      family,
    ),
    ...fromOutside(context, spec, endpoints),
    sourceRanges: null,
  };
}

/** Addresses of load balancers, of the kind that arrive unchanged (ipMode VIP). */
function loadBalancerScope(
  context: Context,
  { spec, status }: Service,
  { port }: ServicePort,
  endpoints: PortEndpoints,
  family: 4 | 6,
): PortScope {
  const ingress =
    spec.type === 'LoadBalancer' ? status.loadBalancer.filter(({ ipMode }) => ipMode === 'VIP') : [];
  const addresses = ingress.map(({ ip }) => ip).filter((ip) => !belongsToCluster(context, ip));
  return {
    name: 'loadbalancer',
    scope: 'external',
    frontends: ordered(
      addresses.map((address) => ({ address, port, type: 'LoadBalancer' })),
      family,
    ),
    ...fromOutside(context, spec, endpoints),
    // To the API an empty list is an absent one: no restriction.
    sourceRanges: spec.loadBalancerSourceRanges?.length ? sortedSet(spec.loadBalancerSourceRanges) : null,
  };
}

/**
 * Behind addresses that lie outside the cluster. "Traffic sent to an External IP or LoadBalancer IP from within the cluster will always get
 * Cluster semantics" (the API on externalTrafficPolicy). Under the policy Local outside clients get this node's endpoints; a node without any
 * serves nobody outside: a load balancer does not ask it (healthCheckNodePort), and who asks all the same is dropped rather than sent on with
 * its address hidden. Without an endpoint anywhere, everyone is told so.
 */
function fromOutside(
  context: Context,
  spec: Service['spec'],
  endpoints: PortEndpoints,
): Pick<PortScope, 'backends' | 'outsideBackends'> {
  const backends = endpoints.anywhere();
  if (spec.externalTrafficPolicy !== 'Local' || backends.length === 0)
    return { backends, outsideBackends: null };
  const own = endpoints.on(context.self.name);
  // Both lists come in one order.
  return { backends, outsideBackends: sameList(own, backends, sameEnd) ? null : own };
}

function sameEnd(a: ServiceBackend, b: ServiceBackend): boolean {
  return a.address === b.address && a.port === b.port;
}

/** A status that names an address of the cluster itself would take over what is not the Service's (CVE-2020-8554). */
function belongsToCluster({ config, self, peers }: Context, address: Ip): boolean {
  const ip = parseIp(address);
  const ranges = rangesOf(config).flatMap(({ podSubnetCIDR, hostSubnetCIDR, vxlanCIDR, serviceCIDR }) => {
    return [podSubnetCIDR, hostSubnetCIDR, vxlanCIDR, serviceCIDR];
  });
  return (
    ranges.some((range) => cidrContains(parseCidr(range), ip)) ||
    config.hostAddresses.includes(address) ||
    [self, ...peers].some((node) => allAddresses(node).includes(address))
  );
}

/** Two Services may claim one load balancer address and port: the first by name keeps it, the other goes without. */
export function withoutStolenFrontends(items: readonly ServiceItem[]): readonly ServiceItem[] {
  const taken = new Set<string>();
  return items.flatMap((item) => {
    const frontends = item.frontends.filter((frontend) => {
      const key = `${frontendKey(frontend)} ${item.protocol}`;
      return taken.has(key) ? false : taken.add(key);
    });
    if (frontends.length === 0) return [];
    return [frontends.length === item.frontends.length ? item : { ...item, frontends }];
  });
}

function frontendKey({ address, port }: Frontend): string {
  return `${address} ${port}`;
}
