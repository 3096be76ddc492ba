import type { Field } from './field.js';
import { isDnsLabel, isDnsSubdomain, isLabelKey, isLabelValue } from './names.js';
import type { Metadata } from './types.js';

/** Set by the API server on every namespace. */
export const NAMESPACE_NAME_LABEL = 'kubernetes.io/metadata.name';

export type Scope = 'cluster' | 'namespaced';

/** Reads `metadata`. A namespaced object without a namespace belongs to `default`. */
export function parseMetadata(
  root: Field,
  scope: Scope,
  isName: (text: string) => boolean = isDnsSubdomain,
): Metadata {
  const metadata = root.get('metadata').required();
  const name = metadata.get('name');
  if (!isName(name.string())) name.fail('is not a valid name');
  return {
    name: name.string(),
    namespace: scope === 'cluster' ? null : parseNamespace(metadata.get('namespace')),
    uid: metadata.get('uid').stringOrNull(),
    labels: parseLabels(metadata.get('labels')),
    annotations: metadata.get('annotations').strings((entry, key) => {
      if (!isLabelKey(key.toLowerCase())) entry.fail('is not a valid annotation key', key);
    }),
  };
}

function parseNamespace(field: Field): string {
  const namespace = field.stringOrNull() ?? 'default';
  return isDnsLabel(namespace) ? namespace : field.fail('is not a valid namespace name');
}

export function parseLabels(field: Field): Readonly<Record<string, string>> {
  return field.strings((entry, key, value) => {
    if (!isLabelKey(key)) entry.fail('is not a valid label key', key);
    if (!isLabelValue(value)) entry.fail('is not a valid label value');
  });
}
