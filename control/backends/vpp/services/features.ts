/** Features of interfaces: nodes that packets pass on their way in or out. Switched on twice they would be passed twice. */
import type { VppApi } from '../api/api.js';

export interface Feature {
  /** `ip4-unicast`, … */
  readonly arc: string;
  /** Name of the node. */
  readonly name: string;
}

export interface FeatureInterface {
  readonly index: number;
  /** VPP's name of it. */
  readonly name: string;
}

/** Which of the features are on. (The message that asks says of an interface without any that all are.) */
export async function readFeatures<F extends Feature>(
  api: VppApi,
  on: FeatureInterface,
  features: readonly F[],
): Promise<ReadonlySet<F>> {
  const arcs = parseFeatures(await api.cli(`show interface features ${on.name}`));
  return new Set(features.filter(({ arc, name }) => arcs.get(arc)?.has(name) === true));
}

/** Switches those on that are off, and the others of `features` off. */
export async function switchFeatures<F extends Feature>(
  api: VppApi,
  on: FeatureInterface,
  features: readonly F[],
  wanted: ReadonlySet<F>,
): Promise<void> {
  const enabled = await readFeatures(api, on, features);
  const changes = features.filter((feature) => enabled.has(feature) !== wanted.has(feature));
  await Promise.all(
    changes.map((feature) =>
      api.request('feature_enable_disable', {
        ...{ sw_if_index: on.index, enable: wanted.has(feature) },
        ...{ arc_name: feature.arc, feature_name: feature.name },
      }),
    ),
  );
}

/** What `show interface features` prints: names of arcs, and under each the features that are on. */
export function parseFeatures(text: string): ReadonlyMap<string, ReadonlySet<string>> {
  const arcs = new Map<string, Set<string>>();
  let features: Set<string> | undefined;
  for (const line of text.split(/\r?\n/)) {
    const arc = /^(\S+):$/.exec(line)?.[1];
    if (arc !== undefined) {
      features = new Set();
      arcs.set(arc, features);
    } else {
      const name = /^\s+(\S+)$/.exec(line)?.[1];
      if (name !== undefined) features?.add(name);
    }
  }
  return arcs;
}
