/** Who reaches whom, asked with real packets until it is as wanted. */
import type { Driver, Party, ProbeProtocol, ProbeResult } from '../../../control/sim/driver.js';

export interface Question {
  readonly from: Party;
  readonly address: string;
  readonly port: number;
  readonly protocol?: ProbeProtocol;
}

/** An attempt that is not answered by then is none. */
const ATTEMPT_MS = 150;
const DEADLINE_MS = 10_000;

export function pod(namespace: string, name: string): Party {
  return { type: 'pod', pod: { namespace, name } };
}

export const OUTSIDE: Party = { type: 'outside' };

export async function ask(driver: Driver, { protocol = 'tcp', ...rest }: Question): Promise<ProbeResult> {
  const [result] = await driver.probe([{ ...rest, protocol, timeoutMs: ATTEMPT_MS }]);
  return result ?? { outcome: 'error', answer: 'not asked', millis: 0 };
}

/** Asks until the answer is `wanted`, and then once more: it must stay so. Resolves with who answered; throws after 10 s. */
export async function until(
  driver: Driver,
  question: Question,
  wanted: 'connected' | 'no answer',
): Promise<string | null> {
  const deadline = Date.now() + DEADLINE_MS;
  const isWanted = ({ outcome }: ProbeResult) =>
    wanted === 'connected' ? outcome === 'connected' : ['timeout', 'rejected', 'refused'].includes(outcome);
  for (;;) {
    const first = await ask(driver, question);
    const second = isWanted(first) ? await ask(driver, question) : first;
    if (isWanted(first) && isWanted(second)) return second.answer;
    if (Date.now() > deadline) {
      const { from, address, port } = question;
      const text = `${JSON.stringify(from)} to ${address}:${port}: ${second.outcome} (${second.answer ?? ''})`;
      throw new Error(`${text} after ${DEADLINE_MS / 1000} s, wanted: ${wanted}`);
    }
  }
}
