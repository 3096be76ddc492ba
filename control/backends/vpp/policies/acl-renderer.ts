/**
 * Policies as access lists of VPP's ACL plugin. A policy item becomes one list, whichever and however many pods it judges; a pod's
 * interface names lists: on its input what judges packets from the pod, on its output what judges packets to it. Pure.
 */
import type { EndpointItem, Item, Key } from '../../../ruleset/types.js';
import { RenderError } from '../objects/errors.js';
import { interfaceKey } from '../objects/names.js';
import type { ObjectKey, Renderer, View, VppObject } from '../objects/types.js';
import type { AclSpec, NotedRule } from './acl-rules.js';
import {
  type Exempt,
  fromPodRules,
  openRules,
  selfFromPodRules,
  selfToPodRules,
  strayRules,
  toPodRules,
} from './common-acls.js';
import {
  ACL_SETTINGS,
  bindingKey,
  FROM_POD_ACL,
  OPEN_ACL,
  STRAY_ACL,
  selfAclKey,
  TO_POD_ACL,
} from './names.js';
import { acl, policyAcl } from './policy-acl.js';

/** The lists on one interface, in the order in which they are asked; the first rule that matches decides. */
export interface AclBindingSpec {
  readonly interface: ObjectKey;
  readonly input: readonly ObjectKey[];
  readonly output: readonly ObjectKey[];
}

/** What the plugin is told once. */
export interface AclSettingsSpec {
  /** A change of lists acts on connections that are open. */
  readonly reclassify: boolean;
  /** Count what each rule decides. */
  readonly counters: boolean;
}

export const aclRenderer: Renderer = {
  name: 'policies (acl)',
  kinds: ['policy', 'endpoint'],
  render(item: Item, view: View): readonly VppObject[] {
    if (item.kind === 'policy') return [policyAcl(item, view)];
    return item.kind === 'endpoint' ? endpointObjects(item, view) : [];
  },
};

function endpointObjects(endpoint: EndpointItem, view: View): VppObject[] {
  const link = view.get(endpoint.interface);
  if (link?.kind !== 'interface') {
    throw new RenderError('its interface is not there', endpoint.key, { value: endpoint.interface });
  }
  const { ingress, egress, pod } = endpoint;
  const exempt = exemptOf(view);
  const lists: VppObject<'acl', AclSpec>[] = [];
  const use = (key: ObjectKey, rules: () => readonly NotedRule[]): ObjectKey[] => {
    if (!lists.some((list) => list.key === key)) lists.push(acl(key, rules()));
    return [key];
  };
  const stray = ingress === null || egress === null ? [] : use(STRAY_ACL, strayRules);
  const listOf = (key: Key): ObjectKey => {
    const policy = view.get(key);
    if (policy?.kind !== 'policy')
      throw new RenderError('its policy is not there', endpoint.key, { value: key });
    return policyAcl(policy, view).key;
  };
  const open = (): ObjectKey[] => use(OPEN_ACL, openRules);
  const input = (policy: Key): ObjectKey[] => [
    ...use(selfAclKey(pod, 'from'), () => selfFromPodRules(link.peerAddresses, link.ownAddresses)),
    ...use(FROM_POD_ACL, () => fromPodRules(exempt)),
    ...stray,
    listOf(policy),
  ];
  const output = (policy: Key): ObjectKey[] => [
    ...use(selfAclKey(pod, 'to'), () => selfToPodRules(link.peerAddresses)),
    ...use(TO_POD_ACL, () => toPodRules(exempt)),
    ...stray,
    listOf(policy),
  ];
  const spec: AclBindingSpec = {
    interface: interfaceKey(endpoint.interface),
    input: egress === null ? open() : input(egress),
    output: ingress === null ? open() : output(ingress),
  };
  const binding: VppObject = {
    kind: 'acl-binding',
    key: bindingKey(spec.interface),
    needs: [...new Set([spec.interface, ACL_SETTINGS, ...spec.input, ...spec.output])],
    spec,
  };
  return [settings(), ...lists, binding];
}

function settings(): VppObject<'acl-settings', AclSettingsSpec> {
  return { kind: 'acl-settings', key: ACL_SETTINGS, needs: [], spec: { reclassify: true, counters: true } };
}

function exemptOf(view: View): Exempt {
  const [node, host, snat] = [view.get('node'), view.get('interface/host'), view.get('snat')];
  const addresses = [
    ...(host?.kind === 'interface' ? host.peerAddresses : []),
    ...(node?.kind === 'node' ? node.addresses : []),
  ];
  return {
    node: [...new Set(addresses)],
    hairpin: snat?.kind === 'snat' ? snat.hairpin : [],
  };
}
