/** Opens the VPP backend: connects to a running VPP, sees what it can hold, and takes up what an earlier agent left in force. */
import type { Backend } from '../backend.js';
import type { VppApi } from './api/api.js';
import { openVppApi } from './api/open.js';
import { openVppShm, type ShmOptions } from './api/shm.js';
import { VppBackend } from './backend.js';
import { Engine } from './engine.js';
import { Keep } from './keep.js';
import type { Missing } from './objects/missing.js';
import type { Descriptor, Renderer, VppContext, VppOptions } from './objects/types.js';
import type { Observer } from './observe.js';
import { openObserver } from './observer.js';
import { DEFAULT_OPTIONS } from './options.js';
import { DESCRIPTORS, renderersOf } from './registry.js';
import { readRun } from './run.js';
import { hasFlows } from './services/cnat-version.js';
import { limitsOf, sentence } from './services/limits.js';

export interface VppBackendSpec {
  /** VPP's API socket. */
  readonly apiSocket: string;
  /** Instead of the socket: VPP's client library, and the prefix of its shared memory. One such backend for each process. */
  readonly sharedMemory?: Pick<ShmOptions, 'library' | 'prefix'>;
  /** VPP's statistics socket; null: no counters. */
  readonly statsSocket: string | null;
  /** Folder of the API files; null: beside the running VPP. */
  readonly apiDir: string | null;
  /** Where the items in force are noted, for the next agent; null: nowhere. */
  readonly keepFile: string | null;
  readonly options: Partial<VppOptions>;
  /** Milliseconds between two looks whether somebody else took away what judges and checks pods; absent: nobody looks. */
  readonly lookIntervalMs?: number;
  /** Called with a line for people. */
  readonly log: (line: string) => void;
}

export interface OpenedVppBackend extends Backend {
  /** What this VPP cannot hold, and for want of which messages. */
  readonly missing: readonly Missing[];
  /** For tests and for people who debug. */
  readonly vpp: VppContext;
  /** Looks whether pods are judged and checked as they should be, and mends VPP if not. True: something was wrong. */
  look(): Promise<boolean>;
}

/** Throws VppConnectError (retryable when there is no VPP yet), ApiSchemaError, MissingMessageError. Nothing is sent that changes VPP. */
export async function openVppBackend(spec: VppBackendSpec): Promise<OpenedVppBackend> {
  const { apiSocket, apiDir, sharedMemory } = spec;
  const common = { name: 'pteropus', ...(apiDir === null ? {} : { apiDir }) };
  const api =
    sharedMemory === undefined
      ? await openVppApi({ socket: apiSocket, ...common })
      : await openVppShm({ ...sharedMemory, ...common });
  try {
    const options = { ...DEFAULT_OPTIONS, pingsApart: hasFlows(api), ...spec.options };
    const observer = openObserver(spec.statsSocket);
    spec.log(`not done by VPP ${api.version}: ${limitsOf({ api, options }).map(sentence).join('; ')}`);
    return await openOver(api, {
      ...{ options, observer, keepFile: spec.keepFile, log: spec.log },
      lookIntervalMs: spec.lookIntervalMs ?? 0,
      ...{ renderers: renderersOf(options), descriptors: DESCRIPTORS },
    });
  } catch (error) {
    await api.close();
    throw error;
  }
}

export interface OverSpec {
  readonly options: VppOptions;
  readonly renderers: readonly Renderer[];
  readonly descriptors: readonly Descriptor[];
  readonly observer: Observer;
  readonly keepFile: string | null;
  readonly lookIntervalMs?: number;
  /** Kinds that a look looks at; absent: those that are small. */
  readonly lookedAt?: ReadonlySet<string>;
  readonly log: (line: string) => void;
  readonly wait?: (milliseconds: number) => Promise<void>;
}

/** The same over a connection at hand. */
export async function openOver(api: VppApi, spec: OverSpec): Promise<OpenedVppBackend> {
  const { keepFile, log } = spec;
  const engine = new Engine({ ...spec, api });
  for (const { kind, messages } of engine.missing) {
    log(`VPP ${api.version} cannot hold ${kind} objects: it lacks ${messages.join(', ')}`);
  }
  let keep: Keep | null = null;
  if (keepFile !== null) {
    keep = new Keep(keepFile, await readRun(api));
    const { items, refused } = await keep.load();
    if (refused !== null) log(`${keepFile} is not used: ${refused}`);
    const unfit = engine.adopt(items.values());
    if (unfit.length > 0) log(`${unfit.length} items are rendered differently now, such as ${unfit[0]}`);
  }
  const { observer, lookIntervalMs = 0 } = spec;
  return new VppBackend({ engine, keep, observer, log, lookIntervalMs });
}
