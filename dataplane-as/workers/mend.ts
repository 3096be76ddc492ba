/**
 * What a worker that ended in the middle of a change may have left in the session tables: lines without their other one, and lines
 * that are neither in use nor free. Done once, by the worker that takes its place and with the lock that it held.
 */
import { sessionMask, sessions } from '../context';
import { blockAt, sessionMask6, sessions6 } from '../ip6/sessions6';
import {
  S_PEER,
  S_PORTS,
  S_SRC,
  S_STATE,
  SESSION_SHIFT,
  SESSION6_BLOCK,
  SESSION6_SHIFT,
  ST_TOMBSTONE,
} from '../layout';
import { lineAt, vacate } from '../sessions';
import { noteRemoval } from './removed';

export function mendTables(): void {
  for (let i: u32 = 0; i <= sessionMask; i++) {
    const line = lineAt(i);
    if (load<u32>(line, S_SRC) !== 0) mend(line, isLine(load<u32>(line, S_PEER)));
    // Searches may come by: the sweep makes it vacant when none does.
    else if (load<u64>(line, S_PORTS) !== 0)
      store<u64>(line, (<u64>ST_TOMBSTONE) << ((S_STATE - S_PORTS) << 3), S_PORTS);
  }
  if (sessions6 === 0) return;
  for (let i: u32 = 0; i <= sessionMask6; i++) {
    const block = blockAt(i);
    if (load<u32>(block, S_SRC) !== 0) mend(block, isBlock(load<u32>(block, S_PEER)));
  }
}

/** Empties a line in use whose other one is not there, or is another connection's. */
function mend(line: usize, hasPeer: bool): void {
  const peer: usize = load<u32>(line, S_PEER);
  if (hasPeer && peer !== line && load<u32>(peer, S_SRC) !== 0 && <usize>load<u32>(peer, S_PEER) === line)
    return;
  noteRemoval(line, line);
  vacate(line);
}

/** Is it the address of a line of IPv4? */
function isLine(address: usize): bool {
  const offset = address - sessions;
  return offset >> SESSION_SHIFT <= <usize>sessionMask && (offset & ((1 << SESSION_SHIFT) - 1)) === 0;
}

/** Is it that of the block of one of IPv6? */
function isBlock(address: usize): bool {
  const offset = address - SESSION6_BLOCK - sessions6;
  return offset >> SESSION6_SHIFT <= <usize>sessionMask6 && (offset & ((1 << SESSION6_SHIFT) - 1)) === 0;
}
