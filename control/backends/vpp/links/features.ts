/** Whether a feature is switched on at an interface. Newer VPPs answer that; of older ones the debug CLI is asked. */
import type { Fields, VppApi } from '../api/api.js';
import { indexOf } from './interface-sources.js';
import { readInterfaces } from './interfaces.js';

export interface Feature {
  readonly arc: string;
  readonly name: string;
}

/** Keys of our interfaces at which any of the features is on. Throws what VppApi.request throws. */
export async function interfacesWith(
  api: VppApi,
  ...features: readonly Feature[]
): Promise<readonly string[]> {
  const details = await readInterfaces(api);
  const answers = await Promise.all(
    details.map(async (fields) => {
      const on = await hasAny(api, fields, features);
      return on ? [String(fields['tag'])] : [];
    }),
  );
  return answers.flat();
}

/** The same of one interface, of which these are the `sw_interface_details`. */
export async function hasAny(api: VppApi, details: Fields, features: readonly Feature[]): Promise<boolean> {
  // Asked of an interface that came after the last one with anything on an arc, it says yes (26.06); every interface has something on input.
  const sure = !features.some((feature) => feature.arc.endsWith('-output'));
  if (sure && api.has('feature_is_enabled')) {
    const answers = features.map((feature) => isEnabled(api, indexOf(details), feature));
    return (await Promise.all(answers)).includes(true);
  }
  const text = await api.cli(`show interface features ${String(details['interface_name'])}`);
  return features.some((feature) => isShown(text, feature));
}

async function isEnabled(api: VppApi, sw_if_index: number, { arc, name }: Feature): Promise<boolean> {
  const fields = { arc_name: arc, feature_name: name, sw_if_index };
  const { is_enabled } = await api.request('feature_is_enabled', fields);
  return is_enabled === true;
}

/** Each arc's name ends in a colon; the names of its features stand indented below. */
export function isShown(text: string, { arc, name }: Feature): boolean {
  let current = '';
  for (const line of text.split('\n')) {
    const words = line.trim().split(/\s+/);
    if (/^\S+:$/.test(line)) current = line.slice(0, -1);
    else if (current === arc && words.includes(name)) return true;
  }
  return false;
}
