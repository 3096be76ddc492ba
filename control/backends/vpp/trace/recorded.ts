/**
 * For tests: what real VPPs printed while two pods (a and b of namespace shop, b under a policy) sent and received, with the numbers
 * that VPP's interfaces and access lists had.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { InterfaceItem, Item, Key, ServiceItem } from '../../../ruleset/types.js';
import { HandleTable } from '../objects/handles.js';
import type { VppObject } from '../objects/types.js';
import type { InForce } from '../observe.js';
import { type InterfaceNames, parseHardware } from './names.js';

const FIXTURES = join(import.meta.dirname, '../../../../../../control/backends/vpp/trace/fixtures');

export interface RecordedTrace {
  /** `vpp-26.06` */
  readonly version: string;
  /** What `show trace` printed. */
  readonly text: string;
  readonly hardware: string;
  readonly interfaces: InterfaceNames;
  /** All but the API. */
  readonly state: InForce;
}

export function recordedTraces(): RecordedTrace[] {
  return readdirSync(FIXTURES).map((file) =>
    read(file.replace('.txt', ''), readFileSync(join(FIXTURES, file), 'utf8')),
  );
}

/** The file's parts begin with lines like `=== show trace`. */
function read(version: string, file: string): RecordedTrace {
  const parts = new Map(
    file.split(/^=== /m).map((part): [string, string] => {
      const end = part.indexOf('\n');
      return [part.slice(0, end), part.slice(end + 1)];
    }),
  );
  const lines = (name: string): string[] => (parts.get(name) ?? '').split('\n').filter((line) => line !== '');
  const hardware = parts.get('show hardware-interfaces') ?? '';
  const handles = new HandleTable();
  const objects = new Map<string, VppObject>();
  for (const line of lines('objects')) {
    const [key = '', handle, ...rest] = line.split(' ');
    handles.set(key, Number(handle));
    const texts = (rest.length > 0 && rest[0] !== '' ? JSON.parse(rest.join(' ')) : null) as string[] | null;
    const notes = texts === null ? undefined : { rules: texts.map((text) => ({ text, allowed: true })) };
    objects.set(key, { kind: key.slice(0, key.indexOf('/')), key, needs: [], spec: {}, notes });
  }
  const items = new Map<Key, Item>(ITEMS.map((item) => [item.key, item]));
  const byIndex = new Map(
    lines('interfaces').map((line): [number, string] => {
      const [index, name = ''] = line.split(' ');
      return [Number(index), name];
    }),
  );
  return {
    ...{ version, hardware, text: parts.get('show trace') ?? '' },
    interfaces: { byIndex, byHardware: parseHardware(hardware) },
    state: { handles, objects, items, ownersOf: () => [] } as unknown as InForce,
  };
}

function port(
  role: InterfaceItem['role'],
  name: string | null,
  address: string | null = null,
): InterfaceItem {
  const pod = name === null ? null : { namespace: 'shop', name };
  return {
    ...{
      kind: 'interface',
      key: pod === null ? `interface/${role}` : `interface/pod/shop/${name}`,
      role,
      pod,
    },
    ...{
      link: '',
      mac: '',
      peerMac: null,
      peerAddresses: address === null ? [] : [address],
      ownAddresses: [],
      mtu: 1500,
    },
  };
}

const WEB: ServiceItem = {
  ...{
    kind: 'service',
    key: 'service/shop/web/UDP/80/internal',
    namespace: 'shop',
    name: 'web',
    portName: null,
  },
  ...{ protocol: 'UDP', scope: 'internal', affinitySeconds: null, algorithm: 'random', sourceRanges: null },
  frontends: [{ address: '10.96.0.10', port: 80, type: 'ClusterIP' }],
  backends: [{ address: '10.1.1.3', port: 81, weight: 1, pod: null, node: null }],
  outsideBackends: null,
};

const ITEMS: readonly Item[] = [
  port('uplink', null),
  port('host', null),
  port('pod', 'a', '10.1.1.2'),
  port('pod', 'b', '10.1.1.3'),
  WEB,
];
