/** What a wake-up costs on this machine, without any network: the floor under the round trips of whoever sleeps (tap-wake.c). */
import { execFileSync } from 'node:child_process';
import { availableParallelism } from 'node:os';
import { buildProgram } from './peers/build.js';

export interface WakeUps {
  /** Microseconds of a byte there and back over pipes, both processes asleep before: on one core, on two. */
  readonly near: number;
  readonly far: number;
}

/** Null without a C compiler or a second core. */
export function wakeUps(count: number, pauseMs: number): WakeUps | null {
  const built = buildProgram('tap-wake', ['../tap-wake.c']);
  if ('missing' in built || availableParallelism() < 2) return null;
  const out = execFileSync(built.path, [String(count), String(pauseMs * 1000)], { encoding: 'utf8' });
  const [near = Number.NaN, far = Number.NaN] = out.trim().split(' ').map(Number);
  return { near, far };
}
