/** What a kept cluster can be asked, by name. Parameters and results are plain JSON. */
import type { PodRef } from '../ruleset/types.js';
import type { Difference } from './cluster.js';
import { podNamed } from './lookup.js';
import type { InputText } from './manifest-set.js';
import { type Presented, type PresentOptions, present } from './matrix/present.js';
import { Session } from './session.js';
import { clusterStatus } from './status.js';
import { formatTraced, resolveTrace } from './traceway.js';

export interface Supervised {
  readonly session: Session;
  ready(): Promise<void>;
  follow(tell: (line: string) => void): () => void;
  say(line: string): void;
  close(): Promise<void>;
}

interface Context {
  readonly progress: (line: string) => void;
  /** Resolves when the asking side has gone. */
  readonly gone: Promise<unknown>;
}

type Method = (supervised: Supervised, params: unknown, context: Context) => Promise<unknown>;

export interface MatrixParams {
  readonly icmp: boolean;
  readonly present: PresentOptions;
}
export interface InputsParams {
  readonly inputs: readonly InputText[];
}
export interface KeysParams {
  readonly keys: readonly string[];
}
export interface TraceParams {
  readonly from: string;
  readonly to: string;
  readonly all: boolean;
}
export interface ExecParams {
  /** A pod, or a workload for its first pod. */
  readonly pod: PodRef;
  readonly argv: readonly string[];
}

export const METHODS: Readonly<Record<string, Method>> = {
  /** Progress until the cluster is up. */
  async ready(supervised, _params, { progress }) {
    const stop = supervised.follow(progress);
    try {
      await supervised.ready();
      return null;
    } finally {
      stop();
    }
  },
  /** All lines from now on, until the asking side goes. */
  async watch(supervised, _params, { progress, gone }) {
    const stop = supervised.follow(progress);
    await gone;
    stop();
    return null;
  },
  async matrix({ session }, params): Promise<Presented> {
    const { icmp, present: options } = params as MatrixParams;
    const { cells, millis } = await session.matrix({ icmp });
    return present(cells, session.spec.feed, millis, options);
  },
  async apply(supervised, params): Promise<Difference> {
    return logged('applied', supervised, await supervised.session.apply((params as InputsParams).inputs));
  },
  async delete(supervised, params): Promise<Difference> {
    return logged('deleted', supervised, await supervised.session.delete((params as KeysParams).keys));
  },
  async deleteInputs(supervised, params): Promise<Difference> {
    const keys = Session.keysOf((params as InputsParams).inputs);
    return logged('deleted', supervised, await supervised.session.delete(keys));
  },
  async trace({ session }, params): Promise<string> {
    const { from, to, all } = params as TraceParams;
    const state = session.state;
    return formatTraced(await session.trace(resolveTrace(state, from, to)), state, all);
  },
  exec({ session }, params) {
    const { pod, argv } = params as ExecParams;
    const { metadata } = podNamed(session.state, pod);
    const ref = { namespace: metadata.namespace ?? pod.namespace, name: metadata.name };
    return Promise.resolve(session.execCommand(ref, argv));
  },
  status({ session }) {
    return Promise.resolve(clusterStatus(session.spec.name, session.spec.feed, session.state));
  },
  async down(supervised) {
    await supervised.close();
    return null;
  },
};

function logged(verb: string, supervised: Supervised, difference: Difference): Difference {
  supervised.say(`${verb}: ${describeDifference(difference)}`);
  return difference;
}

/** `3 objects changed, 2 pods added; in force after 12 ms`. */
export function describeDifference({ objects, podsAdded, podsRemoved, millis }: Difference): string {
  const parts = [`${counted(objects, 'object')} changed`];
  if (podsAdded > 0) parts.push(`${counted(podsAdded, 'pod')} added`);
  if (podsRemoved > 0) parts.push(`${counted(podsRemoved, 'pod')} removed`);
  return `${parts.join(', ')}; in force after ${Math.round(millis)} ms`;
}

function counted(count: number, what: string): string {
  return `${count} ${what}${count === 1 ? '' : 's'}`;
}
