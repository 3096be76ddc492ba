/** A node's pod addresses in all families: a pod gets one of each, or none at all. */
import { parseIp } from '../common/ip.js';
import type { Cidr, Ip } from '../ruleset/types.js';
import { AddressConflictError, PodAllocator } from './allocator.js';
import { type NodePlan, plansOf } from './arithmetic.js';

export interface PoolUse {
  readonly subnet: Cidr;
  readonly used: number;
  /** Addresses that are left; of an IPv6 pool more than fits a number, as close as a number comes. */
  readonly free: number;
}

export class PodAddresses {
  readonly #pools: readonly PodAllocator[];

  constructor(plan: NodePlan, now?: () => number) {
    this.#pools = plansOf(plan).map(({ podSubnet }) => new PodAllocator(podSubnet, now));
  }

  /** The addresses given out last, one of each family: what the journal keeps so that the order survives a restart. */
  get cursors(): readonly Ip[] {
    return this.#pools.map(({ cursor }) => cursor);
  }

  use(): readonly PoolUse[] {
    return this.#pools.map(({ subnet, used, capacity }) => ({
      subnet,
      used,
      free: Number(capacity - BigInt(used)),
    }));
  }

  /** The owner's addresses, the first family's first: those it has, else new ones. Throws PoolExhaustedError; then it has none. */
  allocate(owner: string): readonly Ip[] {
    const given: PodAllocator[] = [];
    try {
      return this.#pools.map((pool) => {
        const had = pool.get(owner) !== null;
        const address = pool.allocate(owner);
        if (!had) given.push(pool);
        return address;
      });
    } catch (error) {
      for (const pool of given) pool.release(owner);
      throw error;
    }
  }

  /** Frees the owner's addresses; false if it had none. */
  release(owner: string): boolean {
    return this.#pools.map((pool) => pool.release(owner)).includes(true);
  }

  /** Marks addresses as the owner's, as a journal tells them after a restart. Throws AddressConflictError; then none is. */
  restore(owner: string, addresses: readonly Ip[]): void {
    try {
      for (const address of addresses) this.#poolOf(owner, address).restore(owner, address);
    } catch (error) {
      this.release(owner);
      throw error;
    }
  }

  /** Puts each cursor where the journal says; one of a family or range that is no longer configured is left out. */
  restoreCursors(cursors: readonly Ip[]): void {
    for (const cursor of cursors) this.#pools.find((pool) => pool.contains(cursor))?.restoreCursor(cursor);
  }

  #poolOf(owner: string, address: Ip): PodAllocator {
    const found = this.#pools.find((pool) => pool.contains(address));
    if (found !== undefined) return found;
    const { family } = parseIp(address);
    const subnets = this.#pools.map(({ subnet }) => subnet).join(', ');
    throw new AddressConflictError(`IPv${family} address outside this node's pod subnets ${subnets}`, {
      object: owner,
      value: address,
    });
  }
}
