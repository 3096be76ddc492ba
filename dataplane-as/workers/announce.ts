/** What is told of a connection: the line of its first direction, from which the other one follows but for two fields. */
import { sessions6 } from '../ip6/sessions6';
import {
  R_KIND,
  R_REPLY_ADJACENCY,
  R_REPLY_FLAGS,
  RECORD_SIZE,
  RK_ANSWERED,
  RK_END,
  RK_MASK,
  RK_SIX,
  S_ADJACENCY,
  S_FLAGS,
  S_PACKETS,
  S_PEER,
  S_SEEN,
  SESSION6_BLOCK,
  SF_ASKED,
  SF_REPLY,
} from '../layout';
import { copyRecord, tell } from './ring';

const RECORD: usize = memory.data(2 * RECORD_SIZE, 16);

/** Does the line (the block of one) belong to an IPv6 connection? Its table lies behind that of IPv4. */
export function isSix(line: usize): bool {
  return sessions6 !== 0 && line >= sessions6;
}

/** The line of the first packet's direction. */
export function forthOf(line: usize): usize {
  return load<u16>(line, S_FLAGS) & SF_REPLY ? <usize>load<u32>(line, S_PEER) : line;
}

/** When a packet of either direction was seen here last. */
export function newestOf(line: usize): u32 {
  const own = load<u32>(line, S_SEEN);
  const other = load<u32>(<usize>load<u32>(line, S_PEER), S_SEEN);
  return <i32>(own - other) > 0 ? own : other;
}

/** Tells all other workers of the connection that `line` is of: `kind` is RK_OPEN to RK_ASK. */
export function announce(line: usize, kind: u32): void {
  const forth = forthOf(line);
  const reply: usize = load<u32>(forth, S_PEER);
  const six = isSix(forth);
  copyRecord(RECORD, forth);
  store<u16>(RECORD, <u32>load<u16>(forth, S_FLAGS) & ~(<u32>SF_ASKED), S_FLAGS);
  store<u32>(RECORD, newestOf(forth), S_SEEN);
  store<u32>(RECORD, load<u32>(reply, S_ADJACENCY), R_REPLY_ADJACENCY);
  store<u16>(RECORD, <u32>load<u16>(reply, S_FLAGS) & ~(<u32>SF_ASKED), R_REPLY_FLAGS);
  const answered: u32 = load<u32>(reply, S_PACKETS) !== 0 ? RK_ANSWERED : 0;
  store<u16>(RECORD, kind | answered | (six ? RK_SIX : 0), R_KIND);
  if (six) copyRecord(RECORD + RECORD_SIZE, forth - SESSION6_BLOCK);
  tell(RECORD, six ? 2 : 1);
}

/** Tells the others that what a record says cannot be kept here, so it is over for all. */
export function refuseRecord(record: usize, kind: u32): void {
  store<u16>(record, (kind & ~(<u32>RK_MASK)) | RK_END, R_KIND);
  tell(record, kind & RK_SIX ? 2 : 1);
}
