/** Routing by access lists (VPP's ABF plugin): what a list permits goes another way than its destination's. */
import type { Ip } from '../../../ruleset/types.js';
import type { ObjectKey, VppObject } from '../objects/types.js';

export interface AbfPolicySpec {
  /** VPP's name for it, ours to choose. */
  readonly id: number;
  readonly acl: ObjectKey;
  readonly interface: ObjectKey;
  readonly nextHop: Ip;
}

export interface AbfAttachmentSpec {
  readonly policy: ObjectKey;
  readonly id: number;
  /** What comes in there is looked at. */
  readonly interface: ObjectKey;
  readonly family: 4 | 6;
}

export type AbfPolicyObject = VppObject<'abf-policy', AbfPolicySpec>;
export type AbfAttachmentObject = VppObject<'abf-attachment', AbfAttachmentSpec>;

export function abfPolicy(spec: AbfPolicySpec): AbfPolicyObject {
  const neighbor = `neighbor/${spec.interface}/${spec.nextHop}`;
  return {
    kind: 'abf-policy',
    key: abfPolicyKey(spec.id),
    needs: [spec.acl, spec.interface, neighbor],
    spec,
  };
}

export const abfPolicyKey = (id: number): ObjectKey => `abf-policy/${id}`;

export function abfAttachment(spec: AbfAttachmentSpec): AbfAttachmentObject {
  const key = `abf-attachment/${spec.interface}/${spec.family}/${spec.id}`;
  return { kind: 'abf-attachment', key, needs: [spec.policy, spec.interface], spec };
}
