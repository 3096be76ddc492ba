/** The access list of a policy item: its rules, and its name. Pure; what was made of the same items before is remembered. */
import { createHash } from 'node:crypto';
import type { AddressSetItem, Key, PolicyItem } from '../../../ruleset/types.js';
import type { ObjectKey, View, VppObject } from '../objects/types.js';
import type { AclNotes, AclSpec, NotedRule } from './acl-rules.js';
import { lowerPolicy } from './lower.js';
import { policyAclKey } from './names.js';

/**
 * VPP puts a list that is replaced in force on all its interfaces at once, and nothing else happens meanwhile: about 1 ms for 1,000 rules and
 * interface. So a list longer than this is never replaced: its name goes with its contents, another one is made beside it, and the
 * interfaces go over to it one by one.
 */
export const LONGEST_REPLACED = 300;

interface Made {
  readonly sets: readonly (AddressSetItem | undefined)[];
  readonly acl: VppObject<'acl', AclSpec>;
}

const made = new WeakMap<PolicyItem, Made>();

export function policyAcl(policy: PolicyItem, view: View): VppObject<'acl', AclSpec> {
  const keys = [...new Set(policy.rules.flatMap(({ peers }) => peers ?? []))];
  const found = new Map(keys.map((key): [Key, AddressSetItem | undefined] => [key, setOf(view, key)]));
  const sets = [...found.values()];
  const before = made.get(policy);
  if (before?.sets.every((set, i) => set === sets[i])) return before.acl;
  const rules = lowerPolicy(policy, (key) => found.get(key));
  const list = acl(policyAclKey(policy.key), rules);
  const named =
    rules.length <= LONGEST_REPLACED
      ? list
      : { ...list, key: policyAclKey(`${policy.key}@${hashOf(list.spec)}`) };
  made.set(policy, { sets, acl: named });
  return named;
}

export function acl(key: ObjectKey, rules: readonly NotedRule[]): VppObject<'acl', AclSpec> {
  const notes: AclNotes = { rules: rules.map(({ note }) => note) };
  return { kind: 'acl', key, needs: [], spec: { rules: rules.map(({ rule }) => rule) }, notes };
}

/** Lists have 10,000 rules where a set has as many members: nothing but what differs between rules of policies is looked at. */
function hashOf({ rules }: AclSpec): string {
  const texts = rules.map(
    ({ action, source, destination, protocol, destinationPorts: [from, to] }) =>
      `${action} ${source} ${destination} ${protocol} ${from} ${to}`,
  );
  return createHash('sha256').update(texts.join('\n')).digest('hex').slice(0, 10);
}

function setOf(view: View, key: Key): AddressSetItem | undefined {
  const item = view.get(key);
  return item?.kind === 'addressset' ? item : undefined;
}
