/** The stages of IPv6, for the packets of a batch that parse6.ts listed; they run once those of IPv4 are through. */

import { dropTorn, startReading } from '../workers/removed';
import { forward6 } from './forward6';
import { listed } from './list';
import { hash6, lookup6Sessions, resolve6 } from './lookup6';

/** `n`: packets of the whole batch. */
export function work6(n: i32): void {
  if (listed === 0) return;
  hash6();
  startReading(n);
  if (lookup6Sessions()) resolve6();
  forward6();
  dropTorn();
}
