/** What a trace's numbers and names stand for. */
import type { InterfaceItem, Item, Key, PodRef } from '../../../ruleset/types.js';
import { type NotedRule, notedRules } from '../counters/rules.js';
import { BVI_INTERFACE, interfaceKey } from '../objects/names.js';
import type { ObjectKey } from '../objects/types.js';
import type { InForce } from '../observe.js';

/** An interface of VPP as people know it. */
export interface Port {
  readonly key: Key | null;
  /** `pod shop/a`, `uplink`, `tunnel/2`, or VPP's own name. */
  readonly text: string;
  readonly pod: PodRef | null;
  readonly role: InterfaceItem['role'] | 'tunnel' | null;
}

export interface TraceNames {
  /** By the index drivers use. */
  byHardware(index: number): Port | null;
  byIndex(index: number): Port | null;
  byName(name: string): Port | null;
  rule(acl: number, rule: number): NotedRule | null;
  /** `Service shop/web`: whose frontend it is (any port, where there is none); null: nobody's. */
  service(address: string, port?: number): string | null;
  /** `pod shop/a` of this node, or of a Service that has it as a backend. */
  podAt(address: string): string | null;
}

/** VPP's own names and indexes of its interfaces. */
export interface InterfaceNames {
  readonly byIndex: ReadonlyMap<number, string>;
  readonly byHardware: ReadonlyMap<number, string>;
}

/** Asks VPP. Throws as the API does. */
export async function askNames({ api }: InForce): Promise<InterfaceNames> {
  const [interfaces, hardware] = await Promise.all([
    api.dump('sw_interface_dump'),
    api.cli('show hardware-interfaces'),
  ]);
  return {
    byIndex: new Map(
      interfaces.map((fields) => [Number(fields['sw_if_index']), String(fields['interface_name'])]),
    ),
    byHardware: parseHardware(hardware),
  };
}

/** Reads what `show hardware-interfaces` prints: index → name. */
export function parseHardware(text: string): Map<number, string> {
  const names = new Map<number, string>();
  for (const [, name, index] of text.matchAll(/^(\S+) +(\d+) +(?:up|down|-) /gm)) {
    if (name !== undefined) names.set(Number(index), name);
  }
  return names;
}

export function namesOf(state: InForce, { byIndex, byHardware }: InterfaceNames): TraceNames {
  const { items, objects, handles } = state;
  const itemOf = new Map<ObjectKey, InterfaceItem>();
  for (const item of items.values()) if (item.kind === 'interface') itemOf.set(interfaceKey(item.key), item);
  const indexOf = new Map([...byIndex].map(([index, name]) => [name, index]));
  const portAt = (index: number): Port | null => {
    const key = handles.keyOf('if', index);
    const name = byIndex.get(index);
    const item = key === undefined ? undefined : itemOf.get(key);
    if (item !== undefined) return { ...portOf(item), role: item.role };
    if (key === BVI_INTERFACE) return { key: null, text: 'the tunnels', pod: null, role: null };
    if (key !== undefined) {
      const role = key.startsWith('if/tunnel/') ? 'tunnel' : null;
      return { key: null, text: key.slice('if/'.length), pod: null, role };
    }
    return name === undefined ? null : { key: null, text: name, pod: null, role: null };
  };
  const portNamed = (name: string): Port | null => {
    const index = indexOf.get(name);
    return index === undefined ? null : portAt(index);
  };
  return {
    byIndex: portAt,
    byName: portNamed,
    byHardware: (index) => portNamed(byHardware.get(index) ?? ''),
    service: (address, port) => serviceOf(address, port, items.values()),
    podAt: (address) => podAt(address, items.values()),
    rule: (acl, rule) => {
      const key = handles.keyOf('acl', acl);
      const object = key === undefined ? undefined : objects.get(key);
      return (object === undefined ? null : notedRules(object))?.[rule] ?? null;
    },
  };
}

function portOf({ key, pod, role }: InterfaceItem): Omit<Port, 'role'> {
  return { key, pod, text: pod === null ? role : `pod ${pod.namespace}/${pod.name}` };
}

function serviceOf(address: string, port: number | undefined, items: Iterable<Item>): string | null {
  for (const item of items) {
    if (item.kind !== 'service') continue;
    const its = item.frontends.some(
      (frontend) => frontend.address === address && (port ?? frontend.port) === frontend.port,
    );
    if (its) return `Service ${item.namespace}/${item.name}`;
  }
  return null;
}

function podAt(address: string, items: Iterable<Item>): string | null {
  const text = ({ namespace, name }: PodRef): string => `pod ${namespace}/${name}`;
  for (const item of items) {
    if (item.kind === 'interface' && item.pod !== null && item.peerAddresses.includes(address))
      return text(item.pod);
    const pod =
      item.kind === 'service' ? item.backends.find((backend) => backend.address === address)?.pod : null;
    if (pod) return text(pod);
  }
  return null;
}
