/**
 * What VPP is started with (`vpp.startup` of the agent's configuration): cores, memory, plugins. Everything that VPP reads once, at
 * its start; the agent itself needs none of it. Rendered by vswitch/startup.ts.
 */
import { Fields, mappingOf } from '../../common/fields.js';

/** How VPP waits for packets: `poll` looks all the time (one core each), `interrupt` and `adaptive` sleep where a driver can wake it. */
export type RxMode = 'poll' | 'interrupt' | 'adaptive';

export type PageSize = 'default' | '4K' | '2M' | '1G';

export interface StartupConfig {
  readonly rxMode: RxMode;
  /** Microseconds the main loop sleeps between looks; 0 = never. Saves a core where there is none to spare, costs latency. */
  readonly sleepMicros: number;
  /** Core of the main thread; null = whichever the kernel gives it. */
  readonly mainCore: number | null;
  /** Cores of workers, one thread each; []: the main thread moves packets itself. */
  readonly workerCores: readonly number[];
  /** Pages of heap and buffers. `default` and `4K` need no hugepages. */
  readonly hugepages: PageSize;
  /** Bytes. */
  readonly heap: number;
  /** Packet buffers on each NUMA node, and the data bytes of each. */
  readonly buffers: number;
  readonly bufferBytes: number;
  /** Connections policies and services keep track of; those beyond are not let through, or judged packet by packet. */
  readonly sessions: number;
  /** Bytes of the stats segment. */
  readonly statsBytes: number;
  /** Start of its files' names in /dev/shm: no two VPPs of a machine may have the same. */
  readonly segment: string;
  /** Plugins that are loaded besides those we use (`dns`, without _plugin.so). */
  readonly plugins: readonly string[];
  /** Group that may use the sockets; null: root alone. */
  readonly group: string | null;
  /** Whether a VPP that dies leaves a core file. */
  readonly coreDump: boolean;
  /** More sections, as VPP reads them, put at the end. */
  readonly extra: string;
}

export const STARTUP_DEFAULTS: StartupConfig = {
  rxMode: 'poll',
  sleepMicros: 0,
  mainCore: null,
  workerCores: [],
  hugepages: 'default',
  heap: 1 << 30,
  buffers: 32_768,
  bufferBytes: 2048,
  sessions: 262_144,
  statsBytes: 128 << 20,
  segment: 'pteropus',
  plugins: [],
  group: null,
  coreDump: false,
  extra: '',
};

const RX_MODES: readonly RxMode[] = ['poll', 'interrupt', 'adaptive'];
const PAGE_SIZES: readonly PageSize[] = ['default', '4K', '2M', '1G'];

const PAGE_BYTES: Readonly<Record<PageSize, number>> = {
  default: 4096,
  '4K': 4096,
  '2M': 2 << 20,
  '1G': 1 << 30,
};
const MOST_CORE = 4095;

/** Throws InvalidInputError naming `object` and the field with `path` before it. */
export function parseStartup(value: unknown, object: string, path: string): StartupConfig {
  const raw = mappingOf(value ?? {}, object, path.slice(0, -1));
  const fields = new Fields<StartupConfig>(raw, STARTUP_DEFAULTS, object, path);
  fields.refuseUnknown();
  const config: StartupConfig = {
    rxMode: fields.oneOf('rxMode', RX_MODES),
    sleepMicros: fields.integer('sleepMicros', 0, 1_000_000),
    mainCore: absent(raw['mainCore']) ? null : fields.integer('mainCore', 0, MOST_CORE),
    workerCores: coresOf(raw['workerCores'], fields),
    hugepages: fields.oneOf('hugepages', PAGE_SIZES),
    heap: bytesOf('heap', raw, fields, 64 << 20),
    buffers: fields.integer('buffers', 1024, 1 << 24),
    bufferBytes: fields.integer('bufferBytes', 512, 65_536 - 256),
    sessions: fields.integer('sessions', 1024, 1 << 24),
    statsBytes: bytesOf('statsBytes', raw, fields, 1 << 20),
    segment: wordOf('segment', raw, fields, /^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$/),
    plugins: pluginsOf(raw['plugins'], fields),
    group: absent(raw['group']) ? null : wordOf('group', raw, fields, /^[A-Za-z0-9_][A-Za-z0-9_.-]{0,31}$/),
    coreDump: fields.boolean('coreDump'),
    extra: extraOf(raw['extra'], fields),
  };
  checkTogether(config, fields);
  return config;
}

/** What VPP would take, and not work with. */
function checkTogether(config: StartupConfig, fields: Fields<StartupConfig>): void {
  const { workerCores, mainCore, heap, hugepages } = config;
  if (workerCores.length > 0 && mainCore === null) {
    throw fields.error('is needed when there are workerCores', 'mainCore', null);
  }
  if (mainCore !== null && workerCores.includes(mainCore)) {
    throw fields.error('holds the core of the main thread', 'workerCores', workerCores);
  }
  if (heap % PAGE_BYTES[hugepages] !== 0) {
    throw fields.error(`must be a multiple of the page size ${hugepages}`, 'heap', heap);
  }
}

function absent(value: unknown): boolean {
  return value === undefined || value === null;
}

/** A number of bytes, or text with K, M or G after it. */
function bytesOf(
  field: 'heap' | 'statsBytes',
  raw: Readonly<Record<string, unknown>>,
  fields: Fields<StartupConfig>,
  least: number,
): number {
  const given = raw[field];
  if (given === undefined) return STARTUP_DEFAULTS[field];
  const match = typeof given === 'string' ? /^([1-9]\d{0,11})([KMG])$/.exec(given) : null;
  const unit = { K: 1 << 10, M: 1 << 20, G: 1 << 30 }[match?.[2] ?? ''] ?? 1;
  const bytes = match === null ? given : Number(match[1]) * unit;
  const most = 2 ** 40;
  if (typeof bytes !== 'number' || !Number.isInteger(bytes) || bytes < least || bytes > most) {
    throw fields.error(`must be a size (512M, 1G, bytes) from ${least} to ${most}`, field, given);
  }
  return bytes;
}

/** A list of numbers, or the kernel's way of writing one: `2-5,8`. */
function coresOf(value: unknown, fields: Fields<StartupConfig>): readonly number[] {
  if (value === undefined) return STARTUP_DEFAULTS.workerCores;
  const cores: number[] = [];
  if (Array.isArray(value)) cores.push(...value);
  else if (typeof value === 'string') {
    for (const part of value.split(',')) {
      const match = /^(\d{1,4})(?:-(\d{1,4}))?$/.exec(part);
      if (match === null) throw fields.error('must be like 2-5,8', 'workerCores', value);
      const last = Number(match[2] ?? match[1]);
      for (let core = Number(match[1]); core <= last; core++) cores.push(core);
    }
  }
  const good = cores.every((core) => Number.isInteger(core) && core >= 0 && core <= MOST_CORE);
  const empty = cores.length === 0 && !Array.isArray(value);
  if (!good || empty || new Set(cores).size !== cores.length) {
    throw fields.error('must be a list of different cores', 'workerCores', value);
  }
  return cores.sort((a, b) => a - b);
}

function pluginsOf(value: unknown, fields: Fields<StartupConfig>): readonly string[] {
  if (value === undefined) return STARTUP_DEFAULTS.plugins;
  if (!Array.isArray(value)) throw fields.error('must be a list of plugins', 'plugins', value);
  return value.map((entry: unknown, i) => {
    if (typeof entry === 'string' && /^[A-Za-z0-9_-]{1,64}$/.test(entry)) return entry;
    throw fields.error('must be the name of a plugin, like acl', `plugins[${i}]`, entry);
  });
}

function wordOf(
  field: 'segment' | 'group',
  raw: Readonly<Record<string, unknown>>,
  fields: Fields<StartupConfig>,
  pattern: RegExp,
): string {
  const given = raw[field] ?? STARTUP_DEFAULTS[field];
  if (typeof given === 'string' && pattern.test(given)) return given;
  throw fields.error(`must match ${pattern.source}`, field, given);
}

/** Sections must be closed, so that what is written before them keeps its meaning. */
function extraOf(value: unknown, fields: Fields<StartupConfig>): string {
  if (value === undefined) return STARTUP_DEFAULTS.extra;
  if (typeof value !== 'string') throw fields.error('must be text', 'extra', value);
  let depth = 0;
  for (const character of value) {
    if (character === '{') depth++;
    if (character === '}') depth--;
    if (depth < 0) break;
  }
  if (depth === 0) return value;
  throw fields.error('has braces that do not match', 'extra', value);
}
