/** What stands for a policy that cannot be understood: one of the same name for the same pods that allows nothing. */
import { documentOf, isRecord } from './document.js';
import { Field } from './field.js';
import { parseMetadata } from './metadata.js';
import { parseSelector } from './policy.js';
import type { LabelSelector, Metadata, NetworkPolicy } from './types.js';

const EVERY_POD: LabelSelector = { matchLabels: {}, matchExpressions: [] };

/**
 * A NetworkPolicy that was refused (its API or our stored form has gained something since), closed: pods it selects get no
 * traffic in the directions it is about; where even these cannot be read, all pods of its namespace, in both. null if not even
 * its name can be read.
 */
export function closedNetworkPolicy(value: unknown): NetworkPolicy | null {
  const root = Field.root(documentOf(value));
  const metadata = attempt((): Metadata => parseMetadata(root, 'namespaced'));
  if (metadata === null) return null;
  const spec = isRecord(value) ? value['spec'] : undefined;
  const types =
    isRecord(spec) && Array.isArray(spec['policyTypes']) ? (spec['policyTypes'] as unknown[]) : [];
  const known = (['Ingress', 'Egress'] as const).filter((type) => types.includes(type));
  return {
    kind: 'NetworkPolicy',
    metadata,
    spec: {
      podSelector: attempt(() => parseSelector(root.get('spec').get('podSelector'))) ?? EVERY_POD,
      policyTypes: known.length > 0 && known.length === types.length ? known : ['Ingress', 'Egress'],
      ingress: [],
      egress: [],
    },
  };
}

function attempt<T>(read: () => T): T | null {
  try {
    return read();
  } catch {
    return null;
  }
}
