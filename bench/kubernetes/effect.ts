/** When a change shows on the wire: asked for every few milliseconds by new connections. */
import type { Driver, Party } from '../../control/sim/driver.js';

export interface Wire {
  readonly from: Party;
  readonly address: string;
  readonly port: number;
}

const EVERY_MS = 5;
/** An answer takes 1 to 2 ms here; one that takes this long is none. */
const PATIENCE_MS = 80;
/** So many attempts in a row, from one that failed on, make it closed. */
const CLOSED_AFTER = 4;
const DEADLINE_MS = 15_000;

interface Attempt {
  readonly sent: number;
  /** null: not known yet. */
  ended: number | null;
  connected: boolean;
}

/**
 * Calls `change` and resolves with how many milliseconds after that call the wire was as `wanted`: open = the first answer
 * came; closed = the first of the attempts without one was sent. Throws where it never was.
 */
export async function effectOf(
  driver: Driver,
  wire: Wire,
  wanted: 'open' | 'closed',
  change: () => Promise<unknown>,
): Promise<number> {
  const attempts: Attempt[] = [];
  const attempt = (): void => {
    const one: Attempt = { sent: performance.now(), ended: null, connected: false };
    attempts.push(one);
    driver.probe([{ ...wire, protocol: 'tcp', timeoutMs: PATIENCE_MS }]).then(
      ([result]) => {
        one.ended = performance.now();
        one.connected = result?.outcome === 'connected';
      },
      () => {
        one.ended = performance.now();
      },
    );
  };
  const timer = setInterval(attempt, EVERY_MS);
  try {
    const start = performance.now();
    await change();
    for (;;) {
      const effect = wanted === 'open' ? openedAt(attempts, start) : closedAt(attempts, start);
      if (effect !== null) return effect - start;
      if (performance.now() - start > DEADLINE_MS) {
        throw new Error(`${wire.address}:${wire.port} is not ${wanted} after ${DEADLINE_MS / 1000} s`);
      }
      await new Promise((done) => setTimeout(done, EVERY_MS));
    }
  } finally {
    clearInterval(timer);
    // The last ones end before the next change.
    await new Promise((done) => setTimeout(done, PATIENCE_MS + 20));
  }
}

function openedAt(attempts: readonly Attempt[], start: number): number | null {
  const ends = attempts.flatMap(({ sent, ended, connected }) =>
    connected && ended !== null && sent >= start ? [ended] : [],
  );
  return ends.length === 0 ? null : Math.min(...ends);
}

function closedAt(attempts: readonly Attempt[], start: number): number | null {
  let first: Attempt | null = null;
  let inRow = 0;
  for (const one of attempts) {
    if (one.sent < start) continue;
    if (one.ended === null) return null;
    if (one.connected) inRow = 0;
    else if (++inRow === 1) first = one;
    if (inRow >= CLOSED_AFTER) return first?.sent ?? null;
  }
  return null;
}
