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

export function countReceived(port: u32, bytes: u32): void {
  const at = port * PORT_COUNTER_SIZE;
  store<u64>(at, load<u64>(at, PORT_COUNTERS_BASE + PC_RX_PACKETS) + 1, PORT_COUNTERS_BASE + PC_RX_PACKETS);
  store<u64>(at, load<u64>(at, PORT_COUNTERS_BASE + PC_RX_BYTES) + bytes, PORT_COUNTERS_BASE + PC_RX_BYTES);
}

/** Last stage: every packet is counted under its one outcome, and under the port it leaves or was dropped at. */
export function tally(n: i32): void {
  for (let i = 0, v: usize = VECTOR_BASE; i < n; i++, v += VECTOR_SIZE) {
    let outcome = load<u32>(v, V_OUTCOME);
    if (outcome === OUT_NONE || outcome >= <u32>OUTCOME_COUNT) {
      outcome = DROP_NO_ROUTE;
      store<u32>(v, outcome, V_OUTCOME);
    }
    const word = outcome << 3;
    store<u64>(word, load<u64>(word, OUTCOMES_BASE) + 1, OUTCOMES_BASE);
    if (outcome >= <u32>OUT_FIRST_DROP) {
      store<u32>(v, <u32>PORT_NONE, V_TX_PORT);
      const rx = load<u32>(v, V_RX_PORT);
      if (rx < <u32>MAX_PORTS) {
        const at = rx * PORT_COUNTER_SIZE;
        store<u64>(at, load<u64>(at, PORT_COUNTERS_BASE + PC_DROPS) + 1, PORT_COUNTERS_BASE + PC_DROPS);
      }
    }
    const tx = load<u32>(v, V_TX_PORT);
    if (tx < <u32>MAX_PORTS) {
      const at = tx * PORT_COUNTER_SIZE;
      const bytes = <u64>load<u32>(v, V_TOTAL);
      store<u64>(
        at,
        load<u64>(at, PORT_COUNTERS_BASE + PC_TX_PACKETS) + 1,
        PORT_COUNTERS_BASE + PC_TX_PACKETS,
      );
      store<u64>(
        at,
        load<u64>(at, PORT_COUNTERS_BASE + PC_TX_BYTES) + bytes,
        PORT_COUNTERS_BASE + PC_TX_BYTES,
      );
    }
    if (tracing) record(v, STAGE_OUTCOME, outcome, tx, 0, 0, 0);
  }
}
