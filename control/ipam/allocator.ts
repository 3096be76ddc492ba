/**
 * Pod addresses of one node in one family: one pool, a cursor that walks it, so that a freed address rests
 * until the range wraps, and for a while also in a pool that is nearly full: no stale session or policy entry meets a new
 * pod. In memory; the agent's journal makes it last.
 */
import { PteropusError } from '../common/errors.js';
import {
  cidrContains,
  formatCidr,
  formatIp,
  hostAt,
  type ParsedCidr,
  parseCidr,
  parseIp,
} from '../common/ip.js';
import type { Cidr, Ip } from '../ruleset/types.js';
import { poolSize } from './arithmetic.js';

/** Every address of the pool is taken; one comes back when a pod of the node goes. */
export class PoolExhaustedError extends PteropusError {
  constructor(subnet: Cidr, owner: string, used: number) {
    super(`no pod address left: all ${used} of ${subnet} are taken`, { object: owner, retryable: true });
  }
}

/** An address cannot be given to this owner: outside the pool, reserved, or another's. */
export class AddressConflictError extends PteropusError {}

/** How long a freed address rests while others are free, milliseconds: longer than sessions to its last pod wait for an answer. */
export const REST_MS = 30_000;

export class PodAllocator {
  readonly #subnet: ParsedCidr;
  /** Last usable offset: below the NAT loopback and the highest address. */
  readonly #last: bigint;
  readonly #byOwner = new Map<string, bigint>();
  readonly #byOffset = new Map<bigint, string>();
  /** Free offsets that rest, and since when; the longest first. */
  readonly #resting = new Map<bigint, number>();
  /** Offset given out last; starts at the gateway. */
  #cursor = 1n;

  /** `subnet`: the node's pod subnet (NodePlan.podSubnet). `now`: monotonic milliseconds. */
  constructor(
    subnet: Cidr,
    private readonly now: () => number = () => performance.now(),
  ) {
    this.#subnet = parseCidr(subnet);
    this.#last = poolSize(this.#subnet) - 3n;
  }

  /** The node's pod subnet. */
  get subnet(): Cidr {
    return formatCidr(this.#subnet);
  }

  /** How many addresses the pool has for pods. */
  get capacity(): bigint {
    return this.#last < 2n ? 0n : this.#last - 1n;
  }

  get used(): number {
    return this.#byOwner.size;
  }

  /** The address given out last; what the journal keeps beside the owners so that the order survives a restart. */
  get cursor(): Ip {
    return formatIp(hostAt(this.#subnet, this.#cursor));
  }

  /** Whether the address lies in the node's pod subnet. */
  contains(address: Ip): boolean {
    return cidrContains(this.#subnet, parseIp(address));
  }

  get(owner: string): Ip | null {
    const offset = this.#byOwner.get(owner);
    return offset === undefined ? null : formatIp(hostAt(this.#subnet, offset));
  }

  owners(): ReadonlyMap<string, Ip> {
    return new Map(
      [...this.#byOwner].map(([owner, offset]) => [owner, formatIp(hostAt(this.#subnet, offset))]),
    );
  }

  /**
   * The owner's address: the one it has, else the next one after the cursor that is free and rested; if all free ones rest,
   * the one that does so longest. Throws PoolExhaustedError. Cost: one step for each address in use or resting, at most.
   */
  allocate(owner: string): Ip {
    const held = this.get(owner);
    if (held !== null) return held;
    if (BigInt(this.used) >= this.capacity) {
      throw new PoolExhaustedError(formatCidr(this.#subnet), owner, this.used);
    }
    const offset = this.#nextFree();
    this.#cursor = offset;
    return this.#take(owner, offset);
  }

  /** Frees the owner's address; false if it had none. */
  release(owner: string): boolean {
    const offset = this.#byOwner.get(owner);
    if (offset === undefined) return false;
    this.#byOwner.delete(owner);
    this.#byOffset.delete(offset);
    this.#resting.set(offset, this.now());
    return true;
  }

  /**
   * Marks an address as the owner's, as a journal tells it after a restart. Throws AddressConflictError when it is
   * outside the pool, reserved, or somebody else's, or when the owner has another one.
   */
  restore(owner: string, address: Ip): void {
    const offset = this.#offsetOf(owner, address);
    if (offset < 2n || offset > this.#last) {
      throw new AddressConflictError('a reserved address cannot be a pod’s', {
        object: owner,
        value: address,
      });
    }
    const holder = this.#byOffset.get(offset);
    if (holder !== undefined && holder !== owner) {
      throw new AddressConflictError(`the address belongs to ${holder}`, { object: owner, value: address });
    }
    const held = this.get(owner);
    if (held !== null && held !== address) {
      throw new AddressConflictError(`the pod has ${held} already`, { object: owner, value: address });
    }
    this.#take(owner, offset);
    if (offset > this.#cursor) this.#cursor = offset;
  }

  /** Puts the cursor where the journal says; without one, restore leaves it at the highest address in use. */
  restoreCursor(address: Ip): void {
    const offset = this.#offsetOf('cursor', address);
    this.#cursor = offset;
    if (offset < 1n) this.#cursor = 1n;
    if (offset > this.#last) this.#cursor = this.#last;
  }

  #nextFree(): bigint {
    const rested = this.now() - REST_MS;
    for (const [offset, since] of this.#resting) {
      if (since > rested) break;
      this.#resting.delete(offset);
    }
    const [longest] = this.#resting.keys();
    if (longest !== undefined && BigInt(this.used + this.#resting.size) >= this.capacity) return longest;
    let offset = this.#cursor;
    do {
      offset = offset >= this.#last ? 2n : offset + 1n;
    } while (this.#byOffset.has(offset) || this.#resting.has(offset));
    return offset;
  }

  #take(owner: string, offset: bigint): Ip {
    this.#resting.delete(offset);
    this.#byOwner.set(owner, offset);
    this.#byOffset.set(offset, owner);
    return formatIp(hostAt(this.#subnet, offset));
  }

  #offsetOf(owner: string, address: Ip): bigint {
    const ip = parseIp(address);
    if (!cidrContains(this.#subnet, ip)) {
      throw new AddressConflictError(`not in this node's pod subnet ${formatCidr(this.#subnet)}`, {
        object: owner,
        value: address,
      });
    }
    return ip.value - this.#subnet.value;
  }
}
