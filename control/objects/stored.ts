/**
 * Entries of the store as objects, whichever release of ksr wrote them. A field or value this release does not know is left out
 * where that does no harm; where it may have been a restriction, what it was part of allows nothing.
 */
import { errorText } from '../common/errors.js';
import { closedNetworkPolicy } from './closed.js';
import { formatPath, type Path } from './document.js';
import { fromJson } from './json.js';
import { storedKey } from './stored-keys.js';
import type { KubeObject } from './types.js';

export interface StoredObject {
  /** null: nothing of it can be used. */
  readonly object: KubeObject | null;
  /** What of it was not understood, and what that does; null = nothing. */
  readonly problem: string | null;
}

export function readStored(key: string, value: string): StoredObject {
  const unknown: Path[] = [];
  try {
    const object = fromJson(value, key, (path) => unknown.push(path));
    if (storedKey(object) !== key) return { object: null, problem: `holds ${storedKey(object)}` };
    if (unknown.length === 0) return { object, problem: null };
    const fields = unknown.map(formatPath).join(', ');
    const careful = failClosed(object, unknown);
    const effect = careful === object ? 'it has no effect here' : 'what it is part of allows nothing here';
    return { object: careful, problem: `a newer release wrote ${fields}: ${effect}` };
  } catch (error) {
    const closed = closedOf(key, value);
    const effect = closed === null ? '' : '; the pods it selects get no traffic';
    return { object: closed, problem: `${errorText(error)}${effect}` };
  }
}

/** What stands for the object when fields at these paths are not understood; the object itself where they do no harm. */
function failClosed(object: KubeObject, unknown: readonly Path[]): KubeObject {
  const inSpec = unknown.filter(([top]) => top === 'spec');
  if (inSpec.length === 0) return object;
  // A rule is spec, section, index; anything else is about the policy as a whole.
  const touches = (section: 'ingress' | 'egress', i: number): readonly string[] =>
    inSpec
      .filter(([, at, index]) => (at === section ? index === i : at !== 'ingress' && at !== 'egress'))
      .map(formatPath);
  if (object.kind === 'NetworkPolicy') {
    const { ingress, egress } = object.spec;
    return {
      ...object,
      spec: {
        ...object.spec,
        ingress: ingress?.filter((_, i) => touches('ingress', i).length === 0),
        egress: egress?.filter((_, i) => touches('egress', i).length === 0),
      },
    };
  }
  if (object.kind !== 'ClusterNetworkPolicy') return object;
  const rules = (section: 'ingress' | 'egress') =>
    object.spec[section].map((rule, i) => {
      const fields = touches(section, i);
      return fields.length === 0 ? rule : { ...rule, unsupported: [...rule.unsupported, ...fields] };
    });
  return { ...object, spec: { ...object.spec, ingress: rules('ingress'), egress: rules('egress') } };
}

function closedOf(key: string, value: string): KubeObject | null {
  try {
    const raw: unknown = JSON.parse(value);
    const closed =
      (raw as { kind?: unknown } | null)?.kind === 'NetworkPolicy' ? closedNetworkPolicy(raw) : null;
    return closed !== null && storedKey(closed) === key ? closed : null;
  } catch {
    return null;
  }
}
