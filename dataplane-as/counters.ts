/** Counters of ports and outcomes. */
import { tracing } from './context';
import {
  DROP_NO_ROUTE,
  MAX_PORTS,
  OUT_FIRST_DROP,
  OUT_NONE,
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
  let lastOutcome: u32 = OUT_NONE;
  let outcomes: u64 = 0;
  let lastPort: u32 = <u32>PORT_NONE;
  let packets: u64 = 0;
  let bytes: u64 = 0;
  for (let i = 0, v: usize = VECTOR_BASE; i < n; i++, v += VECTOR_SIZE) {
    let outcome = load<u32>(v, V_OUTCOME);
    if (outcome - 1 >= <u32>(OUTCOME_COUNT - 1)) {
      outcome = DROP_NO_ROUTE;
      store<u32>(v, outcome, V_OUTCOME);
    }
    if (outcome !== lastOutcome) {
      countOutcome(lastOutcome, outcomes);
      lastOutcome = outcome;
      outcomes = 0;
    }
    outcomes++;
    if (outcome >= <u32>OUT_FIRST_DROP) countDrop(v);
    const tx = load<u32>(v, V_TX_PORT);
    if (tx !== lastPort) {
      countSent(lastPort, packets, bytes);
      lastPort = tx;
      packets = 0;
      bytes = 0;
    }
    packets++;
    bytes += load<u32>(v, V_TOTAL);
    if (tracing) record(v, STAGE_OUTCOME, outcome, tx, 0, 0, 0);
  }
  countOutcome(lastOutcome, outcomes);
  countSent(lastPort, packets, bytes);
}
