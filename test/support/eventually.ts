import { setTimeout as wait } from 'node:timers/promises';

const PAUSE_MS = 2;
const PATIENCE_MS = 20_000;

/**
 * Resolves once the condition holds, for what announces itself to nobody; rejects with `what`, said as it should have become, where
 * it does not in time.
 */
export async function eventually(
  what: string,
  holds: () => boolean | Promise<boolean>,
  patienceMs = PATIENCE_MS,
): Promise<void> {
  const end = performance.now() + patienceMs;
  while (!(await holds())) {
    if (performance.now() > end) throw new Error(`not within ${patienceMs / 1000} s: ${what}`);
    await wait(PAUSE_MS);
  }
}
