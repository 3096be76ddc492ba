/**
 * VPP's classifier before the IPv6 routes of an interface: fields of the header that are compared as they stand, and what becomes of
 * packets that have them. Tables have no names in VPP; ours are known again by what they compare.
 */
import type { Fields, VppApi } from '../api/api.js';
import type { Descriptor, VppContext } from '../objects/types.js';
import { indexOf } from './interface-sources.js';
import { readInterfaces } from './interfaces.js';
import { classifier, classifierUse } from './objects.js';
import {
  type ClassifierName,
  type ClassifierObject,
  type ClassifierSpec,
  type ClassifierUseObject,
  type ClassifierUseSpec,
  type Match,
  VERDICT_TABLES,
} from './specs.js';

const NONE = 0xffff_ffff;
/** Classifiers work on lines of so many bytes. */
const LINE = 16;
/** From where the packet is being looked at (its IP header), instead of from its Ethernet header. */
const FROM_HERE = 1;
const MEMORY = 1 << 16;
const DENY = 0;

const NEXT_HEADER = 6;
const SOURCE = 8;
const DESTINATION = 24;
const PAYLOAD = 40;

/** Bytes of the IPv6 header that each compares. */
const COMPARED: Readonly<Record<ClassifierName, readonly (readonly [at: number, length: number])[]>> = {
  options: [[NEXT_HEADER, 1]],
  nested: [
    [NEXT_HEADER, 1],
    [PAYLOAD, 1],
  ],
  discovery: [
    [NEXT_HEADER, 1],
    [DESTINATION, LINE],
    [PAYLOAD, 1],
  ],
};
/** What is looked into after it, if nothing matched. */
const FOLLOWER: Readonly<Record<ClassifierName, ClassifierName | null>> = {
  ...{ options: 'nested', nested: null, discovery: null },
};

/** Releases before this one have a source check that lets multicast sources pass: there a table behind `nested` drops them. */
const SOUND_CHECKS = '26.06';
const hasBehind = ({ version }: { readonly version: string }, name: ClassifierName): boolean =>
  name === 'nested' && version < SOUND_CHECKS;

function maskOf(name: ClassifierName): Buffer {
  const end = Math.max(...COMPARED[name].map(([at, length]) => at + length));
  const mask = Buffer.alloc(Math.ceil(end / LINE) * LINE);
  for (const [at, length] of COMPARED[name]) mask.fill(0xff, at, at + length);
  return mask;
}

const NAMES = new Map(
  (Object.keys(COMPARED) as ClassifierName[]).map((name) => [maskOf(name).toString('hex'), name]),
);

/** The bytes compared, one after another, where they stand in the header. */
function spread(name: ClassifierName, { bytes }: Match): Buffer {
  const match = maskOf(name).fill(0);
  const given = Buffer.from(bytes, 'hex');
  let from = 0;
  for (const [at, length] of COMPARED[name]) from += given.copy(match, at, from, from + length);
  return match;
}

function gather(name: ClassifierName, match: Uint8Array): string {
  const parts = COMPARED[name].map(([at, length]) => match.subarray(at, at + length));
  return Buffer.concat(parts).toString('hex');
}

export const classifiers: Descriptor<'classifier', ClassifierSpec> = {
  kind: 'classifier',
  messages: [
    ...['classify_add_del_table', 'classify_add_del_session', 'classify_table_ids', 'classify_table_info'],
    'classify_session_dump',
  ],

  async read({ api, handles }) {
    const { ids } = await api.request('classify_table_ids');
    const found = await Promise.all(
      (ids as readonly number[]).map(async (table_id): Promise<ClassifierObject[]> => {
        const info = await api.request('classify_table_info', { table_id });
        const name = NAMES.get(Buffer.from(info['mask'] as Uint8Array).toString('hex'));
        if (name === undefined) return [];
        const sessions = await api.dump('classify_session_dump', { table_id });
        const object = classifier({ name, matches: sessions.map((each) => matchOf(name, each)) });
        handles.set(object.key, table_id);
        return [object];
      }),
    );
    return found.flat();
  },

  async create(vpp, { key, spec }) {
    const { api, handles } = vpp;
    const follower = FOLLOWER[spec.name];
    const behind = hasBehind(api, spec.name) ? await addMulticastSources(api) : NONE;
    const next = follower === null ? behind : handles.get(`classifier/${follower}`);
    const table = await addTable(api, maskOf(spec.name), next);
    try {
      await Promise.all(spec.matches.map((match) => setMatch(api, table, spec.name, match, true)));
    } catch (error) {
      await removeTable(api, table, behind !== NONE).catch(() => undefined);
      throw error;
    }
    handles.set(key, table);
  },

  async update({ api, handles }, old, { key, spec }) {
    const table = handles.get(key);
    const texts = (matches: readonly Match[]) => new Set(matches.map((match) => JSON.stringify(match)));
    const [before, now] = [texts(old.spec.matches), texts(spec.matches)];
    const gone = old.spec.matches.filter((match) => !now.has(JSON.stringify(match)));
    const fresh = spec.matches.filter((match) => !before.has(JSON.stringify(match)));
    await Promise.all([
      ...gone.map((match) => setMatch(api, table, spec.name, match, false)),
      ...fresh.map((match) => setMatch(api, table, spec.name, match, true)),
    ]);
  },

  async remove({ api, handles }, { key, spec }) {
    await removeTable(api, handles.get(key), hasBehind(api, spec.name));
  },
};

async function addTable(api: VppApi, mask: Buffer, next_table_index: number): Promise<number> {
  const { new_table_index } = await api.request('classify_add_del_table', {
    ...{ is_add: true, del_chain: false, table_index: NONE, nbuckets: 2, memory_size: MEMORY },
    ...{ skip_n_vectors: 0, match_n_vectors: mask.length / LINE, miss_next_index: NONE, next_table_index },
    ...{ current_data_flag: FROM_HERE, current_data_offset: 0, mask_len: mask.length, mask },
  });
  return Number(new_table_index);
}

/** Its mask is none of ours: it is read, and goes, with the table in front of it. */
async function addMulticastSources(api: VppApi): Promise<number> {
  const bytes = Buffer.alloc(LINE);
  bytes[SOURCE] = 0xff;
  const table_index = await addTable(api, bytes, NONE);
  await api.request('classify_add_del_session', {
    ...{ is_add: true, table_index, match_len: LINE, match: bytes, opaque_index: NONE, hit_next_index: DENY },
  });
  return table_index;
}

async function removeTable(api: VppApi, table_index: number, del_chain: boolean): Promise<void> {
  // VPP compares these two even then, and the first is 1 where nothing is said.
  const mask = { match_n_vectors: 0, mask_len: 0 };
  await api.request('classify_add_del_table', { is_add: false, del_chain, table_index, ...mask });
}

async function setMatch(
  api: VppApi,
  table_index: number,
  name: ClassifierName,
  match: Match,
  is_add: boolean,
): Promise<void> {
  const bytes = spread(name, match);
  const session = { is_add, table_index, match_len: bytes.length, match: bytes };
  await api.request('classify_add_del_session', { ...session, ...fateOf(match) });
}

/** VPP does not tell which table it looks into: the number it keeps for whoever comes after does. */
function fateOf({ verdict }: Match): Fields {
  if (verdict === 'drop') return { opaque_index: NONE, hit_next_index: DENY };
  const metadata = VERDICT_TABLES[verdict];
  return {
    ...{ opaque_index: metadata, hit_next_index: NONE },
    ...{ action: 'CLASSIFY_API_ACTION_SET_IP6_FIB_INDEX', metadata },
  };
}

function matchOf(name: ClassifierName, fields: Fields): Match {
  const looked = fields['opaque_index'] === VERDICT_TABLES.ping ? 'ping' : 'own';
  const verdict = fields['hit_next_index'] === DENY ? 'drop' : looked;
  return { bytes: gather(name, fields['match'] as Uint8Array), verdict };
}

export const classifierUses: Descriptor<'classifier-use', ClassifierUseSpec> = {
  kind: 'classifier-use',
  messages: ['input_acl_set_interface', 'classify_table_by_interface'],

  async read({ api, handles }) {
    const details = await readInterfaces(api);
    const found = await Promise.all(
      details.map(async (fields): Promise<ClassifierUseObject[]> => {
        const sw_if_index = indexOf(fields);
        const { ip6_table_id } = await api.request('classify_table_by_interface', { sw_if_index });
        const key = handles.keyOf('classifier', Number(ip6_table_id));
        if (key === undefined) return [];
        const name = key.slice(key.indexOf('/') + 1) as ClassifierName;
        return [classifierUse({ interface: String(fields['tag']), name })];
      }),
    );
    return found.flat();
  },

  create: (vpp, { spec }) => use(vpp, spec, true),
  remove: (vpp, { spec }) => use(vpp, spec, false),
};

async function use({ api, handles }: VppContext, spec: ClassifierUseSpec, is_add: boolean): Promise<void> {
  await api.request('input_acl_set_interface', {
    ...{ sw_if_index: handles.get(spec.interface), is_add },
    ...{ ip4_table_index: NONE, l2_table_index: NONE },
    ip6_table_index: handles.get(`classifier/${spec.name}`),
  });
}
