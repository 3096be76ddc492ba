/**
 * ICMPv6 errors from elsewhere: they must speak of a connection of ours, and what they quote is translated with them; as
 * icmp-errors.ts.
 */
import { adjust, change16, change32, fold } from '../checksum';
import { generation, ports } from '../context';
import { ICMP, REPLY, SCTP, TCP, UDP } from '../l4';
import {
  DROP_ICMP_ERROR,
  PORT_ROLE,
  PORT_SHIFT,
  ROLE_POD,
  S_FLAGS,
  S_GENERATION,
  S_NEW_PORTS,
  S6_NEW_DST,
  S6_NEW_SRC,
  SESSION6_BLOCK,
  SF_DNAT,
  SF_SNAT,
  V_ADDRESS,
  V_FLAGS,
  V_L3,
  V_L4,
  V_LENGTH,
  V_RX_PORT,
  V_SESSION,
  VF_FROM_TUNNEL,
} from '../layout';
import { AGAIN } from '../rejudge';
import { answerKey } from '../sessions';
import { changeAddress, copy, same } from './address';
import { FRAGMENT } from './extensions';
import { ECHO_REPLY, ECHO_REQUEST, ICMP6 } from './l4';
import { rejudge6 } from './rejudge6';
import { findTuple6 } from './sessions6';

/** What the quoted packet's tuple is, as parse6.ts would say, and where its transport header is. */
let quotedPorts: u32 = 0;
let quotedProtocol: u32 = 0;
let quotedL4: usize = 0;
let wireProtocol: u32 = 0;

/** Reads the quoted packet at `l3`. Extension headers but that of a first fragment are not followed. */
function readQuoted(l3: usize, end: usize): bool {
  if (l3 + 48 > end || load<u8>(l3) >> 4 !== 6) return false;
  wireProtocol = load<u8>(l3, 6);
  quotedL4 = l3 + 40;
  if (wireProtocol === FRAGMENT) {
    if ((load<u16>(l3, 42) & 0xf8ff) !== 0) return false;
    wireProtocol = load<u8>(l3, 40);
    quotedL4 += 8;
    if (quotedL4 + 8 > end) return false;
  }
  quotedProtocol = wireProtocol;
  quotedPorts = 0;
  if (wireProtocol === TCP || wireProtocol === UDP || wireProtocol === SCTP) {
    quotedPorts = load<u32>(quotedL4);
    return true;
  }
  if (wireProtocol === ICMP6) {
    const type: u32 = load<u8>(quotedL4);
    const identifier: u32 = load<u16>(quotedL4, 4);
    if (type === ECHO_REQUEST) {
      quotedPorts = identifier | (ECHO_REQUEST << 24);
      quotedProtocol = ICMP;
    } else if (type === ECHO_REPLY) {
      quotedPorts = (ECHO_REQUEST << 8) | (identifier << 16);
      quotedProtocol = REPLY;
    } else return false;
    return true;
  }
  return wireProtocol !== ICMP && wireProtocol !== REPLY;
}

/** Returns 0 with V_SESSION set (the line by which the error travels on), or the outcome to drop with. */
export function followError6(v: usize): i32 {
  const l3: usize = load<u32>(v, V_L3);
  const icmp: usize = load<u32>(v, V_L4);
  const quoted = icmp + 8;
  const end = <usize>load<u32>(v, V_ADDRESS) + <usize>load<u32>(v, V_LENGTH);
  if (!readQuoted(quoted, end)) return DROP_ICMP_ERROR;
  const quotedSource = quoted + 8;
  const quotedDestination = quoted + 24;
  // The error goes to who sent the quoted packet; a pod may only complain about what was sent to it.
  if (!same(l3 + 24, quotedSource)) return DROP_ICMP_ERROR;
  if ((load<u32>(v, V_FLAGS) & VF_FROM_TUNNEL) === 0) {
    const port = ports + (load<u32>(v, V_RX_PORT) << PORT_SHIFT);
    if (load<u8>(port, PORT_ROLE) === ROLE_POD && !same(l3 + 8, quotedDestination)) return DROP_ICMP_ERROR;
  }
  const block = findTuple6(quotedDestination, quotedSource, answerKey(quotedPorts, quotedProtocol));
  if (block === 0) return DROP_ICMP_ERROR;
  if (load<u32>(block, S_GENERATION) !== generation) {
    const outcome = rejudge6(v, block);
    if (outcome !== 0) return outcome > 0 && outcome !== AGAIN ? outcome : DROP_ICMP_ERROR;
  }
  if (load<u16>(block, S_FLAGS) & (SF_DNAT | SF_SNAT)) translate(l3, icmp, quoted, block, end);
  store<u32>(v, <u32>block, V_SESSION);
  return 0;
}

/** Rewrites outer and quoted addresses, ports and checksums by the line, and the ICMPv6 checksum over all that changed. */
function translate(l3: usize, icmp: usize, quoted: usize, block: usize, end: usize): void {
  const line = block - SESSION6_BLOCK;
  const newSource = line + S6_NEW_DST;
  const newDestination = line + S6_NEW_SRC;
  const addresses = changeAddress(quoted + 8, newSource) + changeAddress(quoted + 24, newDestination);
  let delta = addresses + translatePorts(load<u32>(block, S_NEW_PORTS), addresses, end);
  // A router on the way keeps its address; the far end shows the one it is known by. Both count in the pseudo header.
  if (same(l3 + 8, quoted + 24)) {
    delta += changeAddress(l3 + 8, newDestination);
    copy(l3 + 8, newDestination);
  }
  delta += changeAddress(l3 + 24, newSource);
  copy(l3 + 24, newSource);
  copy(quoted + 8, newSource);
  copy(quoted + 24, newDestination);
  store<u16>(icmp, adjust(load<u16>(icmp, 2), fold(delta)), 2);
}

/** Adjusts the checksum at `at` and returns what that itself adds to a sum over it. */
function changeChecksum(at: usize, delta: u32): u64 {
  const before: u32 = load<u16>(at);
  const after = adjust(before, delta);
  store<u16>(at, after);
  return change16(before, after);
}

function translatePorts(newPorts: u32, addresses: u64, end: usize): u64 {
  const l4 = quotedL4;
  if (wireProtocol === TCP || wireProtocol === UDP || wireProtocol === SCTP) {
    const before = load<u32>(l4);
    const after = rotl<u32>(newPorts, 16);
    store<u32>(l4, after);
    const changed = change32(before, after);
    const at = l4 + (wireProtocol === TCP ? 16 : 6);
    // Quoted packets may be cut before TCP's checksum; SCTP's is no Internet checksum and nobody checks it here.
    if (wireProtocol === SCTP || at + 2 > end) return changed;
    if (wireProtocol === UDP && load<u16>(at) === 0) return changed;
    return changed + changeChecksum(at, fold(addresses + changed));
  }
  if (wireProtocol !== ICMP6) return 0;
  const before: u32 = load<u16>(l4, 4);
  const after = load<u8>(l4) === ECHO_REQUEST ? newPorts >> 16 : newPorts & 0xffff;
  store<u16>(l4, after, 4);
  const changed = change16(before, after);
  return changed + changeChecksum(l4 + 2, fold(addresses + changed));
}
