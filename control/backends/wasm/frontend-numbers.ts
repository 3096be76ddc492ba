/**
 * IPv6 addresses of frontends as numbers, so that the table of frontends, whose keys hold one word of address, serves them too: the
 * pipeline finds the number in SPACE_FRONTEND and then looks as for IPv4.
 */
import { SPACE_FRONTEND } from '../../../dataplane-as/layout/index.js';
import type { Ip, Key } from '../../ruleset/types.js';
import type { Ledger } from '../ledger.js';
import { parsePrefix } from './bytes6.js';
import type { LongestPrefix } from './lpm.js';
import { IndexPool } from './pools.js';

const MOST = 2 ** 31;

export class FrontendNumbers {
  readonly #numbers: IndexPool;

  constructor(
    ledger: Ledger,
    readonly lpm: LongestPrefix,
  ) {
    this.#numbers = new IndexPool(ledger, 'service addresses', 1, MOST);
  }

  /** Takes a reference to the address's number. `owner` is named by errors. */
  acquire(address: Ip, owner: Key): number {
    const { index, fresh } = this.#numbers.acquire(address, owner);
    if (fresh) this.lpm.set(unitOf(address), owner, SPACE_FRONTEND, parsePrefix(address), index);
    return index;
  }

  release(address: Ip): void {
    if (this.#numbers.release(address))
      this.lpm.delete(unitOf(address), SPACE_FRONTEND, parsePrefix(address));
  }

  unitsOf(address: Ip): string[] {
    return [unitOf(address), ...this.lpm.unitsOf(SPACE_FRONTEND, parsePrefix(address))];
  }
}

function unitOf(address: Ip): string {
  return `frontend address ${address}`;
}
