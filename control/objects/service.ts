import { formatCidr } from '../common/ip.js';
import type { RawDocument } from './document.js';
import { Field } from './field.js';
import { parseLabels, parseMetadata } from './metadata.js';
import { isDnsLabel, isPortName } from './names.js';
import { PROTOCOLS } from './pod.js';
import type { Service, ServicePort } from './types.js';

const AFFINITY_SECONDS = 10800;

/** Validates a Service with the API server's defaults. Throws InvalidObjectError. */
export function parseService(document: RawDocument): Service {
  const root = Field.root(document);
  const spec = root.get('spec').required();
  const type = spec.get('type').oneOf(['ClusterIP', 'NodePort', 'LoadBalancer', 'ExternalName'], 'ClusterIP');
  const affinity = spec.get('sessionAffinityConfig').get('clientIP').get('timeoutSeconds');
  return {
    kind: 'Service',
    metadata: parseMetadata(root, 'namespaced', isDnsLabel),
    spec: {
      type,
      clusterIPs: type === 'ExternalName' ? [] : parseClusterIps(spec),
      selector: parseSelector(spec.get('selector')),
      ports: parsePorts(spec.get('ports')),
      externalIPs: (spec.get('externalIPs').items() ?? []).map((item) => item.ip()),
      externalName: spec.get('externalName').stringOrNull(),
      sessionAffinity: spec.get('sessionAffinity').oneOf(['None', 'ClientIP'], 'None'),
      sessionAffinityTimeoutSeconds: affinity.present ? affinity.integer(1, 86400) : AFFINITY_SECONDS,
      externalTrafficPolicy: spec.get('externalTrafficPolicy').oneOf(['Cluster', 'Local'], 'Cluster'),
      internalTrafficPolicy: spec.get('internalTrafficPolicy').oneOf(['Cluster', 'Local'], 'Cluster'),
      healthCheckNodePort: spec.get('healthCheckNodePort').portOrNull(),
      allocateLoadBalancerNodePorts: spec.get('allocateLoadBalancerNodePorts').boolean(true),
      loadBalancerSourceRanges: spec
        .get('loadBalancerSourceRanges')
        .items()
        ?.map((item) => formatCidr(item.cidr())),
      publishNotReadyAddresses: spec.get('publishNotReadyAddresses').boolean(false),
      trafficDistribution: spec.get('trafficDistribution').stringOrNull(),
      ipFamilies: (spec.get('ipFamilies').items() ?? []).map((item) => item.oneOf(['IPv4', 'IPv6'])),
      ipFamilyPolicy: spec.get('ipFamilyPolicy').present
        ? spec.get('ipFamilyPolicy').oneOf(['SingleStack', 'PreferDualStack', 'RequireDualStack'])
        : null,
    },
    status: {
      loadBalancer: (root.get('status').get('loadBalancer').get('ingress').items() ?? [])
        .filter((item) => item.get('ip').stringOrNull() !== null)
        .map((item) => ({
          ip: item.get('ip').ip(),
          ipMode: item.get('ipMode').oneOf(['VIP', 'Proxy'], 'VIP'),
        })),
    },
  };
}

const SPEC_FIELDS = [
  ...[
    'type',
    'clusterIP',
    'clusterIPs',
    'selector',
    'ports',
    'externalIPs',
    'externalName',
    'sessionAffinity',
  ],
  ...['sessionAffinityConfig', 'externalTrafficPolicy', 'internalTrafficPolicy', 'healthCheckNodePort'],
  ...['allocateLoadBalancerNodePorts', 'loadBalancerSourceRanges', 'loadBalancerClass', 'loadBalancerIP'],
  ...['publishNotReadyAddresses', 'trafficDistribution', 'ipFamilies', 'ipFamilyPolicy'],
];
const PORT_FIELDS = ['name', 'protocol', 'port', 'targetPort', 'nodePort', 'appProtocol'];

/**
 * Fields of a valid Service that the API does not have. The API server would drop them; a misspelt `loadBalancerSourceRanges` opens
 * a Service to everyone, so that somebody should hear of it.
 */
export function unknownServiceFields(document: RawDocument): readonly Field[] {
  const spec = Field.root(document).get('spec');
  const ports = spec.get('ports').items() ?? [];
  return [...spec.others(...SPEC_FIELDS), ...ports.flatMap((port) => port.others(...PORT_FIELDS))];
}

/** An empty selector is none: the API stores them alike, and endpoints are then up to the user. */
function parseSelector(field: Field): Readonly<Record<string, string>> | null {
  const selector = parseLabels(field);
  return Object.keys(selector).length === 0 ? null : selector;
}

function parseClusterIps(spec: Field): readonly string[] {
  const one = spec.get('clusterIP');
  const many = spec.get('clusterIPs').items() ?? [];
  const fields = many.length > 0 ? many : one.stringOrNull() === null ? [] : [one];
  const ips = fields
    .filter((field) => field.value !== '')
    .map((field) => (field.value === 'None' ? 'None' : field.ip()));
  if (ips.includes('None') && ips.length > 1) spec.get('clusterIPs').fail('None must stand alone');
  if (ips.length > 2) spec.get('clusterIPs').fail('has at most one address of each family');
  return ips;
}

function parsePorts(field: Field): readonly ServicePort[] {
  const items = field.items() ?? [];
  const ports = items.map((item) => parsePort(item, items.length > 1));
  ports.forEach((port, i) => {
    const same = ports.findIndex((other) => other.port === port.port && other.protocol === port.protocol);
    if (same !== i) items[i]?.fail(`has the port and protocol of ports[${same}]`, port.port);
    const named = ports.findIndex((other) => other.name === port.name);
    if (named !== i) items[i]?.get('name').fail(`has the name of ports[${named}]`);
  });
  return ports;
}

function parsePort(field: Field, needsName: boolean): ServicePort {
  const name = field.get('name');
  if (needsName && name.stringOrNull() === null)
    name.fail('is required where there are several ports', undefined);
  if (name.stringOrNull() !== null && !isDnsLabel(name.string())) name.fail('is not a valid port name');
  const port = field.get('port').port();
  return {
    name: name.stringOrNull(),
    protocol: field.get('protocol').oneOf(PROTOCOLS, 'TCP'),
    port,
    targetPort: parseTargetPort(field.get('targetPort'), port),
    nodePort: field.get('nodePort').portOrNull(),
    appProtocol: field.get('appProtocol').stringOrNull(),
  };
}

function parseTargetPort(field: Field, port: number): number | string {
  if (!field.present || field.value === 0 || field.value === '') return port;
  if (typeof field.value !== 'string') return field.port();
  return isPortName(field.value) ? field.value : field.fail('is not a valid port name');
}
