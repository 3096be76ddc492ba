/** Counters of ports and outcomes. */
import { tracing } from './context';
import {
  DROP_NO_ROUTE,
  MAX_PORTS,
  OUT_FIRST_DROP,
  OUTCOME_COUNT,
  OUTCOMES_BASE,
  PC_DROPS,
  PC_RX_BYTES,
  PC_RX_PACKETS,
  PC_TX_BYTES,
  PC_TX_PACKETS,
  PORT_COUNTER_SIZE,
  PORT_COUNTERS_BASE,
  PORT_NONE,
  STAGE_OUTCOME,
  V_OUTCOME,
  V_RX_PORT,
  V_TOTAL,
  V_TX_PORT,
  VECTOR_BASE,
  VECTOR_SHIFT,
  VECTOR_SIZE,
} from './layout';
import { record } from './trace';

/** Adds a run of packets that came in by `port`; ports that cannot be have no counters. */
export function countReceived(port: u32, packets: u64, bytes: u64): void {
  if (port >= <u32>MAX_PORTS) return;
  const at = port * PORT_COUNTER_SIZE;
  store<u64>(
    at,
    load<u64>(at, PORT_COUNTERS_BASE + PC_RX_PACKETS) + packets,
    PORT_COUNTERS_BASE + PC_RX_PACKETS,
  );
  store<u64>(at, load<u64>(at, PORT_COUNTERS_BASE + PC_RX_BYTES) + bytes, PORT_COUNTERS_BASE + PC_RX_BYTES);
}

function countSent(port: u32, packets: u64, bytes: u64): void {
  if (port >= <u32>MAX_PORTS) return;
  const at = port * PORT_COUNTER_SIZE;
  store<u64>(
    at,
    load<u64>(at, PORT_COUNTERS_BASE + PC_TX_PACKETS) + packets,
    PORT_COUNTERS_BASE + PC_TX_PACKETS,
  );
  store<u64>(at, load<u64>(at, PORT_COUNTERS_BASE + PC_TX_BYTES) + bytes, PORT_COUNTERS_BASE + PC_TX_BYTES);
}

function countOutcome(outcome: u32, packets: u64): void {
  const word = outcome << 3;
  store<u64>(word, load<u64>(word, OUTCOMES_BASE) + packets, OUTCOMES_BASE);
}

/** A dropped packet leaves by no port. */
function countDrop(v: usize): void {
  store<u32>(v, <u32>PORT_NONE, V_TX_PORT);
  const rx = load<u32>(v, V_RX_PORT);
  if (rx >= <u32>MAX_PORTS) return;
  const at = rx * PORT_COUNTER_SIZE;
  store<u64>(at, load<u64>(at, PORT_COUNTERS_BASE + PC_DROPS) + 1, PORT_COUNTERS_BASE + PC_DROPS);
}

/**
 * Last stage: every packet is counted under its one outcome, and under the port it leaves or was dropped at. Equal packets
 * come in runs: each run is one addition.
 */
export function tally(n: i32): void {
  const end = <usize>VECTOR_BASE + ((<usize>n) << VECTOR_SHIFT);
  for (let v: usize = VECTOR_BASE; v < end; ) {
    const outcome = load<u32>(v, V_OUTCOME);
    if (outcome - 1 >= <u32>(OUT_FIRST_DROP - 1)) {
      countDropped(v, outcome);
      v += VECTOR_SIZE;
      continue;
    }
    const port = load<u32>(v, V_TX_PORT);
    const start = v;
    let bytes: u64 = 0;
    for (; v < end; v += VECTOR_SIZE) {
      if ((load<u32>(v, V_OUTCOME) ^ outcome) | (load<u32>(v, V_TX_PORT) ^ port)) break;
      bytes += load<u32>(v, V_TOTAL);
    }
    const packets: u64 = (v - start) >> VECTOR_SHIFT;
    countOutcome(outcome, packets);
    countSent(port, packets, bytes);
  }
  if (tracing) traceOutcomes(end);
}

/** A dropped packet, or one that no stage gave an outcome that is known. */
function countDropped(v: usize, outcome: u32): void {
  if (outcome - 1 >= <u32>(OUTCOME_COUNT - 1)) {
    outcome = DROP_NO_ROUTE;
    store<u32>(v, outcome, V_OUTCOME);
  }
  countOutcome(outcome, 1);
  countDrop(v);
}

function traceOutcomes(end: usize): void {
  for (let v: usize = VECTOR_BASE; v < end; v += VECTOR_SIZE) {
    record(v, STAGE_OUTCOME, load<u32>(v, V_OUTCOME), load<u32>(v, V_TX_PORT), 0, 0, 0);
  }
}
