/** Where CNAT is on, and which lists of source translation an interface is on. */
import type { VppApi } from '../api/api.js';
import { VppRetvalError } from '../api/errors.js';
import { FAMILIES } from '../links/specs.js';
import type { Descriptor, ObjectKey, VppContext } from '../objects/types.js';
import { readSnatPolicy } from './cnat-exclude-descriptor.js';
import {
  type CnatInterfaceObject,
  type CnatInterfaceSpec,
  cnatInterface,
  SNAT_LISTS,
  type SnatList,
} from './cnat-objects.js';
import { hasFlows } from './cnat-version.js';
import { type Feature, type FeatureInterface, readFeatures, switchFeatures } from './features.js';
import type { SnatPolicy } from './snat-policy-text.js';

/** Of VPP's enum. */
const LISTS: Readonly<Record<SnatList, string>> = {
  'include-v4': 'CNAT_POLICY_INCLUDE_V4',
  'include-v6': 'CNAT_POLICY_INCLUDE_V6',
  k8s: 'CNAT_POLICY_POD',
  host: 'CNAT_POLICY_HOST',
};
const HOST: ObjectKey = 'if/host';
const NOTHING = { input: false, output: false, remember: false, pings: false, lists: [] };
const EVERY_INTERFACE = 0xffff_ffff;
const NO_SUCH_INTERFACE = -2;

interface FamilyFeature extends Feature {
  readonly family: 4 | 6;
}

const both = (place: 'unicast' | 'output', name: string): readonly FamilyFeature[] =>
  FAMILIES.map((family) => ({ family, arc: `ip${family}-${place}`, name: `cnat-${name}-ip${family}` }));
/** Only where there are flows. */
const LOOKUP = both('unicast', 'lookup');
const REMEMBER = both('output', 'writeback');
const INPUT = both('unicast', 'input');
const OUTPUT = both('output', 'output');
const PINGS: readonly FamilyFeature[] = [{ family: 6, arc: 'ip6-unicast', name: 'cnat-snat-ip6-return' }];

export const cnatInterfaceDescriptor: Descriptor<'cnat-interface', CnatInterfaceSpec> = {
  kind: 'cnat-interface',
  messages: ['feature_enable_disable', 'cnat_snat_policy_add_del_if', 'sw_interface_dump'],

  async read({ api, handles }) {
    const policy = await readSnatPolicy(api);
    if (policy === null) return [];
    const interfaces = await readInterfaces(api);
    const found = await Promise.all(
      interfaces.map((at) => {
        const key = handles.keyOf('if', at.index);
        return key === undefined ? null : readOne(api, key, at, policy);
      }),
    );
    return found.filter((object) => object !== null);
  },

  async create(vpp, { spec }) {
    await put(vpp, [], spec);
  },

  async update(vpp, old, { spec }) {
    await put(vpp, old.spec.lists, spec);
  },

  async remove(vpp, { spec }) {
    await put(vpp, spec.lists, { ...spec, ...NOTHING });
  },
};

async function readOne(
  api: VppApi,
  key: ObjectKey,
  at: FeatureInterface,
  policy: SnatPolicy,
): Promise<CnatInterfaceObject | null> {
  const on = await readFeatures(api, at, featuresOf(api));
  const lists = SNAT_LISTS.filter((list) =>
    // Where VPP has no such list it is taken for the one of the host.
    list === 'host' && !hasFlows(api) ? key === HOST : policy.lists[list].has(at.name),
  );
  if (on.size === 0 && lists.every((list) => list === 'host')) return null;
  // On in part, an interface is to be put right, whatever is wanted of it.
  const families = FAMILIES.filter((of) => [...on].some(({ family }) => family === of));
  const all = (features: readonly FamilyFeature[]): boolean =>
    on.size > 0 && features.every((feature) => !families.includes(feature.family) || on.has(feature));
  // Where there are no flows there is nothing to remember.
  const remember = hasFlows(api) ? all(REMEMBER) : true;
  const pings = PINGS.some((feature) => on.has(feature));
  return cnatInterface({
    ...{ interface: key, families, input: all(inputOf(api)), output: all(OUTPUT) },
    ...{ remember, pings, lists },
  });
}

async function put(
  { api, handles }: VppContext,
  before: readonly SnatList[],
  spec: CnatInterfaceSpec,
): Promise<void> {
  const index = handles.get(spec.interface);
  const wanted = new Set(
    [
      ...(spec.input ? inputOf(api) : []),
      ...(spec.output ? OUTPUT : []),
      ...(spec.remember && hasFlows(api) ? REMEMBER : []),
      ...(spec.pings ? PINGS : []),
    ].filter(({ family }) => spec.families.includes(family)),
  );
  const change = (list: SnatList, is_add: number): Promise<unknown> =>
    api.request('cnat_snat_policy_add_del_if', { sw_if_index: index, is_add, table: LISTS[list] });
  const known = SNAT_LISTS.filter((list) => list !== 'host' || hasFlows(api));
  const listed = known.flatMap((list) => {
    if (spec.lists.includes(list)) return [change(list, 1)];
    return before.includes(list) ? [change(list, 0)] : [];
  });
  await Promise.all([
    ...listed,
    switchFeatures(api, { index, name: await nameOf(api, index) }, featuresOf(api), wanted),
  ]);
}

const inputOf = (api: VppApi): readonly FamilyFeature[] => (hasFlows(api) ? [...LOOKUP, ...INPUT] : INPUT);
const featuresOf = (api: VppApi): readonly FamilyFeature[] => [
  ...inputOf(api),
  ...OUTPUT,
  ...(hasFlows(api) ? [...REMEMBER, ...PINGS] : []),
];

async function readInterfaces(api: VppApi, sw_if_index = EVERY_INTERFACE): Promise<FeatureInterface[]> {
  const details = await api.dump('sw_interface_dump', { sw_if_index });
  return details.map((fields) => ({
    index: Number(fields['sw_if_index']),
    name: String(fields['interface_name']),
  }));
}

async function nameOf(api: VppApi, index: number): Promise<string> {
  const found = (await readInterfaces(api, index)).find((at) => at.index === index);
  if (found === undefined) throw new VppRetvalError('sw_interface_dump', NO_SUCH_INTERFACE);
  return found.name;
}
