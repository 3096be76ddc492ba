/**
 * Carries a plan out: the actions of a wave are all under way at once, and the next wave begins when they have ended. What may
 * succeed later is tried again a few times.
 */
import { PteropusError } from '../../../common/errors.js';
import { VppTimeoutError } from '../api/errors.js';
import { ObjectRefusedError } from './errors.js';
import type { Action, Plan } from './plan.js';
import type { There } from './there.js';
import type { Descriptor, VppContext } from './types.js';

/** Waits before an action is tried again, milliseconds. */
const RETRY_AFTER_MS: readonly number[] = [5, 25, 100];

/** So many actions are under way at once, so that neither side has to hold all of a large plan. */
const MOST_AT_ONCE = 4096;

export interface Sending {
  readonly vpp: VppContext;
  readonly descriptors: ReadonlyMap<string, Descriptor>;
  /** Kept in step with what VPP confirmed. */
  readonly there: There;
  readonly wait: (milliseconds: number) => Promise<void>;
  /** True once the connection is gone: then nothing is tried again. */
  readonly lost: () => boolean;
}

export interface Failure {
  readonly action: Action;
  readonly error: ObjectRefusedError;
}

/** Ends with the first wave in which something failed; returns all that failed in it. Never throws for what VPP says. */
export async function sendPlan({ waves }: Plan, sending: Sending): Promise<readonly Failure[]> {
  for (const wave of waves) {
    for (let at = 0; at < wave.length; at += MOST_AT_ONCE) {
      const failures = await sendWave(wave.slice(at, at + MOST_AT_ONCE), sending);
      if (failures.length > 0) return failures;
    }
  }
  return [];
}

async function sendWave(wave: readonly Action[], sending: Sending): Promise<readonly Failure[]> {
  let failures = await tryAll(wave, sending);
  for (const pause of RETRY_AFTER_MS) {
    const again = failures.filter(mayBeTriedAgain).map(({ action }) => action);
    if (sending.lost() || again.length === 0) break;
    await sending.wait(pause);
    const final = failures.filter((failure) => !mayBeTriedAgain(failure));
    failures = [...final, ...(await tryAll(again, sending))];
  }
  return failures;
}

/** What got no answer may have been done: it has to be read first. */
function mayBeTriedAgain({ error }: Failure): boolean {
  return error.retryable && !(error.cause instanceof VppTimeoutError);
}

async function tryAll(actions: readonly Action[], sending: Sending): Promise<readonly Failure[]> {
  const errors = await Promise.all(
    // Every action is begun before the first one is awaited: their messages leave one after another.
    actions.map((action) =>
      perform(action, sending).then(
        () => null,
        (error: unknown) => error,
      ),
    ),
  );
  const failures: Failure[] = [];
  for (const [i, action] of actions.entries()) {
    const error = errors[i];
    if (error === null) note(action, sending);
    else failures.push({ action, error: refused(action, error) });
  }
  return failures;
}

async function perform(action: Action, { vpp, descriptors }: Sending): Promise<void> {
  const descriptor = descriptors.get(action.object.kind);
  if (descriptor === undefined) throw new PteropusError(`there is no descriptor of ${action.object.kind}`);
  if (action.type === 'create') await descriptor.create(vpp, action.object);
  else if (action.type === 'remove') await descriptor.remove(vpp, action.object);
  else if (descriptor.update !== undefined) await descriptor.update(vpp, action.old, action.object);
  else throw new PteropusError(`${action.object.kind} objects cannot be changed in place`);
}

function note(action: Action, { vpp, there }: Sending): void {
  if (action.type !== 'remove') {
    there.set(action.object);
    return;
  }
  there.delete(action.object.key);
  vpp.handles.delete(action.object.key);
}

function refused({ type, object }: Action, error: unknown): ObjectRefusedError {
  return new ObjectRefusedError(type, object.key, error instanceof Error ? error : new Error(String(error)));
}
