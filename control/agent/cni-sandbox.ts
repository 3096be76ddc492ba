/** Whose sandbox a CNI command is about. */
import { CNI } from '../cni/codes.js';
import { CniError } from '../cni/errors.js';
import type { CniRequest } from '../cni/messages.js';
import { isContainerId, isInterfaceName, parseArguments } from '../cni/names.js';
import type { PodRef } from '../ruleset/types.js';
import type { Sandbox } from './wiring.js';

/** Namespace of sandboxes that no Kubernetes pod owns; the dot keeps it apart from every namespace of Kubernetes. */
export const BARE_NAMESPACE = 'cni.sandbox';

/** A sandbox without a pod's name is allowed, half a name is an error. Throws CniError (4). */
export function sandboxOf({ containerId, netns, ifname, args, conf }: CniRequest): Sandbox {
  if (!isContainerId(containerId)) throw invalid('container id', containerId);
  if (!isInterfaceName(ifname)) throw invalid('interface name', ifname);
  const pairs = parseArguments(args);
  if (pairs === null) throw invalid('CNI_ARGS', args);
  const uid = pairs.get('K8S_POD_UID') ?? '';
  return {
    pod: podOf(pairs, containerId),
    uid: uid === '' ? null : uid,
    containerId,
    network: conf.name,
    netns,
    ifname,
    ...(conf.portMappings.length === 0 ? {} : { hostPorts: conf.portMappings }),
    ...(conf.bandwidth === null ? {} : { limits: conf.bandwidth }),
  };
}

/** The name of a sandbox among those of all networks. */
export function sandboxKey({ containerId, ifname }: Pick<CniRequest, 'containerId' | 'ifname'>): string {
  return `${containerId}/${ifname}`;
}

function podOf(args: ReadonlyMap<string, string>, containerId: string): PodRef {
  const name = args.get('K8S_POD_NAME') ?? '';
  const namespace = args.get('K8S_POD_NAMESPACE') ?? '';
  if ((name === '') !== (namespace === '')) {
    throw new CniError(
      CNI.invalidEnvironment,
      'CNI_ARGS needs both K8S_POD_NAMESPACE and K8S_POD_NAME, or neither',
    );
  }
  return name === '' ? { namespace: BARE_NAMESPACE, name: containerId } : { namespace, name };
}

function invalid(what: string, value: string): CniError {
  return new CniError(CNI.invalidEnvironment, `not a valid ${what}: ${JSON.stringify(value)}`);
}
