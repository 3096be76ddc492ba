/** Which run of VPP this is: numbers VPP gave out count only until it ends. */
import { InvalidInputError } from '../../common/errors.js';
import type { VppApi } from './api/api.js';

export interface RunStamp {
  readonly pid: number;
  /** When it was started, milliseconds since 1970 by this machine's clock. */
  readonly started: number;
}

/** Clocks are read on both sides of a question, and may have been set right in between. */
const TOLERANCE_MS = 5_000;

/** Asks VPP how long it has been running. Throws InvalidInputError when it does not say. */
export async function readRun(api: VppApi, now: () => number = Date.now): Promise<RunStamp> {
  const text = await api.cli('show clock');
  const seconds = /Time now ([0-9.]+)/.exec(text)?.[1];
  if (seconds === undefined)
    throw new InvalidInputError('does not say how long VPP has run', { value: text });
  return { pid: api.pid, started: now() - Number(seconds) * 1000 };
}

export function sameRun(a: RunStamp, b: RunStamp): boolean {
  return a.pid === b.pid && Math.abs(a.started - b.started) < TOLERANCE_MS;
}
