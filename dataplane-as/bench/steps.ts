/**
 * The pipeline one step at a time, for tests of several workers: between two steps of one worker another one may take its own. Compiled
 * apart from the pipeline, over the same memory.
 */
import { acknowledge, begin } from '../context';
import { tally } from '../counters';
import { forward } from '../forward';
import { work6 } from '../ip6/index';
import { clearList } from '../ip6/list';
import { hash, lookup, resolve } from '../lookup';
import { output } from '../output';
import { parse } from '../parse';
import { police } from '../police';
import { chooseTraced } from '../trace';
import { dropTorn, startReading } from '../workers/removed';

export { init, sweep } from '../index';

let missing = false;

/** Step 0 to 5 of process(n, nowMs). */
export function step(which: u32, n: i32, nowMs: u32): void {
  if (which === 0) {
    begin(nowMs);
    clearList();
    parse(n);
    chooseTraced(n);
    hash(n);
    startReading(n);
  } else if (which === 1) {
    missing = lookup(n);
  } else if (which === 2) {
    if (missing) resolve(n);
  } else if (which === 3) {
    forward(n);
  } else if (which === 4) {
    output(n);
  } else {
    dropTorn();
    work6(n);
    police(n);
    tally(n);
    acknowledge();
  }
}
