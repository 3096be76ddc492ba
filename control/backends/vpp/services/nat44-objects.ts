/** What of NAT44-ED, VPP's other address translation, it is told: one type for each kind of object, and how its key is made. IPv4 only. */
import type { Ip, Protocol } from '../../../ruleset/types.js';
import type { ObjectKey, VppObject } from '../objects/types.js';

/** That it is on; and that what no mapping is for passes as it is. */
export interface Nat44Spec {
  readonly forwarding: boolean;
}

/** Stands for other sources; `twice`: of connections that a mapping translates at both ends. */
export interface PoolSpec {
  readonly address: Ip;
  readonly twice: boolean;
}

export interface Local {
  readonly address: Ip;
  readonly port: number;
  /** Share among the locals, 1 to 255; 0 where there is one local alone. */
  readonly share: number;
  /** Table its address is looked up in. */
  readonly table: number;
}

/** `self`: the source is translated as well where a backend is its own client; `always`: for everyone. */
export type SourceMode = 'self' | 'always';

export interface MappingSpec {
  readonly address: Ip;
  readonly port: number;
  readonly protocol: Protocol;
  readonly source: SourceMode;
  /** Seconds for which a client comes back to its backend; 0: never mind. */
  readonly affinity: number;
  /** By address and port. */
  readonly locals: readonly Local[];
}

/** What keeps its address; `port` null: all of it. */
export interface IdentitySpec {
  readonly address: Ip;
  readonly port: number | null;
  readonly table: number;
}

/** `output`: what goes out is translated, and its answers; `both`: clients and backends are there. */
export interface Nat44InterfaceSpec {
  readonly interface: ObjectKey;
  readonly place: 'both' | 'output';
}

export type Nat44Object = VppObject<'nat44', Nat44Spec>;
export type PoolObject = VppObject<'nat44-pool', PoolSpec>;
export type MappingObject = VppObject<'nat44-mapping', MappingSpec>;
export type IdentityObject = VppObject<'nat44-identity', IdentitySpec>;
export type Nat44InterfaceObject = VppObject<'nat44-interface', Nat44InterfaceSpec>;

const NAT44: ObjectKey = 'nat44/on';

export function nat44(spec: Nat44Spec): Nat44Object {
  return { kind: 'nat44', key: NAT44, needs: [], spec };
}

export function pool(spec: PoolSpec): PoolObject {
  const key = `nat44-pool/${spec.twice ? 'twice' : 'source'}/${spec.address}`;
  return { kind: 'nat44-pool', key, needs: [NAT44], spec };
}

export function mapping(spec: MappingSpec, notes?: { readonly service: string }): MappingObject {
  const key = `nat44-mapping/${spec.protocol}/${spec.address}/${spec.port}`;
  return { kind: 'nat44-mapping', key, needs: [NAT44], spec, ...(notes === undefined ? {} : { notes }) };
}

export function identity(spec: IdentitySpec): IdentityObject {
  const key = `nat44-identity/${spec.table}/${spec.address}/${spec.port ?? 'all'}`;
  return { kind: 'nat44-identity', key, needs: [NAT44], spec };
}

export function nat44Interface(spec: Nat44InterfaceSpec): Nat44InterfaceObject {
  const key = `nat44-interface/${spec.interface.slice('if/'.length)}`;
  return { kind: 'nat44-interface', key, needs: [spec.interface, NAT44], spec };
}
