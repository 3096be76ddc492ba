import { cidrContains, formatCidr } from '../common/ip.js';
import type { RawDocument } from './document.js';
import { Field } from './field.js';
import { parseLabels, parseMetadata } from './metadata.js';
import { isLabelKey, isLabelValue, isPortName } from './names.js';
import { PROTOCOLS } from './pod.js';
import { sharedPeer } from './shared-peers.js';
import type {
  LabelSelector,
  NetworkPolicy,
  NetworkPolicyPeer,
  NetworkPolicyPort,
  NetworkPolicyRule,
} from './types.js';

/**
 * Validates a NetworkPolicy (networking.k8s.io/v1) with the API server's defaults. Unknown fields are refused: leaving one
 * out would widen or narrow what the author meant. Throws InvalidObjectError.
 */
export function parseNetworkPolicy(document: RawDocument): NetworkPolicy {
  const root = Field.root(document);
  const spec = root.get('spec').required().only('podSelector', 'policyTypes', 'ingress', 'egress');
  return {
    kind: 'NetworkPolicy',
    metadata: parseMetadata(root, 'namespaced'),
    spec: {
      podSelector: parseSelector(spec.get('podSelector')),
      policyTypes: parseTypes(spec),
      ingress: spec
        .get('ingress')
        .items()
        ?.map((rule) => parseRule(rule, 'from')),
      egress: spec
        .get('egress')
        .items()
        ?.map((rule) => parseRule(rule, 'to')),
    },
  };
}

/** Absent or empty: Ingress, and Egress if there is an egress section with a rule (SetDefaults_NetworkPolicy). */
function parseTypes(spec: Field): NetworkPolicy['spec']['policyTypes'] {
  const given = spec.get('policyTypes').items() ?? [];
  if (given.length > 2) spec.get('policyTypes').fail('has at most Ingress and Egress');
  if (given.length > 0) return given.map((item) => item.oneOf(['Ingress', 'Egress']));
  const egress = spec.get('egress').items() ?? [];
  return egress.length > 0 ? ['Ingress', 'Egress'] : ['Ingress'];
}

function parseRule(field: Field, side: 'from' | 'to'): NetworkPolicyRule {
  field.only(side, 'ports');
  return {
    peers: field.get(side).items()?.map(parsePeer),
    ports: field.get('ports').items()?.map(parsePort),
  };
}

function parsePeer(field: Field): NetworkPolicyPeer {
  field.required().only('podSelector', 'namespaceSelector', 'ipBlock');
  const pods = field.get('podSelector');
  const namespaces = field.get('namespaceSelector');
  const block = field.get('ipBlock');
  if (block.present && (pods.present || namespaces.present)) block.fail('must stand alone in its peer');
  if (!block.present && !pods.present && !namespaces.present) field.fail('must name a peer');
  return sharedPeer({
    podSelector: pods.present ? parseSelector(pods) : undefined,
    namespaceSelector: namespaces.present ? parseSelector(namespaces) : undefined,
    ipBlock: block.present ? parseBlock(block) : undefined,
  });
}

function parseBlock(field: Field): NonNullable<NetworkPolicyPeer['ipBlock']> {
  field.only('cidr', 'except');
  const cidr = field.get('cidr').cidr();
  const except = (field.get('except').items() ?? []).map((item) => {
    const inner = item.cidr();
    if (!cidrContains(cidr, inner) || inner.length === cidr.length)
      item.fail(`must lie inside ${formatCidr(cidr)}`);
    return formatCidr(inner);
  });
  return { cidr: formatCidr(cidr), except };
}

function parsePort(field: Field): NetworkPolicyPort {
  field.only('protocol', 'port', 'endPort');
  const port = field.get('port');
  const end = field.get('endPort');
  if (typeof port.value === 'string' && !isPortName(port.value)) port.fail('is not a valid port name');
  const first = !port.present ? undefined : typeof port.value === 'string' ? port.value : port.port();
  if (end.present && typeof first !== 'number') end.fail('needs a numeric port beside it');
  if (end.present && end.port() < Number(first)) end.fail(`must be at least port ${first}`);
  return {
    protocol: field.get('protocol').oneOf(PROTOCOLS, 'TCP'),
    port: first,
    endPort: end.present ? end.port() : undefined,
  };
}

/** Reads a LabelSelector; absent and `{}` both select everything. */
export function parseSelector(field: Field): LabelSelector {
  field.only('matchLabels', 'matchExpressions');
  return {
    matchLabels: parseLabels(field.get('matchLabels')),
    matchExpressions: (field.get('matchExpressions').items() ?? []).map((item) => {
      item.only('key', 'operator', 'values');
      const key = item.get('key');
      if (!isLabelKey(key.string())) key.fail('is not a valid label key');
      const operator = item.get('operator').oneOf(['In', 'NotIn', 'Exists', 'DoesNotExist']);
      const values = (item.get('values').items() ?? []).map((value) => {
        return isLabelValue(value.string()) ? value.string() : value.fail('is not a valid label value');
      });
      const wantsValues = operator === 'In' || operator === 'NotIn';
      if (wantsValues && values.length === 0) item.get('values').fail(`must not be empty with ${operator}`);
      if (!wantsValues && values.length > 0) item.get('values').fail(`must be absent with ${operator}`);
      return { key: key.string(), operator, values };
    }),
  };
}
