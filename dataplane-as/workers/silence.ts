/**
 * A connection may be silent here and alive at another worker. So who finds one silent for its time asks the others first, and ends it
 * for all when its turn comes again and nobody has answered.
 */
import { RK_ASK, RK_SILENT, S_FLAGS, SF_ASKED, SF_REPLY } from '../layout';
import { announce } from './announce';
import { workers } from './ring';

/** Is a connection that is silent here over? Asked of each of its lines by the sweep. */
export function agreed(line: usize): bool {
  if (workers === 1) return true;
  const bits: u32 = load<u16>(line, S_FLAGS);
  if (bits & SF_REPLY) return false;
  if ((bits & SF_ASKED) === 0) {
    store<u16>(line, bits | SF_ASKED, S_FLAGS);
    announce(line, RK_ASK);
    return false;
  }
  announce(line, RK_SILENT);
  return true;
}

/** It is not silent (any more). */
export function isAwake(line: usize): void {
  if (workers === 1) return;
  const bits: u32 = load<u16>(line, S_FLAGS);
  if (bits & SF_ASKED) store<u16>(line, bits & ~(<u32>SF_ASKED), S_FLAGS);
}
