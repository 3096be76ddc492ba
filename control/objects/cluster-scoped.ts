/** Namespaces and nodes. */
import { formatCidr } from '../common/ip.js';
import type { RawDocument } from './document.js';
import { Field } from './field.js';
import { NAMESPACE_NAME_LABEL, parseMetadata } from './metadata.js';
import { isDnsLabel } from './names.js';
import type { Namespace, Node } from './types.js';

export function parseNamespace(document: RawDocument): Namespace {
  const metadata = parseMetadata(Field.root(document), 'cluster', isDnsLabel);
  const labels = { ...metadata.labels, [NAMESPACE_NAME_LABEL]: metadata.name };
  return { kind: 'Namespace', metadata: { ...metadata, labels } };
}

export function parseNode(document: RawDocument): Node {
  const root = Field.root(document);
  const spec = root.get('spec');
  const one = spec.get('podCIDR');
  const cidrs = spec.get('podCIDRs').items() ?? (one.stringOrNull() === null ? [] : [one]);
  return {
    kind: 'Node',
    metadata: parseMetadata(root, 'cluster'),
    spec: { podCIDRs: cidrs.map((cidr) => formatCidr(cidr.cidr())) },
    status: {
      addresses: (root.get('status').get('addresses').items() ?? []).map((address) => ({
        type: address.get('type').string(),
        address: address.get('address').string(),
      })),
    },
  };
}
