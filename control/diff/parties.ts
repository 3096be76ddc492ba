/** Who is compared: pods that are there before and after, nodes, and the world outside. Pure. */
import {
  bitsOf,
  cidrContains,
  compareCidr,
  type Family,
  formatCidr,
  formatIp,
  type ParsedCidr,
  parseCidr,
  parseIp,
} from '../common/ip.js';
import { familyOf } from '../compiler/context.js';
import { rangesOf } from '../compiler/input.js';
import type { PaperCluster } from '../explain/cluster.js';
import { type Place, placeOf, placeOfNode } from '../explain/ends.js';
import type { Pod } from '../objects/types.js';
import type { LoadedCluster } from '../sim/load.js';
import { PUBLIC_ADDRESSES } from '../sim/world.js';

/** One end, as it is before and after; in a dual-stack cluster one for each of its families. */
export interface Party {
  /** `shop/web-0`, `node-1`, `outside`. */
  readonly name: string;
  /** What it is folded into: its workload, `nodes`, or itself. */
  readonly group: string;
  readonly type: 'pod' | 'node' | 'outside';
  readonly family: Family;
  readonly before: Place;
  readonly after: Place;
}

export interface Side {
  readonly loaded: LoadedCluster;
  readonly cluster: PaperCluster;
}

export interface Compared {
  readonly parties: readonly Party[];
  /** Workloads that only one side has: nothing to compare. */
  readonly added: readonly string[];
  readonly removed: readonly string[];
  /** Those of the cluster. */
  readonly families: readonly Family[];
}

/** Replicas are matched by their order, since their names may change with the workload's template. */
export function partiesOf(before: Side, after: Side): Compared {
  const families: readonly Family[] = after.loaded.config.ipv6 === null ? [4] : [4, 6];
  const [old, now] = [podsByWorkload(before), podsByWorkload(after)];
  const parties = families.flatMap((family) => [
    ...podParties(old, now, family),
    ...nodes(before, after, family),
    ...outside(before, after, family),
  ]);
  return {
    parties,
    added: [...now.keys()].filter((workload) => !old.has(workload)),
    removed: [...old.keys()].filter((workload) => !now.has(workload)),
    families,
  };
}

type Workloads = ReadonlyMap<string, readonly Pod[]>;

/** Pods with addresses of their own, by workload, in order of their names. */
function podsByWorkload({ cluster }: Side): Workloads {
  const workloads = [...cluster.workloads].map(([workload, pods]) => {
    const own = pods.filter(({ spec, status }) => !spec.hostNetwork && status.podIPs.length > 0);
    return [workload, own.sort((a, b) => (a.metadata.name < b.metadata.name ? -1 : 1))] as const;
  });
  return new Map(workloads.filter(([, pods]) => pods.length > 0));
}

function podParties(old: Workloads, now: Workloads, family: Family): readonly Party[] {
  return [...old].flatMap(([workload, pods]) =>
    (now.get(workload) ?? []).flatMap((pod, i): readonly Party[] => {
      const other = pods[i];
      if (other === undefined) return [];
      const [before, after] = [placeOf(other, family), placeOf(pod, family)];
      return [{ name: after.name, group: workload, type: 'pod', family, before, after }];
    }),
  );
}

function nodes(before: Side, after: Side, family: Family): readonly Party[] {
  return after.loaded.nodes.map((node) => ({
    name: node,
    group: 'nodes',
    type: 'node',
    family,
    before: placeOfNode(before.cluster, node, family),
    after: placeOfNode(after.cluster, node, family),
  }));
}

/** One address that no rule names, and one inside each block that some rule does. */
function outside(before: Side, after: Side, family: Family): readonly Party[] {
  const texts = new Set([...blocksOf(before), ...blocksOf(after)]);
  const cluster = rangesOf(after.loaded.config).flatMap((ranges) => [
    ...[ranges.podSubnetCIDR, ranges.hostSubnetCIDR, ranges.vxlanCIDR, ranges.serviceCIDR],
    ...(ranges.nodeInterconnectCIDR === null ? [] : [ranges.nodeInterconnectCIDR]),
  ]);
  const blocks = [...new Set([...texts, ...cluster])].map(parseCidr);
  const all = blocks.filter((block) => block.family === family).sort(compareCidr);
  const named = all.flatMap((block, i): readonly Party[] => {
    const text = formatCidr(block);
    const within = cluster.some((range) => cidrContains(parseCidr(range), block));
    if (within || !texts.has(text)) return [];
    const address = inside(block, nestedAfter(all, i));
    return address === null ? [] : [stranger(`outside/${text}`, address)];
  });
  const anywhere = PUBLIC_ADDRESSES[family].find(
    (ip) => !all.some((block) => cidrContains(block, parseIp(ip))),
  );
  return [...(anywhere === undefined ? [] : [stranger('outside', anywhere)]), ...named];
}

/** In order of address, what lies inside a block comes right after it. */
function nestedAfter(sorted: readonly ParsedCidr[], i: number): readonly ParsedCidr[] {
  const block = sorted[i];
  if (block === undefined) return [];
  const end = sorted.findIndex((other, j) => j > i && !cidrContains(block, other));
  return sorted.slice(i + 1, end < 0 ? undefined : end);
}

function stranger(name: string, address: string): Party {
  const place = { name, address, pod: null, node: null };
  return { name, group: name, type: 'outside', family: familyOf(address), before: place, after: place };
}

/** Prefixes of all rules; the whole world is not a block of its own. */
function* blocksOf({ cluster }: Side): Iterable<string> {
  for (const ruleset of cluster.rulesets.values()) {
    for (const item of ruleset.values()) {
      if (item.kind !== 'addressset') continue;
      for (const { cidr, except } of item.blocks) {
        yield* [cidr, ...except].filter((text) => !text.endsWith('/0'));
      }
    }
  }
}

/** An address of the block that lies in none of those inside it, if one is found at their edges. */
function inside(block: ParsedCidr, nested: readonly ParsedCidr[]): string | null {
  const [first, last] = endsOf(block);
  const edges = nested.flatMap((other) => [endsOf(other)[0] - 1n, endsOf(other)[1] + 1n]);
  for (const value of [first, last, ...edges]) {
    if (value < first || value > last) continue;
    const ip = { family: block.family, value };
    if (!nested.some((other) => cidrContains(other, ip))) return formatIp(ip);
  }
  return null;
}

function endsOf({ family, value, length }: ParsedCidr): readonly [bigint, bigint] {
  return [value, value + (1n << BigInt(bitsOf(family) - length)) - 1n];
}
