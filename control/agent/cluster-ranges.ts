/**
 * All nodes work with one set of address ranges, or pods of one node are taken for those of another. The first node writes
 * its ranges into the store; one that was configured otherwise is refused.
 */
import { errorText } from '../common/errors.js';
import type { ClusterConfig, FamilyRanges } from '../compiler/input.js';
import type { Store } from '../store/store.js';
import { ClusterRangesError } from './errors.js';

const RANGES_KEY = '/pteropus/cluster/ranges';

/** What has to be the same on all nodes: whatever addresses of nodes and pods follow from. */
interface SharedRanges {
  readonly ranges: FamilyRanges;
  /** null: no node has had a second family so far; the first one to have it adds it. */
  readonly ipv6: FamilyRanges | null;
  readonly vni: number;
}

/** Resolves when the store holds these ranges. Throws ClusterRangesError when it holds others. */
export async function agreeOnRanges(store: Store, node: string, config: ClusterConfig): Promise<void> {
  const own = sharedOf(config);
  // Every lost race means that another node wrote them, so this ends.
  for (;;) {
    const entry = await store.get(RANGES_KEY);
    const merged = entry === null ? own : merge(parse(entry.value), own, `node ${node}`);
    const value = JSON.stringify(merged);
    if (entry?.value === value) return;
    const condition = { key: RANGES_KEY, revision: entry?.revision ?? 0 };
    const { ok } = await store.transact([condition], [{ type: 'put', key: RANGES_KEY, value }]);
    if (ok) return;
  }
}

function sharedOf({ ipv6, vni, ...config }: ClusterConfig): SharedRanges {
  return { ranges: rangesOnly(config), ipv6: ipv6 === null ? null : rangesOnly(ipv6), vni };
}

/** Without other fields, and in one order. */
function rangesOnly(ranges: FamilyRanges): FamilyRanges {
  return {
    podSubnetCIDR: ranges.podSubnetCIDR,
    podSubnetOneNodePrefixLen: ranges.podSubnetOneNodePrefixLen,
    hostSubnetCIDR: ranges.hostSubnetCIDR,
    hostSubnetOneNodePrefixLen: ranges.hostSubnetOneNodePrefixLen,
    vxlanCIDR: ranges.vxlanCIDR,
    nodeInterconnectCIDR: ranges.nodeInterconnectCIDR,
    defaultGateway: ranges.defaultGateway,
    serviceCIDR: ranges.serviceCIDR,
  };
}

/** A second family may be added to a cluster, by one node after the other; nothing else may differ. */
function merge(theirs: SharedRanges, own: SharedRanges, object: string): SharedRanges {
  const differences = [
    ...differing(theirs.ranges, own.ranges, ''),
    ...(theirs.ipv6 === null || own.ipv6 === null ? [] : differing(theirs.ipv6, own.ipv6, 'ipv6.')),
    ...(theirs.vni === own.vni ? [] : [`vni is ${own.vni}, the cluster's ${theirs.vni}`]),
  ];
  if (differences.length === 0) return { ...own, ipv6: own.ipv6 ?? theirs.ipv6 };
  throw new ClusterRangesError(
    `is configured for another cluster: ${differences.join('; ')}. To change a cluster's ranges on purpose, stop its agents and remove ${RANGES_KEY} from the store`,
    { object },
  );
}

function differing(theirs: FamilyRanges, own: FamilyRanges, path: string): readonly string[] {
  return (Object.keys(own) as (keyof FamilyRanges)[]).flatMap((field) =>
    // A field the other version does not know yet is no difference.
    theirs[field] === own[field] || theirs[field] === undefined
      ? []
      : [`${path}${field} is ${own[field]}, the cluster's ${theirs[field]}`],
  );
}

function parse(value: string): SharedRanges {
  try {
    const { ranges, ipv6, vni } = JSON.parse(value) as SharedRanges;
    return { ranges: rangesOnly(ranges), ipv6: ipv6 === null ? null : rangesOnly(ipv6), vni };
  } catch (cause) {
    throw new ClusterRangesError(`cannot be read: ${errorText(cause)}`, { object: RANGES_KEY, cause });
  }
}
