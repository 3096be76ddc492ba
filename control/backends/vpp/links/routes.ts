/** Routes of both tables and families, all of them of our source. A changed one takes the place of the old one while packets pass. */
import type { Fields, Value, VppApi } from '../api/api.js';
import { OWN_TABLE, PING_TABLE, TABLE_IDS, TUNNEL_TABLE } from '../objects/names.js';
import type { Descriptor, Handles } from '../objects/types.js';
import { route } from './objects.js';
import { findRouteSource, routeSource } from './route-source.js';
import { familyOf, type RouteObject, type RoutePath, type RouteSpec } from './specs.js';

const NONE = 0xffff_ffff;
const NORMAL = 'FIB_API_PATH_TYPE_NORMAL';
const LOCAL = 'FIB_API_PATH_TYPE_LOCAL';
const DROP = 'FIB_API_PATH_TYPE_DROP';
const UNREACHABLE = 'FIB_API_PATH_TYPE_ICMP_UNREACH';
const UNSPECIFIED: Readonly<Record<4 | 6, string>> = { 4: '0.0.0.0', 6: '::' };

/**
 * Releases before this one take a path that drops or rejects for one out of interface 0, and die of it in any table but main. There such a
 * route leads to main's, which has the same one (the compiler puts them in both), and its preference says what it stands for.
 */
const SOUND_DROPS = '26.06';
const STANDS_FOR: Readonly<Record<number, RoutePath['type']>> = { 1: 'drop', 2: 'unreachable' };

interface PathFields {
  readonly preference: number;
  readonly sw_if_index: number;
  readonly table_id: number;
  readonly type: string;
  readonly nh: { readonly address: { readonly ip4?: string; readonly ip6?: string } };
}

interface RouteFields {
  readonly table_id: number;
  readonly prefix: string;
  readonly src: number;
  readonly paths: readonly PathFields[];
}

export const routes: Descriptor<'route', RouteSpec> = {
  kind: 'route',
  messages: ['ip_route_add_del_v2', 'ip_route_v2_dump', 'ip_table_dump', 'fib_source_add', 'fib_source_dump'],

  async read({ api, handles }) {
    const source = await findRouteSource(api);
    if (source === null) return [];
    const ids = new Set<number>([...Object.values(TABLE_IDS), TUNNEL_TABLE, OWN_TABLE, PING_TABLE]);
    const tables = (await api.dump('ip_table_dump'))
      .map((fields) => fields['table'] as unknown as { readonly table_id: number; readonly is_ip6: boolean })
      .filter(({ table_id }) => ids.has(table_id));
    const found = await Promise.all(
      tables.map(({ table_id, is_ip6 }) =>
        api.dump('ip_route_v2_dump', { src: source, table: { table_id, is_ip6 } }),
      ),
    );
    return found.flat().flatMap((fields): RouteObject[] => {
      const { table_id, prefix, paths } = fields['route'] as unknown as RouteFields;
      return [route({ table: table_id, prefix, path: pathOf(paths, familyOf(prefix), handles) })];
    });
  },

  async create({ api, handles }, { spec }) {
    await set(api, handles, spec, true);
  },

  async update({ api, handles }, _old, { spec }) {
    await set(api, handles, spec, true);
  },

  async remove({ api, handles }, { spec }) {
    await set(api, handles, spec, false);
  },
};

async function set(api: VppApi, handles: Handles, spec: RouteSpec, is_add: boolean): Promise<void> {
  const { table, prefix, path } = spec;
  // Without a path all of them go.
  const paths = is_add ? [pathFields(standIn(api, table, path), familyOf(prefix), handles)] : [];
  const src = await routeSource(api);
  await api.request('ip_route_add_del_v2', {
    ...{ is_add, is_multipath: false },
    route: { table_id: table, prefix, src, n_paths: paths.length, paths },
  });
}

/** What is sent in place of a path that this VPP dies of. */
function standIn(api: VppApi, table: number, path: RoutePath): RoutePath & { readonly preference?: number } {
  if (table === TABLE_IDS.main || api.version >= SOUND_DROPS) return path;
  const [preference] = Object.entries(STANDS_FOR).find(([, type]) => type === path.type) ?? [];
  if (preference === undefined) return path;
  return { type: 'lookup', table: TABLE_IDS.main, preference: Number(preference) };
}

function pathFields(
  path: RoutePath & { readonly preference?: number },
  family: 4 | 6,
  handles: Handles,
): Fields {
  const proto = `FIB_API_PATH_NH_PROTO_IP${family}`;
  const { preference = 0 } = path;
  const common: Fields = { sw_if_index: NONE, weight: 1, preference, proto, type: NORMAL };
  switch (path.type) {
    case 'drop':
      return { ...common, type: DROP };
    case 'unreachable':
      return { ...common, type: UNREACHABLE };
    case 'local':
      return { ...common, type: LOCAL };
    case 'lookup':
      return { ...common, table_id: path.table };
    case 'interface':
      return {
        ...{ ...common, sw_if_index: handles.get(path.interface) },
        nh: nextHop(path.nextHop ?? UNSPECIFIED[family], family),
      };
  }
}

function nextHop(address: string, family: 4 | 6): Value {
  return { address: { [`ip${family}`]: address } };
}

/** What is not of our making comes out as a drop by nobody, which is never wanted as it stands. */
function pathOf(paths: readonly PathFields[], family: 4 | 6, handles: Handles): RoutePath {
  const [path] = paths;
  if (path === undefined || path.type === DROP) return { type: 'drop' };
  if (path.type === UNREACHABLE) return { type: 'unreachable' };
  if (path.type === LOCAL) return { type: 'local' };
  const stood = STANDS_FOR[path.preference];
  if (stood === 'drop' || stood === 'unreachable') return { type: stood };
  if (path.sw_if_index === NONE) return { type: 'lookup', table: path.table_id };
  const nextHop = path.nh.address[`ip${family}`] ?? UNSPECIFIED[family];
  return {
    type: 'interface',
    interface: handles.keyOf('if', path.sw_if_index) ?? '',
    nextHop: nextHop === UNSPECIFIED[family] ? null : nextHop,
  };
}
