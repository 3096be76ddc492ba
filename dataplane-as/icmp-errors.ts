/**
 * ICMP errors from elsewhere: they must speak of a connection of ours, and what they quote is translated with them (RFC 5508),
 * so that path MTU discovery and refusals work through NAT.
 */
import { adjust, change16, change32, fold } from './checksum';
import { generation, ports } from './context';
import { ICMP, REPLY, SCTP, TCP, UDP } from './l4';
import {
  DROP_ICMP_ERROR,
  PORT_ROLE,
  PORT_SHIFT,
  ROLE_POD,
  S_FLAGS,
  S_GENERATION,
  S_NEW_DST,
  S_NEW_PORTS,
  S_NEW_SRC,
  SF_DNAT,
  SF_SNAT,
  V_ADDRESS,
  V_DST,
  V_FLAGS,
  V_L3,
  V_L4,
  V_LENGTH,
  V_RX_PORT,
  V_SESSION,
  V_SRC,
  VF_FROM_TUNNEL,
} from './layout';
import { AGAIN, rejudge } from './rejudge';
import { answerKey, findTuple } from './sessions';

/** What the quoted packet's tuple is, as l4.ts would say. */
let quotedPorts: u32 = 0;
let quotedProtocol: u32 = 0;

function readQuoted(l3: usize, l4: usize): bool {
  const protocol: u32 = load<u8>(l3, 9);
  quotedProtocol = protocol;
  quotedPorts = 0;
  if (protocol === TCP || protocol === UDP || protocol === SCTP) {
    quotedPorts = load<u32>(l4);
  } else if (protocol === ICMP) {
    const type: u32 = load<u8>(l4);
    const identifier: u32 = load<u16>(l4, 4);
    if (type === 8 || type === 13) quotedPorts = identifier | (type << 24);
    else if (type === 0 || type === 14) {
      quotedPorts = ((type === 0 ? 8 : 13) << 8) | (identifier << 16);
      quotedProtocol = REPLY;
    } else return false;
  } else if (protocol === REPLY) return false;
  return true;
}

/** Returns 0 with V_SESSION set (the line by which the error travels on), or the outcome to drop with. */
export function followError(v: usize): i32 {
  const icmp: usize = load<u32>(v, V_L4);
  const quoted = icmp + 8;
  const end = <usize>load<u32>(v, V_ADDRESS) + <usize>load<u32>(v, V_LENGTH);
  if (quoted + 28 > end || <u32>load<u8>(quoted) >> 4 !== 4) return DROP_ICMP_ERROR;
  const header = (<u32>load<u8>(quoted) & 15) << 2;
  if (header < 20 || quoted + header + 8 > end) return DROP_ICMP_ERROR;
  if ((load<u16>(quoted, 6) & 0xff1f) !== 0) return DROP_ICMP_ERROR;
  const l4 = quoted + header;
  if (!readQuoted(quoted, l4)) return DROP_ICMP_ERROR;
  const quotedSource = load<u32>(quoted, 12);
  const quotedDestination = load<u32>(quoted, 16);
  // The error goes to who sent the quoted packet; a pod may only complain about what was sent to it.
  if (load<u32>(v, V_DST) !== quotedSource) return DROP_ICMP_ERROR;
  if ((load<u32>(v, V_FLAGS) & VF_FROM_TUNNEL) === 0) {
    const port = ports + (load<u32>(v, V_RX_PORT) << PORT_SHIFT);
    if (load<u8>(port, PORT_ROLE) === ROLE_POD && load<u32>(v, V_SRC) !== quotedDestination)
      return DROP_ICMP_ERROR;
  }
  const line = findTuple(
    <u64>quotedDestination | ((<u64>quotedSource) << 32),
    answerKey(quotedPorts, quotedProtocol),
  );
  if (line === 0) return DROP_ICMP_ERROR;
  if (load<u32>(line, S_GENERATION) !== generation) {
    const outcome = rejudge(v, line);
    if (outcome !== 0) return outcome > 0 && outcome !== AGAIN ? outcome : DROP_ICMP_ERROR;
  }
  if (load<u16>(line, S_FLAGS) & (SF_DNAT | SF_SNAT)) translate(v, icmp, quoted, l4, line, end);
  store<u32>(v, <u32>line, V_SESSION);
  return 0;
}

/** Rewrites outer and quoted addresses, ports and checksums by `line`, and the ICMP checksum over all that changed. */
function translate(v: usize, icmp: usize, quoted: usize, l4: usize, line: usize, end: usize): void {
  const newSource = load<u32>(line, S_NEW_DST);
  const newDestination = load<u32>(line, S_NEW_SRC);
  const source = load<u32>(quoted, 12);
  const destination = load<u32>(quoted, 16);
  const addresses = change32(source, newSource) + change32(destination, newDestination);
  let delta = addresses;
  store<u32>(quoted, newSource, 12);
  store<u32>(quoted, newDestination, 16);
  delta += changeChecksum(quoted + 10, fold(addresses));
  delta += translatePorts(l4, <u32>load<u8>(quoted, 9), load<u32>(line, S_NEW_PORTS), addresses, end);
  store<u16>(icmp, adjust(load<u16>(icmp, 2), fold(delta)), 2);

  const l3: usize = load<u32>(v, V_L3);
  const from = load<u32>(v, V_SRC);
  const to = load<u32>(v, V_DST);
  // A router on the way keeps its address; the far end shows the one it is known by.
  const newFrom = from === destination ? newDestination : from;
  store<u32>(l3, newFrom, 12);
  store<u32>(l3, newSource, 16);
  store<u16>(l3, adjust(load<u16>(l3, 10), fold(change32(from, newFrom) + change32(to, newSource))), 10);
}

/** Adjusts the checksum at `at` and returns what that itself adds to a sum over it. */
function changeChecksum(at: usize, delta: u32): u64 {
  const before: u32 = load<u16>(at);
  const after = adjust(before, delta);
  store<u16>(at, after);
  return change16(before, after);
}

function translatePorts(l4: usize, protocol: u32, newPorts: u32, addresses: u64, end: usize): u64 {
  if (protocol === TCP || protocol === UDP || protocol === SCTP) {
    const before = load<u32>(l4);
    const after = rotl<u32>(newPorts, 16);
    store<u32>(l4, after);
    const changed = change32(before, after);
    const at = l4 + (protocol === TCP ? 16 : 6);
    // Quoted packets are often cut before TCP's checksum; SCTP's is no Internet checksum and nobody checks it here.
    if (protocol === SCTP || at + 2 > end) return changed;
    if (protocol === UDP && load<u16>(at) === 0) return changed;
    return changed + changeChecksum(at, fold(addresses + changed));
  }
  if (protocol !== ICMP) return 0;
  const query = load<u8>(l4) === 8 || load<u8>(l4) === 13;
  const before: u32 = load<u16>(l4, 4);
  const after = query ? newPorts >> 16 : newPorts & 0xffff;
  store<u16>(l4, after, 4);
  const changed = change16(before, after);
  return changed + changeChecksum(l4 + 2, fold(changed));
}
