import { formatIp, parseIp } from '../common/ip.js';
import type { RawDocument } from './document.js';
import { Field } from './field.js';
import { parseMetadata } from './metadata.js';
import { isDnsLabel } from './names.js';
import { PROTOCOLS } from './pod.js';
import type { Endpoint, EndpointSlice } from './types.js';

/** The label that ties a slice to its Service. */
export const SERVICE_NAME_LABEL = 'kubernetes.io/service-name';

type AddressType = EndpointSlice['addressType'];

/** Validates an EndpointSlice (discovery.k8s.io/v1). Throws InvalidObjectError. */
export function parseEndpointSlice(document: RawDocument): EndpointSlice {
  const root = Field.root(document);
  const addressType = root.get('addressType').oneOf(['IPv4', 'IPv6', 'FQDN']);
  return {
    kind: 'EndpointSlice',
    metadata: parseMetadata(root, 'namespaced'),
    addressType,
    endpoints: (root.get('endpoints').items() ?? []).map((item) => parseEndpoint(item, addressType)),
    ports: (root.get('ports').items() ?? []).map((item) => {
      const name = item.get('name').stringOrNull();
      if (name !== null && !isDnsLabel(name)) item.get('name').fail('is not a valid port name');
      return {
        name,
        protocol: item.get('protocol').oneOf(PROTOCOLS, 'TCP'),
        port: item.get('port').portOrNull(),
      };
    }),
  };
}

function parseEndpoint(field: Field, addressType: AddressType): Endpoint {
  const addresses = field.get('addresses').required().items() ?? [];
  if (addresses.length === 0) field.get('addresses').fail('must not be empty');
  const conditions = field.get('conditions');
  const ready = conditions.get('ready').boolean(true);
  const hints = field.get('hints');
  const target = field.get('targetRef');
  return {
    addresses: addresses.map((address) => parseAddress(address, addressType)),
    conditions: {
      ready,
      serving: conditions.get('serving').boolean(ready),
      terminating: conditions.get('terminating').boolean(false),
    },
    nodeName: field.get('nodeName').stringOrNull(),
    zone: field.get('zone').stringOrNull(),
    hints: hints.present
      ? { forZones: names(hints.get('forZones')), forNodes: names(hints.get('forNodes')) }
      : null,
    targetRef: target.present
      ? {
          kind: target.get('kind').stringOrNull() ?? '',
          namespace: target.get('namespace').stringOrNull(),
          name: target.get('name').stringOrNull() ?? '',
        }
      : null,
  };
}

function names(field: Field): readonly string[] {
  return (field.items() ?? []).map((item) => item.get('name').string());
}

/** Loopback, link-local, multicast and unspecified addresses would turn a Service into a way around the node's borders. */
function parseAddress(field: Field, addressType: AddressType): string {
  if (addressType === 'FQDN') return field.string();
  field.ip();
  const ip = parseIp(field.string());
  if (ip.family !== (addressType === 'IPv4' ? 4 : 6)) field.fail(`is no ${addressType} address`);
  const top = ip.family === 4 ? ip.value >> 16n : ip.value >> 112n;
  const special =
    ip.family === 4
      ? ip.value === 0n || top >> 8n === 127n || top === 0xa9fen || top >> 12n === 14n
      : ip.value <= 1n || (top & 0xffc0n) === 0xfe80n || top >> 8n === 0xffn;
  return special
    ? field.fail('must not be a loopback, link-local, multicast or unspecified address')
    : formatIp(ip);
}
