/** What of CNAT, VPP's address translation for services, it is told: one type for each kind of object, and how its key is made. */
import type { Cidr, Ip, Protocol } from '../../../ruleset/types.js';
import { tableKey } from '../objects/names.js';
import type { ObjectKey, VppObject } from '../objects/types.js';

/** One way a connection may take. A backend of weight three is there three times, with different copies. */
export interface Path {
  readonly address: Ip;
  readonly port: number;
  readonly copy: number;
}

/** Connections to `address`, `port` are sent on to one of the paths. */
export interface TranslationSpec {
  readonly address: Ip;
  readonly port: number;
  readonly protocol: Protocol;
  readonly maglev: boolean;
  /** The client's address alone decides. */
  readonly affinity: boolean;
  /** One at least. */
  readonly paths: readonly Path[];
}

/** Whose name is on what is source-translated; one address of each family, or none. */
export interface SourceSpec {
  readonly address4: Ip | null;
  readonly address6: Ip | null;
}

/** What is sent there keeps its source. */
export interface ExcludeSpec {
  readonly prefix: Cidr;
}

/** VPP's lists of interfaces that decide on source translation. */
export const SNAT_LISTS = ['include-v4', 'include-v6', 'k8s', 'host'] as const;
export type SnatList = (typeof SNAT_LISTS)[number];

export interface CnatInterfaceSpec {
  readonly interface: ObjectKey;
  readonly families: readonly (4 | 6)[];
  /** What comes in there is looked up and translated. */
  readonly input: boolean;
  /** What goes out there is translated. */
  readonly output: boolean;
  /** The way back of what goes out there is noted. */
  readonly remember: boolean;
  /** The source of what comes in there is changed, and changed back for what answers it: IPv6 pings. */
  readonly pings: boolean;
  /** In the order of SNAT_LISTS. */
  readonly lists: readonly SnatList[];
}

export type TranslationObject = VppObject<'cnat-translation', TranslationSpec>;
export type SourceObject = VppObject<'cnat-source', SourceSpec>;
export type ExcludeObject = VppObject<'cnat-exclude', ExcludeSpec>;
export type CnatInterfaceObject = VppObject<'cnat-interface', CnatInterfaceSpec>;

export function translation(spec: TranslationSpec, notes?: TranslationNotes): TranslationObject {
  const key = translationKey(spec);
  return { kind: 'cnat-translation', key, needs: [], spec, ...(notes === undefined ? {} : { notes }) };
}

/** Which items a translation's packets are counted for. */
export interface TranslationNotes {
  readonly service: string;
}

function translationKey({ protocol, address, port }: TranslationSpec): ObjectKey {
  return `cnat-translation/${protocol}/${address}/${port}`;
}

/** All else of source translation hangs on this; VPP has one and no more. */
const SOURCE: ObjectKey = 'cnat-source/default';

export function source(spec: SourceSpec): SourceObject {
  // Those of the tunnels are there when these are.
  const needs = [tableKey(4, 'pod'), tableKey(6, 'pod')];
  return { kind: 'cnat-source', key: SOURCE, needs, spec };
}

/** `keeper`: what keeps VPP's first list of interfaces from being empty, without which it clears none of the others (`edge.ts`). */
export function exclude(prefix: Cidr, keeper: readonly ObjectKey[] = []): ExcludeObject {
  return {
    kind: 'cnat-exclude',
    key: `cnat-exclude/${prefix}`,
    needs: [SOURCE, ...keeper],
    spec: { prefix },
  };
}

/** `keeper` as above; none for the keeper itself. */
export function cnatInterface(
  spec: CnatInterfaceSpec,
  keeper: readonly ObjectKey[] = [],
): CnatInterfaceObject {
  const key = cnatInterfaceKey(spec.interface);
  return { kind: 'cnat-interface', key, needs: [spec.interface, SOURCE, ...keeper], spec };
}

export const cnatInterfaceKey = (at: ObjectKey): ObjectKey => `cnat-interface/${at.slice('if/'.length)}`;
