/** Names of access lists: the keys of objects, and the tags by which ours are known in VPP. */
import { createHash } from 'node:crypto';
import type { Key, PodRef } from '../../../ruleset/types.js';
import type { ObjectKey } from '../objects/types.js';

const TAG = 'pteropus ';
/** VPP keeps 64 bytes with the NUL at the end. */
const MAX_NAME = 63 - TAG.length;

export const OPEN_ACL: ObjectKey = 'acl/open';
export const STRAY_ACL: ObjectKey = 'acl/stray';
export const TO_POD_ACL: ObjectKey = 'acl/to-pod';
export const FROM_POD_ACL: ObjectKey = 'acl/from-pod';
export const ACL_SETTINGS: ObjectKey = 'acl-settings/all';

/** Of a policy item's rules. */
export function policyAclKey(policy: Key): ObjectKey {
  return `acl/${short(policy)}`;
}

/** Of the rules that let a pod reach itself. */
export function selfAclKey({ namespace, name }: PodRef, way: 'to' | 'from'): ObjectKey {
  return `acl/${short(`self-${way}/${namespace}/${name}`)}`;
}

/** Of the lists on an interface: by its key, which is all that VPP tells of whose they are. */
export function bindingKey(on: ObjectKey): ObjectKey {
  return `acl-binding/${on.slice('if/'.length)}`;
}

export function aclTag(key: ObjectKey): string {
  return `${TAG}${key.slice('acl/'.length)}`;
}

/** null: not one of ours. */
export function keyOfTag(tag: string): ObjectKey | null {
  return tag.startsWith(TAG) ? `acl/${tag.slice(TAG.length)}` : null;
}

/** Names too long for a tag end in their hash. */
function short(name: string): string {
  if (Buffer.byteLength(name) <= MAX_NAME) return name;
  const hash = createHash('sha256').update(name).digest('hex').slice(0, 20);
  return `${name.slice(0, MAX_NAME - hash.length - 1)}~${hash}`;
}
